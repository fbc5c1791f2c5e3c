"""Series that nearly always have one value: up, errors, replicas. There is no spread to measure a change by.

How rare it is that they leave that value, and how long they stay away, is known instead (runs.py).
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from presagio.detectors.arrays import Arrays, Bools
from presagio.detectors.base import Floats, Ints, State
from presagio.detectors.runs import Runs

_NEARLY_ALWAYS = 0.9
_SHARE_SAMPLES, _MOST_VOTES = 500.0, 1_000.0


class _Mode(Arrays):
    fields: ClassVar[tuple[str, ...]] = ("value", "votes", "share", "samples")
    new: ClassVar[dict[str, float]] = {"share": 1.0}
    value: Floats
    votes: Floats
    share: Floats
    samples: Floats


class Constancy:
    """The most frequent value of n rows, by majority vote (Boyer and Moore 1991) with forgetting."""

    def __init__(self) -> None:
        self.mode, self.away = _Mode(), Runs(0)

    def step(self, values: Floats, seen: Bools, taught: Bools) -> tuple[Floats, Bools]:
        """Return the least chance p[n] that a change may be given, and the rows that are at their one value."""
        mode = self.mode
        mode.value = np.where(taught & (mode.samples == 0), values, mode.value)
        at = values == mode.value
        p = self.away.step(~at, taught)
        nearly = seen & (mode.share > _NEARLY_ALWAYS)
        least, still = np.where(nearly & taught & ~at, p, 0.0), nearly & at
        return least, still

    def learn(self, values: Floats, seen: Bools) -> None:
        """Let values[n] vote for what the one value is; an anomaly has no vote, however long it lasts."""
        mode, at = self.mode, values == self.mode.value
        mode.samples = np.minimum(mode.samples + seen, _SHARE_SAMPLES)
        mode.share = mode.share + np.where(seen, (at - mode.share) / np.maximum(mode.samples, 1), 0.0)
        votes = np.where(seen, np.minimum(mode.votes + np.where(at, 1.0, -1.0), _MOST_VOTES), mode.votes)
        new = votes < 0
        if new.any():
            mode.value, votes = np.where(new, values, mode.value), np.where(new, 0.0, votes)
            self.away.reindex(np.where(new, -1, np.arange(len(new))))
        mode.votes = votes

    def reindex(self, rows: Ints) -> None:
        """Follow churn."""
        self.mode.reindex(rows)
        self.away.reindex(rows)

    def state(self, prefix: str) -> dict[str, Floats]:
        """Return the arrays, each name led by `prefix`."""
        return {**self.mode.state(f"{prefix}mode_"), **self.away.state(f"{prefix}away_")}

    def restore(self, state: State, prefix: str) -> None:
        """Take what `state` returned. Raises KeyError for one that is missing."""
        self.mode.restore(state, f"{prefix}mode_")
        self.away.restore(state, f"{prefix}away_")
