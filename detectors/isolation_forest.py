"""Isolation forest over a value and its last steps (Liu, Ting and Zhou 2008): few cuts part strange ones off.

Each row has a forest of its own, grown by scikit-learn from a window of ordinary samples, at moments of the row's own
so that not all rows grow at once. The trees are kept as arrays, and all rows walk theirs together. Outside what a
forest was grown from it says no more; there the distance counts. Chances come from the row's own tail (tail.py).
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from presagio.detectors import lags
from presagio.detectors.arrays import Bools
from presagio.detectors.base import DetectorParams, Floats
from presagio.detectors.extremes import Extremes
from presagio.detectors.heap_forest import DEPTH, SAMPLE, grow, walk
from presagio.detectors.streaming import Lesson, Moment, Opinion, Streaming, StreamingParams
from presagio.toolkit.units import Duration

_EARLY = 2.0
_MIX = np.uint64(0x9E3779B97F4A7C15)


class IsolationForestParams(StreamingParams):
    """Parameters of `isolation_forest`."""

    warm_up: int = Field(100, ge=SAMPLE, description="samples before the first forest is grown")
    trees: int = Field(24, ge=4, le=200, description="trees of a forest")
    lags: int = Field(3, ge=1, le=20, description="how many of the last values a value is compared with")
    window: int = Field(200, ge=SAMPLE, le=5000, description="last ordinary samples, from which a forest is grown")
    refit_every: Duration = Field(
        86400.0, gt=0, description="longest time between two forests of a row; the first ones follow sooner"
    )
    seed: int = Field(0, ge=0, description="of the forests")


class IsolationForest(Streaming):
    """Forests of n rows. About 26 kB a row, and 20 ms of one core whenever a row's forest is grown."""

    Params: ClassVar[type[DetectorParams]] = IsolationForestParams
    params: IsolationForestParams

    def __init__(self, params: IsolationForestParams) -> None:
        super().__init__(params)
        self.strange = Extremes()
        self.parts["strange_"] = self.strange

    def blank(self, rows: int) -> dict[str, npt.NDArray[Any]]:
        """Return what is known of new rows."""
        params, width = self.params, 1 + self.params.lags
        inner, nodes = 2**DEPTH - 1, 2 ** (DEPTH + 1) - 1
        return {
            **lags.blank(rows, params.lags),
            "window": np.zeros((rows, params.window, width)),
            "taken": np.zeros(rows),
            "feature": np.zeros((rows, params.trees, inner), dtype=np.int8),
            "cut": np.zeros((rows, params.trees, inner), dtype=np.float32),
            "path": np.zeros((rows, params.trees, nodes), dtype=np.float32),
            "low": np.zeros((rows, width)),
            "high": np.zeros((rows, width)),
            "middle": np.zeros(rows),
            "scale": np.ones(rows),
            "told": np.zeros(rows),
            "grown": np.full(rows, np.nan),
            "due": np.full(rows, np.nan),
            "first": np.full(rows, np.nan),
            "phase": np.zeros(rows),
        }

    def ready(self) -> Bools:
        """Return the rows that have a forest, and know what it says of usual values."""
        ready: Bools = self.learnt["told"] >= 30
        return ready

    def look(self, now: Moment) -> Opinion:
        """Return how soon the values are parted from the rest."""
        learnt = self.learnt
        point = lags.features(learnt, now.values)
        raw = (walk(learnt, point) - learnt["middle"]) / learnt["scale"]
        beyond = np.maximum(point - learnt["high"], learnt["low"] - point).max(axis=1)
        r = np.where(np.isnan(learnt["grown"]), 0.0, raw + np.maximum(beyond, 0.0))
        level = np.where(learnt["count"] > 0, learnt["level"], np.nan)
        unit = lags.unit(learnt)
        chance = 0.5 * np.where(r > 0, self.strange.chance(r), 1.0)  # of both sides together
        return Opinion(r, chance, level, level + unit * learnt["low"][:, 0], level + unit * learnt["high"][:, 0])

    def learn(self, now: Moment, opinion: Opinion, lesson: Lesson) -> None:
        """Take in the values, and grow the forests that are due."""
        learnt, point = self.learnt, lags.features(self.learnt, now.values)
        weight = np.where(np.isnan(learnt["grown"]), 0.0, lesson.weight)
        self.strange.learn(opinion.r, weight, lesson.anomalous, lesson.expected)
        learnt["told"] = learnt["told"] + (weight > 0)
        settled = lesson.ordinary & (learnt["count"] >= 30)
        rows = np.flatnonzero(settled)
        learnt["window"][rows, learnt["taken"][rows].astype(np.int64) % self.params.window] = point[rows]
        learnt["taken"] = learnt["taken"] + settled
        lags.learn(learnt, now.values, opinion, lesson)
        self._grow(now, lesson.weight > 0)

    def _grow(self, now: Moment, learns: Bools) -> None:
        """Grow new forests where it is time, and say when it will be again: each row at moments of its own."""
        learnt, params = self.learnt, self.params
        begins = learns & np.isnan(learnt["first"])
        learnt["first"] = np.where(begins, now.time, learnt["first"])
        learnt["phase"] = np.where(begins, _chance(now.time, now.values), learnt["phase"])
        late = np.isnan(learnt["due"]) | (now.time >= learnt["due"])
        due = np.flatnonzero(learns & late & (learnt["taken"] >= (1 + learnt["phase"]) * params.warm_up))
        for row in due:
            self._grow_one(int(row))
        age = np.maximum(now.time - learnt["first"][due], 1.0)
        wait = np.minimum(_EARLY * age, params.refit_every)
        learnt["due"][due] = now.time + (0.75 + 0.25 * learnt["phase"][due]) * wait
        learnt["grown"][due] = now.time

    def _grow_one(self, row: int) -> None:
        learnt = self.learnt
        sample = learnt["window"][row, : int(min(learnt["taken"][row], self.params.window))]
        learnt["low"][row], learnt["high"][row] = sample.min(axis=0), sample.max(axis=0)
        feature, cut, path = grow(sample, self.params.trees, self.params.seed)
        learnt["feature"][row], learnt["cut"][row], learnt["path"][row] = feature, cut, path
        own = {name: np.repeat(learnt[name][[row]], len(sample), axis=0) for name in ("feature", "cut", "path")}
        told = walk(own, sample)
        learnt["middle"][row] = np.median(told)
        learnt["scale"][row] = max(float(np.mean(np.abs(told - learnt["middle"][row]))), 1e-3)


def _chance(time: float, values: Floats) -> Floats:
    """Return a number 0..1 for each row, from its own value: neither a restart nor another row changes it."""
    bits = np.float64(time).view(np.uint64) ^ ((values + 0.0).view(np.uint64) * _MIX)
    bits = (bits ^ (bits >> np.uint64(29))) * _MIX
    return np.asarray((bits >> np.uint64(11)).astype(np.float64) / 2.0**53, dtype=np.float64)
