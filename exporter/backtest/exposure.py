"""Which series were scored, and for how long: what false alarms are counted against."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from presagio.detectors.base import Floats, Ints
from presagio.exporter.backtest.moments import Moment
from presagio.exporter.engine import Scores
from presagio.exporter.signals import Key

_WEEK = 7 * 86400.0


class Exposure:
    """Counts the moments at which each service had a score of each signal."""

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self.series = 0
        self._tallies: dict[str, _Tally] = {}
        self._moments: dict[tuple[str, str], float] = {}

    def add(self, moment: Moment) -> None:
        """Take in one moment."""
        series = 0
        for name, scores in moment.results.items():
            tally = self._tallies.get(name)
            if tally is None or tally.keys is not scores.keys:
                self._fold(name)
                tally = self._tallies[name] = _Tally(scores.keys)
            series += tally.add(scores)
        self.series = max(self.series, series)

    def known(self, service_id: str, signal: str) -> bool:
        """Return whether a service had any score; with a signal, of this one."""
        return any(service_id == service and signal in ("", name) for service, name in self._counts())

    @property
    def services(self) -> int:
        """Return how many services had a score."""
        return len({service for service, _ in self._counts()})

    @property
    def service_weeks(self) -> float:
        """Return the sum of all services' times with a score, each by the signal that had it longest."""
        longest: dict[str, float] = {}
        for (service, _), count in self._counts().items():
            longest[service] = max(longest.get(service, 0.0), count)
        return sum(longest.values()) * self.interval / _WEEK

    def _counts(self) -> dict[tuple[str, str], float]:
        for name in list(self._tallies):
            self._fold(name)
        return self._moments

    def _fold(self, name: str) -> None:
        tally = self._tallies.pop(name, None)
        if tally is not None:
            for pair, count in zip(tally.pairs, tally.counts.tolist(), strict=True):
                if count:
                    self._moments[pair] = self._moments.get(pair, 0.0) + count


class _Tally:
    """Counts for one list of keys, which stays the same for long: pairs of service and signal."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self.keys = keys
        places: dict[tuple[str, str], int] = {}
        rows = [places.setdefault((key.service_id, key.signal), len(places)) for key in keys]
        self.pairs = list(places)
        self.places: Ints = np.array(rows, dtype=np.int64)
        self.counts: Floats = np.zeros(len(places))

    def add(self, scores: Scores) -> int:
        """Count one moment; return how many series had a score."""
        present = ~np.isnan(scores.score)
        self.counts += np.bincount(self.places, weights=present, minlength=len(self.pairs)) > 0
        return int(present.sum())
