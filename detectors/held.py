"""The level that an anomaly may have moved to, followed until it has held for long enough to be the new normal."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from presagio.detectors.arrays import Arrays, Bools, take
from presagio.detectors.base import Floats, Ints

_RATE = 0.05


class Held(Arrays):
    """For n rows: since when they are suspect, and level, spread and bias of what they show since then."""

    fields: ClassVar[tuple[str, ...]] = ("since", "level", "spread", "bias")
    since: Floats
    level: Floats
    spread: Floats
    bias: Floats

    def reindex(self, rows: Ints) -> None:
        """New row i was row rows[i]; -1 is not suspect."""
        since = take(self.since, rows, np.nan)
        super().reindex(rows)
        self.since = since

    def step(self, time: float, values: Floats, suspect: Bools, ordinary: Bools) -> None:
        """Follow rows that are suspect, let go of those that are ordinary, leave the others as they are."""
        begins = suspect & np.isnan(self.since)
        self.since = np.where(begins, time, np.where(ordinary, np.nan, self.since))
        self.level = np.where(begins, values, self.level)
        rate = np.where(suspect, _RATE, 0.0)
        deviation = np.where(suspect, values - self.level, 0.0)
        self.level = self.level + rate * deviation
        self.spread = np.where(begins, 0.0, self.spread + rate * (np.abs(deviation) - self.spread))
        self.bias = np.where(begins, 0.0, self.bias + rate * (deviation - self.bias))

    def is_due(self, time: float, after: float) -> Bools:
        """Return which rows stand still since `after` seconds: a ramp leaves all its deviations on one side."""
        still = np.abs(self.bias) <= np.maximum(0.5 * self.spread, 1e-3 * np.abs(self.level))
        return (time - self.since >= after) & still
