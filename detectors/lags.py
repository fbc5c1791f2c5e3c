"""A value and what came before it, in the row's own units: what a forest looks at."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from presagio.detectors.base import Floats
from presagio.detectors.streaming import LEAST_SPREAD, Lesson, Opinion

_MEMORY = 500.0
_SHORT = 1e-12

Learnt = dict[str, npt.NDArray[Any]]


def blank(rows: int, lags: int) -> Learnt:
    """Return what is known of new rows: level, spread and the last values, the newest first."""
    return {"level": np.zeros(rows), "spread": np.zeros(rows), "recent": np.full((rows, lags), np.nan)}


def features(learnt: Learnt, values: Floats) -> Floats:
    """Return [n, 1 + lags]: the value from the level, and from each of the last ones, in units of the spread."""
    known = learnt["count"] > 0
    seen = np.where(np.isnan(values), np.where(known, learnt["level"], 0.0), values)
    level = np.where(known, learnt["level"], seen)
    recent = np.where(np.isnan(learnt["recent"]), seen[:, None], learnt["recent"])
    from_it = np.column_stack([seen - level, seen[:, None] - recent])
    made: Floats = from_it / unit(learnt)[:, None]
    return made


def unit(learnt: Learnt) -> Floats:
    """Return the spread, which is never 0."""
    least = np.maximum(LEAST_SPREAD * np.abs(learnt["level"]), _SHORT)
    spread: Floats = np.maximum(learnt["spread"], least)
    return spread


def learn(learnt: Learnt, values: Floats, opinion: Opinion, lesson: Lesson) -> None:
    """Take in values[n]."""
    learns = lesson.weight > 0
    level = np.where(np.isnan(opinion.expected), values, opinion.expected)
    rate = lesson.weight / np.minimum(learnt["count"] + 1, _MEMORY)
    deviation = np.where(learns, values - level, 0.0)
    learnt["level"] = np.where(learns, level + rate * deviation, learnt["level"])
    learnt["spread"] = learnt["spread"] + rate * (np.abs(deviation) - learnt["spread"])
    shifted = np.column_stack([values, learnt["recent"][:, :-1]])
    learnt["recent"] = np.where(learns[:, None], shifted, learnt["recent"])
