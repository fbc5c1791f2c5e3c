"""What PromQL's predict_linear says, and rules like NodeFilesystemSpaceFillingUp rely on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from presagio.forecasters.plain import Plain
from presagio.forecasters.preparation import History

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_RANGE = 21_600.0
"""Seconds: predict_linear(x[6h], ...), as the mixins have it."""


class PredictLinear(Plain):
    """The line of least squares through the last six hours."""

    def path(self, history: History, origins: Ints, leads: Ints, step: float) -> Floats:
        """Return where the line is at each lead."""
        count = max(2, round(_RANGE / step))
        back = np.arange(1 - count, 1)
        values = history.came[:, np.maximum(origins[:, None] + back, 0)]
        centre = back.mean()
        slope = (values * (back - centre)).sum(axis=-1) / ((back - centre) ** 2).sum()
        return np.asarray(values.mean(axis=-1)[..., None] + slope[..., None] * (leads - centre), dtype=np.float64)
