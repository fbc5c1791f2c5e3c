"""What forecasters that must be fitted have in common: two fits for each series, one of them for honest errors.

One fit is on all of the history, for the forecast. The other is on its earlier half, and looks ahead from many
moments of the later one (rolling origins, Tashman 2000): its errors are of a future that it has not seen.
"""

from __future__ import annotations

from abc import ABC
from typing import ClassVar

import numpy as np

from presagio.forecasters.base import Floats, Ints
from presagio.forecasters.conformal import quantiles
from presagio.forecasters.plain import Plain, actual
from presagio.forecasters.preparation import History

_FEWEST = 16
"""Samples of the history from which on its past is forecast at all."""


class Learnt(Plain, ABC):
    """A forecaster whose `path` fits on what came before the first of the origins, which ascend."""

    origins: ClassVar[int] = 48
    """Moments of the past that the errors are from."""

    def past(self, length: int) -> Ints:
        """Return the moments of the past to compare with: evenly over the later half."""
        if length < _FEWEST:
            return np.array([], dtype=np.int64)
        return np.unique(np.linspace(length // 2, length - 2, self.origins).round().astype(np.int64))

    def errors(self, history: History, leads: Ints, step: float) -> Floats:
        """Return what came less what was said [n, o, h]."""
        origins = self.past(history.length)
        if not len(origins):
            return np.full((len(history.values), 1, len(leads)), np.nan)
        return actual(history, origins, leads) - self.path(history, origins, leads, step)

    def _whole(self, history: History, leads: Ints, step: float) -> tuple[Floats, Floats]:
        mean = self.path(history, np.array([history.length - 1]), leads, step)[:, 0]
        mean = np.where(np.isnan(mean), history.newest[:, None], mean)
        return mean, quantiles(mean, self.errors(history, leads, step), leads.tolist(), self.params.levels)
