"""How surprising it is that something lasts: runs of zeros, runs of absence.

A run begins with some chance at each ordinary sample and goes on with another (a geometric length). Both are learnt
from the runs already seen, under Laplace's rule of succession, so that a series that often has short gaps is not
suspect at its next one, and a series that never had any is suspect at once and more so with every sample.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from presagio.detectors.arrays import Arrays, Bools
from presagio.detectors.base import Floats

_INCREDIBLE = 1e-4
"""From here on a run teaches no more: one long outage must not make the next look usual."""


class Runs(Arrays):
    """For n rows: ordinary samples, runs begun, samples inside runs; the present run's length and what it teaches.

    least: ordinary samples that a row must have shown before any run of its is remarkable.
    """

    fields: ClassVar[tuple[str, ...]] = ("ordinary", "starts", "inside", "length", "taught")
    ordinary: Floats
    starts: Floats
    inside: Floats
    length: Floats
    taught: Floats

    def __init__(self, least: int) -> None:
        super().__init__()
        self.least = least

    def step(self, active: Bools, watched: Bools) -> Floats:
        """Return p[n], the chance of a run as long as the present one; 1 outside runs.

        `active`: the row is inside a run now. Rows not `watched` are left as they are, with p = 1.
        """
        inside, outside = active & watched, ~active & watched
        self._learn_ended(outside)
        self.length = np.where(inside, self.length + 1, np.where(outside, 0.0, self.length))
        self.ordinary = self.ordinary + outside
        p = np.where(inside & (self.ordinary >= self.least), self._chance(), 1.0)
        self.taught = self.taught + (inside & (p >= _INCREDIBLE))
        return p

    def _chance(self) -> Floats:
        begins = (self.starts + 1) / (self.ordinary + self.starts + 2)
        goes_on = (np.maximum(self.inside - self.starts, 0.0) + 1) / (self.inside + 2)
        return begins * goes_on ** (self.length - 1)

    def _learn_ended(self, outside: Bools) -> None:
        """Take in the runs that end now; a run still going on teaches nothing yet."""
        ended = outside & (self.length > 0)
        self.starts = self.starts + ended
        self.inside = self.inside + np.where(ended, self.taught, 0.0)
        self.taught = np.where(ended, 0.0, self.taught)
