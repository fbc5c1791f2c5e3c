"""The last weeks of a signal, read once and then kept up to date: Prometheus is asked only for what is new."""

from __future__ import annotations

import sys
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from presagio.detectors.arrays import Bools
from presagio.detectors.base import Floats
from presagio.exporter.evaluation import Source
from presagio.exporter.signals import Key, Naming, finite, named
from presagio.toolkit.prometheus import Matrix

_LATE = 2
"""Steps that are read again: the newest sample of the time before may have been scraped after it was read."""

_ALIVE = 3
"""Steps without a sample after which a series is taken to have vanished: fewer are a hole."""


@dataclass(frozen=True)
class History:
    """values[n, t] of n series at `times[t]`, a step apart, the oldest first; NaN where there is no sample."""

    keys: Sequence[Key]
    times: Floats
    values: Floats

    @property
    def alive(self) -> Bools:
        """Which series have a sample lately [n]."""
        return np.asarray(~np.isnan(self.values[:, -_ALIVE:]).all(axis=1), dtype=np.bool_)

    def rows(self, rows: Bools) -> History:
        """Return some of the series; all of them without a copy, since two weeks of thousands are large."""
        if rows.all():
            return self
        return History([self.keys[row] for row in np.flatnonzero(rows).tolist()], self.times, self.values[rows])


class Reader:
    """Reads one query. Not thread-safe. `refused`: series of the newest reading for which there was no room."""

    def __init__(self, source: Source, naming: Naming, query: str, step: float, lookback: float) -> None:
        self.source = source
        self.naming = naming
        self.query = query
        self.step = step
        self.length = max(1, round(lookback / step))
        self.refused = 0
        self._history = History([], np.zeros(0), np.zeros((0, self.length)))

    def read(self, time: float, room: int | None = None) -> History:
        """Return the history up to the newest multiple of the step at `time`. Raises SourceError; nothing is lost.

        With `room` it has at most so many series: those that are gone are not read at first, and give way later.
        Otherwise all stay until nothing of them is left.
        """
        end = float(np.floor(time / self.step + 1e-9) * self.step)
        times = end - self.step * np.arange(self.length - 1, -1, -1, dtype=np.float64)
        if len(self._history.times) and self._history.times[-1] == end:
            return self._history
        known = self._moved(times)
        start, wanted = self._start(times), None
        if room is not None and not known.keys:
            present = self.source.range(self.query, times[-_ALIVE:][0], end, self.step)
            wanted = set(named(self.naming, present).keys)
            start = times[0] if wanted else end + self.step
        table = _Table(known, self.step, sys.maxsize if room is None else room)
        expected = max(1, len(known.keys if wanted is None else wanted))
        for matrix in self.source.history(self.query, start, end, self.step, series=expected):
            table.take(_merged(self.naming, matrix, wanted), matrix.times)
        self.refused = len(table.refused)
        self._history = table.history()
        return self._history

    def _start(self, times: Floats) -> float:
        """Return the first moment to ask for."""
        old = self._history.times
        if len(old) == 0 or not times[0] <= old[-1] < times[-1]:
            return float(times[0])
        return float(max(times[0], old[-1] - (_LATE - 1) * self.step))

    def _moved(self, times: Floats) -> History:
        """Return what is known already, moved to where it is among `times`; nothing if that is none of it."""
        old = self._history
        by = round((times[-1] - old.times[-1]) / self.step) if len(old.times) else self.length
        if not 0 < by < self.length:
            return History([], times, np.zeros((0, self.length)))
        values = np.full_like(old.values, np.nan)
        values[:, :-by] = old.values[:, by:]
        return History(old.keys, times, values)


class _Table:
    """Rows that grow as series come, up to `room`."""

    def __init__(self, known: History, step: float, room: int) -> None:
        self.times = known.times
        self.step = step
        self.values = known.values[:room]
        self.index = {key: row for row, key in enumerate(known.keys[:room])}
        self.room = room
        self.refused: set[Key] = set(known.keys[room:])

    def take(self, answer: Mapping[Key, Floats], times: Floats) -> None:
        """Enter the values of some series at some times."""
        for key in answer:
            if key not in self.index and len(self.index) < self.room:
                self.index[key] = len(self.index)
        missing = len(self.index) - len(self.values)
        self.values = np.concatenate([self.values, np.full((missing, len(self.times)), np.nan)])
        at = np.rint((times - self.times[0]) / self.step).astype(np.int64)
        for key, values in answer.items():
            if key in self.index:
                self.values[self.index[key], at] = values
            else:
                self.refused.add(key)

    def history(self) -> History:
        """Return the series that have a sample left; if there was no room for all, those that vanished give way."""
        whole = History(list(self.index), self.times, self.values)
        left = np.asarray(~np.isnan(self.values).all(axis=1), dtype=np.bool_)
        return whole.rows(whole.alive if self.refused else left)


def _merged(naming: Naming, answer: Matrix, wanted: Container[Key] | None) -> dict[Key, Floats]:
    """Return the values of each key. Of two series with the same key the first that has a sample is taken.

    A container that was replaced has other labels than before, but it is the same to whoever asks how full it is.
    """
    found: dict[Key, Floats] = {}
    for labels, values in zip(answer.labels, finite(answer.values), strict=True):
        key = naming.name(labels)
        if isinstance(key, Key) and (wanted is None or key in wanted):
            before = found.get(key)
            found[key] = values if before is None else np.where(np.isnan(before), values, before)
    naming.forget(len(answer.labels))
    return found
