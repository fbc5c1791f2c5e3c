"""One side of what a detector is surprised by: the tail of a row's own past, and what may teach it."""

from __future__ import annotations

import numpy as np

from presagio.detectors.arrays import Bools, take
from presagio.detectors.base import Floats, Ints, State
from presagio.detectors.tail import Tail

_REMARKABLE_P = 1e-4


class Extremes:
    """Tail of n rows. An anomaly teaches nothing while it lasts; once over, it counts as one remarkable value.

    So what seems impossible but keeps happening becomes likelier, and what merely lasts does not.
    """

    def __init__(self) -> None:
        self.tail = Tail()
        self.anomaly = np.zeros(0)

    def chance(self, r: Floats) -> Floats:
        """Return P(residual > r) in 0..0.5; 0.5 for r <= 0. r in mean absolute deviations."""
        return np.where(r > 0, self.tail.chance(np.maximum(r, 0.0)), 0.5)

    def quantile(self, p: float) -> Floats:
        """Return the residual that is exceeded with chance p."""
        return self.tail.quantile(p)

    def learn(self, r: Floats, weight: Floats, anomalous: Bools, expected: Bools) -> None:
        """Take in r[n] where weight > 0; `expected` are rows of which a person said that all is as it should be."""
        learns = weight > 0
        remarkable = self.quantile(_REMARKABLE_P)
        over = (self.anomaly > 0) & ~anomalous
        told = np.where(expected, r, np.where(over, remarkable, np.minimum(r, remarkable)))
        teaches = learns & (expected | ~anomalous)
        self.tail.learn(np.where(learns, told, np.nan), teaches.astype(np.float64))
        now = anomalous & ~expected & (r > 0)
        self.anomaly = np.where(learns, now.astype(np.float64), self.anomaly)

    def reindex(self, rows: Ints) -> None:
        """New row i was row rows[i]; -1 begins anew."""
        self.tail.reindex(rows)
        self.anomaly = take(self.anomaly, rows)

    def state(self, prefix: str) -> dict[str, Floats]:
        """Return the arrays, each name led by `prefix`."""
        return {**self.tail.state(prefix), f"{prefix}anomaly": self.anomaly}

    def restore(self, state: State, prefix: str) -> None:
        """Take what `state` returned. Raises KeyError for one that is missing."""
        self.tail.restore(state, prefix)
        self.anomaly = np.array(state[f"{prefix}anomaly"], dtype=np.float64)
