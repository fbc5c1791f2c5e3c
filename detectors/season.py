"""What is usual at this time of the day and of the week, found from the last three days and two weeks.

The day is kept as means over a quarter of an hour, three days deep: the median of three forgets a single bad day, and
follows a new habit from its third day on. The week is kept as hourly means, two weeks deep; where they differ, the
one nearer to an ordinary day is believed. Nothing here says whether there is a season: levels.py compares.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from presagio.detectors.arrays import Arrays, Bools
from presagio.detectors.base import Floats, Ints
from presagio.detectors.calendar import Phase

_BINS, _BIN = 96, 900.0
_HOURS, _HOUR = 168, 3600.0
_FAR = 30_000.0
"""In units of the row: beyond it a half-precision number would overflow, and the unit grows."""

Halfs = npt.NDArray[np.float16]


class Usual(NamedTuple):
    """Arrays [n], NaN where nothing is known yet: what the day and the week say, and what recurs at this time.

    low, high: between these the series was at about this time on both of the last two days, or weeks.
    """

    day: Floats
    week: Floats
    low: Floats
    high: Floats


class Sums(Arrays):
    """The bin of the day and the hour that each row is in, and the samples seen in them."""

    fields: ClassVar[tuple[str, ...]] = (
        "bin", "hour", "bin_sum", "bin_count", "hour_sum", "hour_count", "anchor", "unit",
    )  # fmt: skip
    new: ClassVar[dict[str, float]] = {"bin": np.nan, "hour": np.nan, "anchor": np.nan, "unit": 1.0}
    bin: Floats
    hour: Floats
    bin_sum: Floats
    bin_count: Floats
    hour_sum: Floats
    hour_count: Floats
    anchor: Floats
    unit: Floats


class Means(Arrays):
    """Past means, newest first, in units of the row from its anchor: half precision is enough for them."""

    fields: ClassVar[tuple[str, ...]] = ("means",)
    new: ClassVar[dict[str, float]] = {"means": np.nan}
    dtype = np.float16
    means: Halfs


class Season:
    """The day and the week of n rows; about 1.3 kB a row."""

    def __init__(self) -> None:
        self.sums = Sums()
        self.day, self.week = Means(_BINS, 3), Means(_HOURS, 2)
        self._known: tuple[tuple[int, int, int], tuple[Floats, ...]] | None = None

    def usual(self, phase: Phase) -> Usual:
        """Return what is usual at `phase`, interpolated between the middles of bins."""
        place = phase.second / _BIN - 0.5
        hour_place = phase.second / _HOUR - 0.5
        first, hour = int(np.floor(place)), int(np.floor(hour_place))
        key = (first, int(phase.second // _BIN), phase.weekday * 24 + hour)
        if self._known is None or self._known[0] != key:
            self._known = (key, self._look_up(*key, int(phase.second // _HOUR) + phase.weekday * 24))
        day0, day1, week0, week1, low, high = self._known[1]
        day = _between(day0, day1, place - first)
        return Usual(day, _between(week0, week1, hour_place - hour), low, high)

    def _look_up(self, first: int, present: int, hour: int, present_hour: int) -> tuple[Floats, ...]:
        days = [_typical(self._past_days(number, 0 <= number < present)) for number in (first, first + 1)]
        weeks = [self._typical_week(number, number < present_hour) for number in (hour, hour + 1)]
        low, high = self._recurring(present, present_hour)
        return (*days, *weeks, low, high)

    def _days(self, number: int) -> Floats:
        days: Floats = self._decoded(self.day.means[number % _BINS])
        return days

    def _hours(self, number: int) -> Floats:
        weeks: Floats = self._decoded(self.week.means[number % _HOURS])
        return weeks

    def _decoded(self, means: Halfs) -> Floats:
        return self.sums.anchor + self.sums.unit * means.astype(np.float64)

    def _past_days(self, number: int, over: bool) -> Floats:
        """Return the days of a bin; where it is over for today, today alone must not say what is usual."""
        days = self._days(number)
        if over:
            days[0] = np.where(np.isnan(days[2]), days[1], days[0])
        return days

    def _typical_week(self, number: int, over: bool) -> Floats:
        """Return the hour of an ordinary week: the mean of two weeks, or the one that is more like other days."""
        new: Floats
        old: Floats
        new, old = self._hours(number)
        if over:
            return old
        day = _typical(self._days(number % 24 * 4 + 2))
        apart = np.abs(new - old) > 0.5 * np.maximum(np.abs(new - day), np.abs(old - day))
        nearer = np.where(np.abs(new - day) < np.abs(old - day), new, old)
        both = np.where(apart, nearer, 0.5 * (new + old))
        typical: Floats = np.where(np.isnan(old), new, both)
        return typical

    def _recurring(self, present: int, present_hour: int) -> tuple[Floats, Floats]:
        """Return the range of the means around now that both of the last two days, or both weeks, have shown."""
        # In the bin before the present one today stands where yesterday stands in the others.
        days = [np.stack([self._days(present + k)[back + (k < 0)] for k in (-1, 0, 1)]) for back in (0, 1)]
        low, high = _shared(days)
        hours = [
            np.stack([self._hours(present_hour + k)[min(back + (k < 0), 1)] for k in (-1, 0, 1)]) for back in (0, 1)
        ]
        week_low, week_high = _shared(hours)
        return np.fmin(low, week_low), np.fmax(high, week_high)

    def learn(self, values: Floats, seen: Bools) -> None:
        """Take in values[n]; what is unusual counts like all else, since a habit begins as an exception."""
        sums, held = self.sums, np.where(seen, values, 0.0)
        sums.bin_sum, sums.bin_count = sums.bin_sum + held, sums.bin_count + seen
        sums.hour_sum, sums.hour_count = sums.hour_sum + held, sums.hour_count + seen

    def turn(self, phase: Phase, spread: Floats, seen: Bools) -> None:
        """Put away the means of the bins and hours that are over, where something is seen now."""
        sums = self.sums
        present, hours = phase.day * _BINS + phase.second // _BIN, phase.day * 24 + phase.second // _HOUR
        hour = hours * _HOURS + phase.weekday * 24 + phase.second // _HOUR
        over = seen & (sums.bin != present) & (sums.bin_count > 0)
        if over.any():
            self._put(over, sums.bin, sums.bin_sum, sums.bin_count, self.day, _BINS, spread)
        sums.bin_sum, sums.bin_count = (
            np.where(seen & (sums.bin != present), 0.0, array) for array in (sums.bin_sum, sums.bin_count)
        )
        over = seen & (sums.hour != hour) & (sums.hour_count > 0)
        if over.any():
            self._put(over, sums.hour, sums.hour_sum, sums.hour_count, self.week, _HOURS, spread)
        sums.hour_sum, sums.hour_count = (
            np.where(seen & (sums.hour != hour), 0.0, array) for array in (sums.hour_sum, sums.hour_count)
        )
        sums.bin, sums.hour = np.where(seen, present, sums.bin), np.where(seen, hour, sums.hour)

    def _put(
        self, over: Bools, number: Floats, total: Floats, count: Floats, kept: Means, bins: int, spread: Floats
    ) -> None:
        mean = total / np.maximum(count, 1)
        self._fit_unit(over, mean, spread)
        away = (mean - self.sums.anchor) / self.sums.unit
        coded = np.clip(away, -_FAR, _FAR).astype(np.float16)
        for bin_of in np.unique(number[over] % bins).astype(int).tolist():
            rows = over & (number % bins == bin_of)
            means = kept.means[bin_of]
            means[1:] = np.where(rows, means[:-1], means[1:])
            means[0] = np.where(rows, coded, means[0])
        self._known = None

    def _fit_unit(self, over: Bools, mean: Floats, spread: Floats) -> None:
        """Choose the anchor and the unit of rows that have none, and a larger unit where a mean would not fit."""
        sums = self.sums
        new = over & np.isnan(sums.anchor)
        least = np.maximum(0.1 * spread, np.maximum(1e-5 * np.abs(mean), 1e-12))
        sums.anchor, sums.unit = np.where(new, mean, sums.anchor), np.where(new, least, sums.unit)
        far = over & (np.abs(mean - sums.anchor) > _FAR * sums.unit)
        if far.any():
            unit = np.where(far, np.abs(mean - sums.anchor) / 1000.0, sums.unit)
            for kept in (self.day, self.week):
                kept.means = (kept.means * (sums.unit / unit)).astype(np.float16)
            sums.unit = unit

    def inherit(self, rows: Ints, ratio: Floats, kin: Bools) -> None:
        """Stretch what rows[m] were given by ratio[m]; only `kin` have the same days and weeks."""
        sums = self.sums
        sums.anchor[rows] = np.where(kin, sums.anchor[rows] * ratio, np.nan)
        sums.unit[rows] = np.where(kin, sums.unit[rows] * ratio, 1.0)
        sums.bin[rows] = sums.hour[rows] = np.nan
        for array in (sums.bin_sum, sums.bin_count, sums.hour_sum, sums.hour_count):
            array[rows] = 0.0
        for kept in (self.day, self.week):
            kept.means[..., rows[~kin]] = np.nan
        self._known = None

    def parts(self) -> tuple[tuple[str, Arrays], ...]:
        """Return what is learnt, by name."""
        return (("sums_", self.sums), ("day_", self.day), ("week_", self.week))

    def forget_known(self) -> None:
        """The rows have changed: look everything up anew."""
        self._known = None


def _typical(days: Floats) -> Floats:
    """Return the median of three days [3, n], or the mean of those there are."""
    new, middle, old = days
    three = np.maximum(np.minimum(new, middle), np.minimum(np.maximum(new, middle), old))
    two = np.where(np.isnan(middle), new, 0.5 * (new + middle))
    typical: Floats = np.where(np.isnan(old), two, three)
    return typical


def _between(first: Floats, second: Floats, share: float) -> Floats:
    both = (1 - share) * first + share * second
    known: Floats = np.where(np.isnan(first), second, np.where(np.isnan(second), first, both))
    return known


def _shared(times: list[Floats]) -> tuple[Floats, Floats]:
    """Return the range of [3, n] means that two days or weeks had in common; NaN if there are not two."""
    low = 0.5 * (np.fmin.reduce(times[0]) + np.fmin.reduce(times[1]))
    high = 0.5 * (np.fmax.reduce(times[0]) + np.fmax.reduce(times[1]))
    return low, high
