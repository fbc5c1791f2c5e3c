"""Means of many series over any stretch of their samples, at the cost of two look-ups each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from presagio.forecasters.base import Floats, Ints
from presagio.forecasters.preparation import History


@dataclass(frozen=True)
class Means:
    """Running sums[n, t + 1] and counts[n, t + 1] of values about their middle[n], which keeps the sums exact."""

    middle: Floats
    sums: Floats
    counts: Floats

    def over(self, begin: Ints, end: Ints) -> Floats:
        """Return the means [n, *shape] over the samples begin[*shape] up to, not including, end[*shape]; or NaN."""
        length = self.sums.shape[1] - 1
        first, last = np.clip(begin, 0, length), np.clip(end, 0, length)
        count = self.counts[:, last] - self.counts[:, first]
        total = self.sums[:, last] - self.sums[:, first]
        middle = self.middle.reshape(-1, *([1] * np.ndim(begin)))
        return np.where(count > 0, middle + total / np.maximum(count, 1.0), np.nan)


def means(history: History) -> Means:
    """Return the running sums of a history."""
    known = np.isfinite(history.values)
    middle = np.where(known.any(axis=1), np.nan_to_num(history.newest), 0.0)
    about = np.where(known, history.values - middle[:, None], 0.0)
    return Means(middle, _running(about), _running(known.astype(np.float64)))


def _running(values: Floats) -> Floats:
    return np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
