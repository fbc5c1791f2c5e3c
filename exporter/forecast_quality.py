"""How good forecasts were: those made earlier against what came."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from presagio.detectors.base import Floats
from presagio.exporter.history import History
from presagio.exporter.outlook import Outlook
from presagio.exporter.signals import Key

_KEPT = 48
_LEAST = 20
"""Comparisons from which on a number is told at all."""

_FORGETS = 0.98
"""By each forecast that is compared what was before counts so much less."""

_HAIR = 1e-9
"""Share of a value by which it may be beyond a bound: a mean of equal numbers is not always that number."""


@dataclass
class _Tally:
    """Sums over series and forecasts: of errors, of those of 'it stays as it is', of what was within, of all."""

    error: float = 0.0
    naive: float = 0.0
    inside: float = 0.0
    count: float = 0.0

    def add(self, error: Floats, naive: Floats, inside: Floats) -> None:
        self.error = _FORGETS * self.error + float(error.sum())
        self.naive = _FORGETS * self.naive + float(naive.sum())
        self.inside = _FORGETS * self.inside + float(inside.sum())
        self.count = _FORGETS * self.count + len(error)


@dataclass(frozen=True)
class Quality:
    """scaled_error: below 1 is better than 'it stays as it is', None where nothing ever moves. coverage: 0..1."""

    horizon: float
    scaled_error: float | None
    coverage: float


class ForecastQuality:
    """Of one signal: keeps some of its forecasts until all their horizons are past."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Outlook, list[int]]] = deque()
        self._tallies: dict[float, _Tally] = {}

    def note(self, outlook: Outlook) -> None:
        """Keep a forecast, unless there is one of nearly the same time."""
        apart = outlook.horizons[-1] / _KEPT
        if not self._waiting or outlook.time - self._waiting[-1][0].time >= apart:
            self._waiting.append((outlook, list(range(len(outlook.horizons)))))

    def compare(self, history: History) -> None:
        """Compare the forecasts whose time has come with a newer history; each at each horizon once."""
        for outlook, left in self._waiting:
            due = [h for h in left if outlook.time + outlook.horizons[h] <= history.times[-1]]
            for h in due:
                left.remove(h)
                self._compare(outlook, h, history)
        while self._waiting and not self._waiting[0][1]:
            self._waiting.popleft()

    def told(self) -> Iterator[Quality]:
        """Yield the quality at each horizon of which enough is known."""
        for horizon, tally in self._tallies.items():
            if tally.count >= _LEAST:
                scaled = tally.error / tally.naive if tally.naive > 0 else None
                yield Quality(horizon, scaled, tally.inside / tally.count)

    def _compare(self, outlook: Outlook, h: int, history: History) -> None:
        time = outlook.time + outlook.horizons[h]
        if time < history.times[0]:
            return  # it came while nobody looked, and is forgotten by now
        came, scale = _at(history, outlook.keys, time)
        naive, error = np.abs(came - outlook.now) / scale, np.abs(came - outlook.mean[:, h]) / scale
        known = np.isfinite(naive) & np.isfinite(error)
        hair = _HAIR * np.abs(came)
        inside = (outlook.lower[:, h] - hair <= came) & (came <= outlook.upper[:, h] + hair)
        tally = self._tallies.setdefault(outlook.horizons[h], _Tally())
        tally.add(error[known], naive[known], inside[known].astype(np.float64))


def _at(history: History, keys: Sequence[Key], time: float) -> tuple[Floats, Floats]:
    """Return what came of some series at a time, NaN where that is not known, and the usual size of their movements.

    Series of many sizes count alike so.
    """
    index = {key: row for row, key in enumerate(history.keys)}
    rows = np.array([index.get(key, -1) for key in keys], dtype=np.int64)  # -1: the one added at the end
    moves = np.abs(np.diff(history.values, axis=1))
    usual = np.nansum(moves, axis=1) / np.maximum((~np.isnan(moves)).sum(axis=1), 1)
    at = int(np.searchsorted(history.times, time - 1e-6))
    return np.append(history.values[:, at], np.nan)[rows], np.append(np.where(usual > 0, usual, 1.0), 1.0)[rows]
