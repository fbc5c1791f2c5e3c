"""What a series is expected to be: the best of six simple forecasts, judged by their own past errors.

Three shapes (flat, the usual day, the usual week; season.py) times two speeds at which an offset from the shape is
followed (a day, two hours). So a season is used only where it foretells better than none, and a series that wanders
is followed faster than one that stays. Choosing among forecasts by their running errors: Herbster and Warmuth,
"Tracking the best expert", 1998.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from presagio.detectors.arrays import Arrays, Bools
from presagio.detectors.base import Floats, Ints
from presagio.detectors.season import Usual

_SHAPES = 3
_FORECASTS = 2 * _SHAPES
_SLOW, _FAST = 86_400.0, 7_200.0
_ERRORS_REMEMBERED, _ERRORS_ENOUGH = 14 * 86_400.0, 43_200.0
_LEAST_SAMPLES = 50.0
_MOST_ERROR = 10.0
_MOST_SQUARED = 1e150
_BETTER = 0.8
# Following fast hides what changes slowly, a leak first of all: it must foretell much better to be chosen.
_COST = np.array([1.0, 1.0, 1.0, 1 / 0.3, 1 / 0.3, 1 / 0.3])[:, None]

_IS_FAST = np.arange(_FORECASTS)[:, None] >= _SHAPES
_SETTLED = 2 * 86_400.0


class _Rows(Arrays):
    fields: ClassVar[tuple[str, ...]] = ("count", "start", "chosen", "compared")
    count: Floats
    start: Floats
    chosen: Floats
    compared: Floats


class _Forecasts(Arrays):
    fields: ClassVar[tuple[str, ...]] = ("offset", "error")
    offset: Floats
    error: Floats


class Levels:
    """The forecasts of n rows."""

    def __init__(self, seasonal: bool) -> None:
        self.seasonal = seasonal
        self.rows, self.forecasts = _Rows(), _Forecasts(_FORECASTS)
        self._shapes: Floats = np.zeros((_FORECASTS, 0))

    @property
    def count(self) -> Floats:
        """Return the samples that each row has seen."""
        return self.rows.count

    @property
    def level(self) -> Floats:
        """Return the slow level, whatever the season."""
        level: Floats = self.rows.start + self.forecasts.offset[0]
        return level

    @property
    def settled(self) -> Bools:
        """Return where the forecasts have been compared for long enough to tell a drift from a season."""
        settled: Bools = self.rows.compared >= _SETTLED
        return settled

    def begin(self, values: Floats, first: Bools) -> None:
        """Start rows that see their first value."""
        if first.any():
            self.rows.start = np.where(first, values, self.rows.start)

    def expect(self, usual: Usual) -> Floats:
        """Return the value[n] that is expected now."""
        start = self.rows.start
        day = np.where(np.isnan(usual.day), start, usual.day) if self.seasonal else start
        week = np.where(np.isnan(usual.week), day, usual.week) if self.seasonal else start
        self._shapes = np.stack((start, day, week, start, day, week))
        forecasts = self._shapes + self.forecasts.offset
        chosen: Floats = np.take_along_axis(forecasts, self.rows.chosen.astype(np.int64)[None], axis=0)[0]
        return chosen

    def learn(
        self, values: Floats, weight: Floats, elapsed: Floats, scale: Floats, usual: Usual, calm: Bools, still: Bools
    ) -> Bools:
        """Follow values[n] with weight[n] 0..1, once counted; return the rows where another forecast is now the best.

        elapsed: seconds since the row's last sample. calm: where it may be chosen anew. still: where the faster ones
        may be chosen, too.
        """
        rows, parts = self.rows, self.forecasts
        error = values - self._shapes - parts.offset
        counted = np.minimum(np.abs(error), np.minimum(_MOST_ERROR * scale, _MOST_SQUARED))
        self._compare(counted, weight, elapsed, ~np.isnan(usual.day))
        rate = [weight / np.clip(memory / elapsed, _LEAST_SAMPLES, None) for memory in (_SLOW, _FAST)]
        young = weight / np.maximum(rows.count, 1)
        rates = np.repeat(np.maximum(np.stack(rate), young), _SHAPES, axis=0)
        parts.offset = parts.offset + rates * error
        return self._choose(calm, still)

    def _compare(self, error: Floats, weight: Floats, elapsed: Floats, known: Bools) -> None:
        """Take in the errors[6, n] of samples for which there is a usual day to compare with."""
        rows, weight = self.rows, np.where(known, weight, 0.0)
        rows.compared = np.minimum(rows.compared + weight * elapsed, _ERRORS_REMEMBERED)
        rate = weight * elapsed / np.maximum(rows.compared, elapsed)
        self.forecasts.error = self.forecasts.error + rate * (np.square(error) - self.forecasts.error)

    def _choose(self, calm: Bools, still: Bools) -> Bools:
        cost = self.forecasts.error * _COST
        cost = np.where((self.rows.chosen >= _SHAPES) | still | ~_IS_FAST, cost, np.inf)
        best = cost.argmin(axis=0)
        present = np.take_along_axis(cost, self.rows.chosen.astype(np.int64)[None], axis=0)[0]
        lowest = np.take_along_axis(cost, best[None], axis=0)[0]
        better: Bools = calm & (self.rows.compared > _ERRORS_ENOUGH) & (lowest < _BETTER * present)
        self.rows.chosen = np.where(better, best, self.rows.chosen)
        return better

    def seen(self, seen: Bools) -> None:
        """Count a sample of these rows."""
        self.rows.count = self.rows.count + seen

    def inherit(self, rows: Ints, ratio: Floats, kin: Bools, values: Floats, count: int) -> None:
        """Stretch what rows[m] were given by ratio[m]; those that are not kin begin flat at their first values[m]."""
        own, parts = self.rows, self.forecasts
        own.start[rows] = np.where(kin, own.start[rows] * ratio, values)
        own.chosen[rows] = np.where(kin, own.chosen[rows], 0.0)
        own.compared[rows] = np.where(kin, own.compared[rows], 0.0)
        own.count[rows] = np.minimum(own.count[rows], count)
        parts.offset[:, rows] = np.where(kin, parts.offset[:, rows] * ratio, 0.0)
        parts.error[:, rows] = np.where(kin, parts.error[:, rows] * np.square(ratio), 0.0)

    def shift(self, rows: Bools, by: Floats) -> None:
        """Move all forecasts of these rows: their level has changed for good."""
        self.forecasts.offset = np.where(rows, self.forecasts.offset + by, self.forecasts.offset)

    def parts(self) -> tuple[tuple[str, Arrays], ...]:
        """Return what is learnt, by name."""
        return (("rows_", self.rows), ("forecasts_", self.forecasts))
