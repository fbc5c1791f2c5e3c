"""How often what should be rare has come of late, next to how often it should have: calibration by the series itself.

Where residuals depend on each other or their tail bends, p is a little wrong; counting says by how much, and the next
p is multiplied by that. Few counts say little: the prior holds the factor near 1 until there are some.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from presagio.detectors.arrays import Arrays, Bools
from presagio.detectors.base import Floats

_RARE = 1e-3
_MEMORY = 10_000.0
_PRIOR = 5.0
_LEAST, _MOST = 0.4, 4.0


class Frequency(Arrays):
    """For n rows: rare samples that came, and that should have come."""

    fields: ClassVar[tuple[str, ...]] = ("came", "due")
    came: Floats
    due: Floats

    def factor(self) -> Floats:
        """Return what p[n] is to be multiplied by."""
        factor: Floats = np.clip((_PRIOR + self.came) / (_PRIOR + self.due), _LEAST, _MOST)
        return factor

    def learn(self, p: Floats, teaches: Bools) -> None:
        """Count p[n], before any factor, where it teaches."""
        keep = np.where(teaches, 1 - 1 / _MEMORY, 1.0)
        self.came = self.came * keep + (teaches & (p < _RARE))
        self.due = self.due * keep + np.where(teaches, _RARE, 0.0)
