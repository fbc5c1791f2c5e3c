"""Statistics over windows that end at each moment: of [s, t], by running sums, none of them looks ahead."""

from __future__ import annotations

import numpy as np

from presagio.detectors.base import Floats


class Rolling:
    """Windows over values[s, t], NaN missing. A window at a moment holds it and what came before."""

    def __init__(self, values: Floats) -> None:
        self.values = values
        known = ~np.isnan(values)
        # sums of squares of large numbers would leave no digits: the first sample of each row is the zero
        first = (
            np.take_along_axis(values, known.argmax(axis=1)[:, None], axis=1) if values.shape[1] else values[:, :0]
        )
        self.zero = np.nan_to_num(first)
        filled = np.where(known, values - self.zero, 0.0)
        times = np.arange(values.shape[1], dtype=np.float64)
        each = (
            known.astype(np.float64),
            filled,
            filled * filled,
            known * times,
            known * times * times,
            filled * times,
        )
        self.n, self.y, self.yy, self.t, self.tt, self.ty = (_running(one) for one in each)

    def count(self, window: int) -> Floats:
        """Return how many samples each window has."""
        return _over(self.n, window)

    def mean(self, window: int) -> Floats:
        """Return the mean, NaN without a sample."""
        return self.zero + _over(self.y, window) / _some(self.count(window))

    def deviation(self, window: int) -> Floats:
        """Return the standard deviation, NaN without a sample."""
        n = _some(self.count(window))
        mean = _over(self.y, window) / n
        return np.sqrt(np.maximum(_over(self.yy, window) / n - mean * mean, 0.0))

    def slope(self, window: int) -> Floats:
        """Return the slope of the least squares line, in units a step, NaN with fewer than three samples."""
        n = self.count(window)
        some = np.where(n >= 3, n, np.nan)
        t, y = _over(self.t, window), _over(self.y, window)
        across = _over(self.tt, window) - t * t / some
        return (_over(self.ty, window) - t * y / some) / np.where(across > 0, across, np.nan)

    def highest(self, window: int) -> Floats:
        """Return the highest sample, NaN without one."""
        from scipy.ndimage import maximum_filter1d

        filled = np.where(np.isnan(self.values), -np.inf, self.values)
        # origin: the window ends at the moment; what lies before the first is nothing
        found = maximum_filter1d(filled, window, axis=1, mode="constant", cval=-np.inf, origin=(window - 1) // 2)
        return np.where(np.isinf(found), np.nan, found)

    def lowest(self, window: int) -> Floats:
        """Return the lowest sample, NaN without one."""
        mirror = Rolling.__new__(Rolling)
        mirror.values = -self.values
        return -mirror.highest(window)


def before(values: Floats, steps: int) -> Floats:
    """Return what was so many steps before each moment, NaN where that is before the first."""
    moved = np.full_like(values, np.nan)
    if steps < values.shape[1]:
        moved[:, steps:] = values[:, : values.shape[1] - steps]
    return moved


def age(values: Floats, window: int, share: float) -> Floats:
    """Return the steps since a sudden fall by `share` of what the window before it spanned; NaN if there was none."""
    rolling = Rolling(values)
    span = before(rolling.highest(window) - rolling.lowest(window), 1)
    with np.errstate(invalid="ignore"):
        fell = before(values, 1) - values > share * np.where(span > 0, span, np.inf)
    times = np.arange(values.shape[1])
    last = np.maximum.accumulate(np.where(fell, times, -1), axis=1)
    return np.where(last >= 0, times - last, np.nan)


def _running(values: Floats) -> Floats:
    return np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)


def _over(sums: Floats, window: int) -> Floats:
    low = np.maximum(np.arange(sums.shape[1] - 1) + 1 - window, 0)
    return sums[:, 1:] - sums[:, low]


def _some(count: Floats) -> Floats:
    return np.where(count > 0, count, np.nan)
