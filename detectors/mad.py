"""Deviation from the median of the last samples, in median absolute deviations (Hampel 1974).

Half of the window may be wrong before the median is. The two tails of what deviates are the row's own (tail.py): the
score is calibrated whatever the distribution.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from presagio.detectors.base import DetectorParams, Floats, Ints
from presagio.detectors.extremes import Extremes
from presagio.detectors.streaming import BAND_P, LEAST_SPREAD, Lesson, Moment, Opinion, Streaming, StreamingParams

_UNIT = 1.1829
"""Mean absolute deviation of a Gaussian, in median ones: the unit of the tails."""


class MadParams(StreamingParams):
    """Parameters of `mad`."""

    window: int = Field(120, ge=10, le=200, description="samples of which median and deviation are taken")


class Mad(Streaming):
    """The last ordinary samples of n rows. About 1.1 kB a row with a window of 120."""

    Params: ClassVar[type[DetectorParams]] = MadParams
    params: MadParams

    def __init__(self, params: MadParams) -> None:
        super().__init__(params)
        self.above, self.below = Extremes(), Extremes()
        self.parts |= {"above_": self.above, "below_": self.below}

    def blank(self, rows: int) -> dict[str, npt.NDArray[Any]]:
        """Return what is known of new rows."""
        return {"window": np.full((rows, self.params.window), np.nan), "taken": np.zeros(rows)}

    def look(self, now: Moment) -> Opinion:
        """Return how far the values are from the median."""
        window = self.learnt["window"]
        held = np.minimum(self.learnt["taken"], self.params.window).astype(np.int64)
        median = middle(window, held)
        spread = _UNIT * middle(np.abs(window - median[:, None]), held)
        centre = np.where(held > 0, median, now.values)
        scale = np.maximum(np.where(held > 0, spread, 0.0), np.maximum(LEAST_SPREAD * np.abs(centre), 1e-12))
        scale = np.where(np.isnan(scale), 1.0, scale)
        r = np.where(np.isnan(now.values), 0.0, now.values - centre) / scale
        return Opinion(
            r=r,
            p=np.where(r >= 0, self.above.chance(r), self.below.chance(-r)),
            expected=median,
            lower=median - scale * self.below.quantile(BAND_P),
            upper=median + scale * self.above.quantile(BAND_P),
        )

    def learn(self, now: Moment, opinion: Opinion, lesson: Lesson) -> None:
        """Take in the values: the tails once there is a median to speak of, the window unless it is an anomaly."""
        weight = np.where(self.ready(), lesson.weight, 0.0)
        self.above.learn(opinion.r, weight, lesson.anomalous, lesson.expected)
        self.below.learn(-opinion.r, weight, lesson.anomalous, lesson.expected)
        rows = np.flatnonzero(lesson.ordinary)
        place = self.learnt["taken"][rows].astype(np.int64) % self.params.window
        self.learnt["window"][rows, place] = now.values[rows]
        self.learnt["taken"] = self.learnt["taken"] + lesson.ordinary


def middle(window: Floats, held: Ints) -> Floats:
    """Return the median of the first held[n] values of window[n, w], NaN where there is none; the rest is NaN."""
    ordered = np.sort(window, axis=1)  # NaN comes last
    rows, last = np.arange(len(held)), np.maximum(held - 1, 0)
    middle: Floats = 0.5 * (ordered[rows, last // 2] + ordered[rows, (last + 1) // 2])
    return middle
