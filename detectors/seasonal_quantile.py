"""Quantiles of each hour of the day, or of the week: what is usual at this time.

The median and two outer quantiles of each hour follow the samples by small steps up or down (Robbins and Monro 1951),
so that an outlier moves them no further than any other sample would. An hour not seen yet borrows from all hours. The
tails of what lies outside are the row's own (tail.py).
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from presagio.detectors.arrays import Bools
from presagio.detectors.base import DetectorParams, Floats
from presagio.detectors.extremes import Extremes
from presagio.detectors.streaming import BAND_P, LEAST_SPREAD, Lesson, Moment, Opinion, Streaming, StreamingParams

OUTER = 0.05
"""The outer quantiles are those of 5 % and 95 %."""

_UNIT = 2.0615
"""They lie so many mean absolute deviations of a Gaussian from its median: the unit of the tails."""

_TARGETS = np.array([OUTER, 0.5, 1 - OUTER])
_GAIN = 3.0
_BORROWED = 60.0
_LEAST_SAMPLES = 10.0


class SeasonalQuantileParams(StreamingParams):
    """Parameters of `seasonal_quantile`."""

    hours: Literal["day", "week"] = Field("day", description="quantiles of 24 hours of the day, or 168 of the week")
    memory: int = Field(1000, ge=50, description="samples that each hour remembers")


class SeasonalQuantile(Streaming):
    """Quantiles of n rows. About 1.2 kB a row by the hour of the day, 7 kB by the hour of the week."""

    Params: ClassVar[type[DetectorParams]] = SeasonalQuantileParams
    params: SeasonalQuantileParams

    def __init__(self, params: SeasonalQuantileParams) -> None:
        super().__init__(params)
        self.above, self.below = Extremes(), Extremes()
        self.parts |= {"above_": self.above, "below_": self.below}

    def blank(self, rows: int) -> dict[str, npt.NDArray[Any]]:
        """Return what is known of new rows: each hour, and last all hours together."""
        bins = 1 + (24 if self.params.hours == "day" else 168)
        return {
            "quantiles": np.full((rows, bins, 3), np.nan),
            "spread": np.zeros((rows, bins)),
            "samples": np.zeros((rows, bins)),
        }

    def hour(self, time: float) -> int:
        """Return the hour of the day or week, by the clock on the wall."""
        phase = self.params.calendar.phase(time)
        hour = int(phase.second // 3600)
        return hour if self.params.hours == "day" else 24 * phase.weekday + hour

    def look(self, now: Moment) -> Opinion:
        """Return where the values lie among what this hour has shown."""
        low, median, high = self._usual(self.hour(now.time)).T
        centre = np.where(np.isnan(median), now.values, median)
        least = np.maximum(LEAST_SPREAD * np.abs(np.nan_to_num(centre)), 1e-12)
        up = np.maximum(np.nan_to_num((high - median) / _UNIT), least)
        down = np.maximum(np.nan_to_num((median - low) / _UNIT), least)
        residual = np.where(np.isnan(now.values), 0.0, now.values - centre)
        r = residual / np.where(residual >= 0, up, down)
        return Opinion(
            r=r,
            p=np.where(r >= 0, self.above.chance(r), self.below.chance(-r)),
            expected=median,
            lower=median - down * self.below.quantile(BAND_P),
            upper=median + up * self.above.quantile(BAND_P),
            known=0.5 + 0.5 * self._own(self.hour(now.time)),
        )

    def _own(self, hour: int) -> Floats:
        """Return how much of the hour's quantiles are its own, 0..1; the rest is borrowed."""
        samples = self.learnt["samples"][:, hour]
        own: Floats = np.where(samples < _LEAST_SAMPLES, 0.0, np.minimum(samples / _BORROWED, 1.0))
        return own

    def _usual(self, hour: int) -> Floats:
        """Return the quantiles [n, 3] of the hour, mixed with those of all hours while it is little known."""
        own, quantiles = self._own(hour)[:, None], self.learnt["quantiles"]
        mixed = own * np.nan_to_num(quantiles[:, hour]) + (1 - own) * quantiles[:, -1]
        return np.sort(mixed, axis=1)

    def learn(self, now: Moment, opinion: Opinion, lesson: Lesson) -> None:
        """Take in the values: an hour that is little known learns whole, for there is nothing to be spoilt."""
        hour = self.hour(now.time)
        unknown = self.learnt["samples"][:, hour] < _BORROWED
        weight = np.where(self.ready(), lesson.weight, 0.0)
        self.above.learn(opinion.r, weight, lesson.anomalous, lesson.expected)
        self.below.learn(-opinion.r, weight, lesson.anomalous, lesson.expected)
        whole = unknown & (lesson.weight > 0)
        self._follow_quantiles(hour, now.values, np.where(whole, 1.0, lesson.weight), lesson.expected)
        self._follow_quantiles(-1, now.values, lesson.weight, lesson.expected)

    def _follow_quantiles(self, one: int, values: Floats, weight: Floats, expected: Bools) -> None:
        """Move the quantiles of one bin towards the values by steps that are smaller the more is known.

        What a person called expected moves them as far as if little were known.
        """
        quantiles, spread, samples = (self.learnt[field][:, one] for field in ("quantiles", "spread", "samples"))
        learns, first = weight > 0, np.isnan(quantiles[:, 1])
        before = np.where(first[:, None], values[:, None], quantiles)
        rate = weight / np.minimum(samples + 1, np.where(expected, _BORROWED, self.params.memory))
        distance = np.where(learns, np.abs(values - before[:, 1]), 0.0)
        # No outlier may stretch the steps.
        distance = np.where(expected | (samples < _BORROWED), distance, np.minimum(distance, 5 * spread))
        self.learnt["spread"][:, one] = spread + rate * (distance - spread)
        side = np.sign(values[:, None] - before)
        step = np.where(side > 0, _TARGETS, np.where(side < 0, _TARGETS - 1, 0.0))
        moved = before + _GAIN * (rate * self.learnt["spread"][:, one])[:, None] * step / _density()
        self.learnt["quantiles"][:, one] = np.where(learns[:, None], np.sort(moved, axis=1), quantiles)
        self.learnt["samples"][:, one] = samples + learns

    def adopt(self, rows: Bools, opinion: Opinion) -> None:
        """Move all hours by as much as the level has: the season is kept."""
        shift = np.where(rows, self.held.level - opinion.expected, 0.0)
        self.learnt["quantiles"] += shift[:, None, None]


def _density() -> Floats:
    """Return the steps' denominators: rare quantiles need longer steps to be found."""
    return np.array([0.33, 1.0, 0.33])
