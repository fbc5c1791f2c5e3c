"""Straight lines through the last part of many series, from many origins at once, by running sums."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from presagio.forecasters.base import Floats, Ints
from presagio.forecasters.preparation import History


@dataclass(frozen=True)
class Line:
    """Least squares through the samples of a window before each origin; all arrays are [n, o].

    slope: in units a step. level: where the line is at the origin. error: the slope's standard error, made wider for
    the run of samples being no independent ones. count: samples in the window.
    """

    slope: Floats
    level: Floats
    residual: Floats
    error: Floats
    count: Floats


class Sums:
    """Running sums of a history, from which the line over any window is read off."""

    def __init__(self, history: History) -> None:
        self.history = history
        # deviations from the series' own middle: squares of large numbers would leave no digits for their differences
        middle = np.nan_to_num(np.nanmedian(np.where(np.isnan(history.values), 0.0, history.values), axis=1))
        self.middle = middle[:, None]
        values = np.nan_to_num(history.values - self.middle)
        times = np.arange(history.length, dtype=np.float64)
        self.y, self.ty, self.yy = (_running(each) for each in (values, values * times, values * values))

    def line(self, origins: Ints, window: int) -> Line:
        """Return the line over the last `window` samples before each origin, of its own run only."""
        begin = np.maximum(self.history.run[:, origins], np.maximum(origins - window + 1, 0)[None, :])
        begin = np.minimum(np.maximum(begin, self.history.first[:, None]), origins[None, :])
        end = np.broadcast_to(origins + 1, begin.shape)
        count = (end - begin).astype(np.float64)
        centre = (begin + end - 1) / 2.0
        y, ty, yy = (
            np.take_along_axis(one, end, 1) - np.take_along_axis(one, begin, 1) for one in (self.y, self.ty, self.yy)
        )
        across = np.maximum(count * (count * count - 1) / 12.0, 1e-12)
        slope = np.where(count > 2, (ty - centre * y) / across, 0.0)
        mean = y / count
        squares = np.maximum(yy - count * mean * mean - slope * slope * across, 0.0)
        residual = np.sqrt(squares / np.maximum(count - 2, 1))
        level = self.middle + mean + slope * (end - 1 - centre)
        return Line(slope, level, residual, np.sqrt(_CLUSTERED) * residual / np.sqrt(across), count)


_CLUSTERED = 4.0
"""How many neighbouring samples count as one: what is measured each minute changes together."""


def _running(values: Floats) -> Floats:
    return np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
