"""When which service had failed: the truth that predictions are learnt from and held against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from presagio.detectors.base import Bools, Floats, Ints


@dataclass(frozen=True)
class Episodes:
    """Of one failure: services[i] had failed from begins[i] up to, not including, ends[i], in Unix seconds.

    Outside known_from..known_to nothing is known, and in between not from each of dark_begins to its dark_ends, which
    are in order: neither that something failed nor that it was well. An end of +inf is a failure that lasts.
    """

    services: Sequence[str]
    begins: Floats
    ends: Floats
    known_from: float
    known_to: float
    dark_begins: Floats = field(default_factory=lambda: np.zeros(0))
    dark_ends: Floats = field(default_factory=lambda: np.zeros(0))

    def __len__(self) -> int:
        return len(self.begins)

    def of(self, service: str) -> Episodes:
        """Return those of one service, in the order of time."""
        rows = np.array([one == service for one in self.services], dtype=np.bool_)
        order = np.flatnonzero(rows)[np.argsort(self.begins[rows], kind="stable")]
        return self.rows(order)

    def rows(self, rows: Ints) -> Episodes:
        """Return some of them."""
        services = [self.services[row] for row in rows.tolist()]
        return replace(self, services=services, begins=self.begins[rows], ends=self.ends[rows])

    def dark(self, times: Floats, horizon: float) -> Bools:
        """Return whether some of the horizon after each of `times` is dark."""
        following = np.searchsorted(self.dark_ends, times, side="right")
        return np.append(self.dark_begins, np.inf)[following] < times + horizon


@dataclass(frozen=True)
class Labels:
    """What moments of one service are for a horizon: positive, negative or neither; failure: the next, or -1."""

    positive: Bools
    negative: Bools
    failure: Ints


def labels(own: Episodes, times: Floats, horizon: float, gap: float, alive_to: float) -> Labels:
    """Return the labels of `times` of a service whose episodes `own` are in order.

    A moment is positive if a failure begins after it and within the horizon, negative if none does and enough is
    known to say so. It is neither while the service has failed already, within `gap` before a failure (too late to
    be of use), and where the horizon reaches beyond what is known, or beyond `alive_to`, when the service was last
    seen: what would have been is not known (censoring).
    """
    following = np.searchsorted(own.begins, times, side="right")
    begins = np.append(own.begins, np.inf)
    wait = begins[following] - times
    highest = np.maximum.accumulate(np.append(-np.inf, own.ends))  # an earlier episode may outlast a later one
    failed = highest[following] > times
    usable = ~failed & (wait > gap) & (times >= own.known_from)
    # of the newest horizon only what failed would be known: to learn from that alone would be to learn that all fails
    whole = times + horizon <= own.known_to
    seen = whole & (times + horizon <= alive_to) & ~own.dark(times, horizon)
    positive = usable & whole & (wait <= horizon)
    return Labels(positive, usable & (wait > horizon) & seen, np.where(positive, following, -1))


def merged(begins: Floats, ends: Floats, hold: float, merge: float) -> tuple[Floats, Floats]:
    """Return the episodes of one service, in order, nearer ones made one and then shorter ones left out."""
    kept: list[tuple[float, float]] = []
    for begin, end in sorted(zip(begins.tolist(), ends.tolist(), strict=True)):
        if kept and begin - kept[-1][1] <= merge:
            kept[-1] = (kept[-1][0], max(end, kept[-1][1]))
        else:
            kept.append((begin, end))
    long = [(begin, end) for begin, end in kept if end - begin >= hold]
    found = np.array(long, dtype=np.float64).reshape(-1, 2)
    return found[:, 0], found[:, 1]
