"""What forecasters that must be fitted have in common: a fit for the forecast, and others for honest errors.

One fit is on all of the history, for the forecast. The others are on its first quarter, half, and three quarters, and
each looks ahead from many moments of what comes next (rolling origins, Tashman 2000): these errors are of a future
that was not seen.
"""

from __future__ import annotations

from abc import ABC

import numpy as np

from presagio.forecasters.base import Floats, Ints
from presagio.forecasters.conformal import quantiles
from presagio.forecasters.plain import Plain
from presagio.forecasters.preparation import History
from presagio.forecasters.rolling import errors_of


class Learnt(Plain, ABC):
    """A forecaster whose `path` fits on what came before the first of the origins, which ascend."""

    fits = 3

    def _whole(self, history: History, leads: Ints, step: float) -> tuple[Floats, Floats]:
        mean = self.path(history, np.array([history.length - 1]), leads, step)[:, 0]
        mean = np.where(np.isnan(mean), history.newest[:, None], mean)
        return mean, quantiles(mean, errors_of(self, history, leads, step), leads.tolist(), self.params.levels)
