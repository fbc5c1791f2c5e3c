"""Deviation from a running mean in running standard deviations: the plainest detector, and a bell curve's.

Mean and variance are exponentially weighted (West 1979); the chance is Student's t with as many degrees of freedom as
samples are remembered, so that what is known of thirty samples is not taken for certain. Nothing is learnt of the
real tails: on data that is not Gaussian the score promises too much. `tail: student` is the careful choice.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from presagio.detectors.base import DetectorParams, Floats
from presagio.detectors.streaming import BAND_P, LEAST_SPREAD, Lesson, Moment, Opinion, Streaming, StreamingParams


class ZscoreParams(StreamingParams):
    """Parameters of `zscore`."""

    memory: int = Field(500, ge=10, description="samples that mean and deviation remember")
    tail: Literal["gaussian", "student"] = Field(
        "gaussian", description="what the values are taken for: gaussian, or student with heavier tails"
    )
    degrees: float = Field(4.0, gt=2, le=100, description="degrees of freedom of `tail: student`; fewer are heavier")


class Zscore(Streaming):
    """Mean and variance of n rows. About 100 bytes a row."""

    Params: ClassVar[type[DetectorParams]] = ZscoreParams
    params: ZscoreParams

    def blank(self, rows: int) -> dict[str, npt.NDArray[Any]]:
        """Return what is known of new rows."""
        return {"mean": np.zeros(rows), "variance": np.zeros(rows)}

    def look(self, now: Moment) -> Opinion:
        """Return how far the values are from the mean."""
        from scipy.special import stdtr, stdtrit

        known = self.learnt["count"] > 0
        mean = np.where(known, self.learnt["mean"], now.values)
        degrees, scale = self._degrees(), self._scale(mean)
        r = np.where(np.isnan(now.values), 0.0, now.values - mean) / scale
        wide = -scale * stdtrit(degrees, BAND_P)
        expected = np.where(known, mean, np.nan)
        return Opinion(r, stdtr(degrees, -np.abs(r)), expected, expected - wide, expected + wide)

    def _degrees(self) -> Floats:
        samples = np.clip(self.learnt["count"] - 1, 2.1, 2 * self.params.memory)
        most = np.inf if self.params.tail == "gaussian" else self.params.degrees
        degrees: Floats = np.minimum(samples, most)
        return degrees

    def _scale(self, mean: Floats) -> Floats:
        """Return the unit of t: its variance is that of the values, and the mean itself is not certain."""
        count, degrees = np.maximum(self.learnt["count"], 2.0), self._degrees()
        unbiased = self.learnt["variance"] * count / (count - 1) * (1 + 1 / count)
        heavy = (degrees - 2) / degrees if self.params.tail == "student" else 1.0
        scale: Floats = np.maximum(np.sqrt(unbiased * heavy), np.maximum(LEAST_SPREAD * np.abs(mean), 1e-12))
        return scale

    def learn(self, now: Moment, opinion: Opinion, lesson: Lesson) -> None:
        """Take in the values."""
        learns = lesson.weight > 0
        mean = np.where(np.isnan(opinion.expected), now.values, opinion.expected)
        rate = lesson.weight / np.minimum(self.learnt["count"] + 1, self.params.memory)
        deviation = np.where(learns, now.values - mean, 0.0)
        self.learnt["mean"] = np.where(learns, mean + rate * deviation, self.learnt["mean"])
        self.learnt["variance"] = (1 - rate) * (self.learnt["variance"] + rate * deviation**2)
