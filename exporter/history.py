"""The last weeks of a signal, read once and then kept up to date: Prometheus is asked only for what is new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from presagio.detectors.base import Floats
from presagio.exporter.evaluation import Source
from presagio.exporter.signals import Key, Naming, finite, named

_LATE = 2
"""Steps that are read again: the newest sample of the time before may have been scraped after it was read."""


@dataclass(frozen=True)
class History:
    """values[n, t] of n series at `times[t]`, a step apart, the oldest first; NaN where there is no sample."""

    keys: Sequence[Key]
    times: Floats
    values: Floats


class Reader:
    """Reads one query. Not thread-safe."""

    def __init__(self, source: Source, naming: Naming, query: str, step: float, lookback: float) -> None:
        self.source = source
        self.naming = naming
        self.query = query
        self.step = step
        self.length = max(1, round(lookback / step))
        self._history = History([], np.zeros(0), np.zeros((0, self.length)))

    def read(self, time: float) -> History:
        """Return the history up to the newest multiple of the step at `time`. Raises SourceError; nothing is lost."""
        end = float(np.floor(time / self.step + 1e-9) * self.step)
        times = end - self.step * np.arange(self.length - 1, -1, -1, dtype=np.float64)
        if len(self._history.times) and self._history.times[-1] == end:
            return self._history
        start = self._start(times)
        rows, values = self._moved(times)
        for matrix in self.source.history(self.query, start, end, self.step, series=max(1, len(rows))):
            found = named(self.naming, matrix)
            for key in found.keys:
                rows.setdefault(key, len(rows))
            missing = len(rows) - len(values)
            if missing:
                values = np.concatenate([values, np.full((missing, self.length), np.nan)])
            at = np.rint((matrix.times - times[0]) / self.step).astype(np.int64)
            into = np.array([rows[key] for key in found.keys], dtype=np.int64)
            values[np.ix_(into, at)] = finite(matrix.values[found.rows])
        self._history = _known(list(rows), times, values)
        return self._history

    def _start(self, times: Floats) -> float:
        """Return the first moment to ask for."""
        old = self._history.times
        if len(old) == 0 or not times[0] <= old[-1] < times[-1]:
            return float(times[0])
        return float(max(times[0], old[-1] - (_LATE - 1) * self.step))

    def _moved(self, times: Floats) -> tuple[dict[Key, int], Floats]:
        """Return what is known already, moved to where it is among `times`; nothing if that is none of it."""
        old = self._history
        by = round((times[-1] - old.times[-1]) / self.step) if len(old.times) else self.length
        if not 0 < by < self.length:
            return {}, np.zeros((0, self.length))
        values = np.full_like(old.values, np.nan)
        values[:, :-by] = old.values[:, by:]
        return {key: row for row, key in enumerate(old.keys)}, values


def _known(keys: list[Key], times: Floats, values: Floats) -> History:
    """Leave out the series without any sample left."""
    alive = np.flatnonzero(~np.isnan(values).all(axis=1))
    return History([keys[row] for row in alive.tolist()], times, values[alive])
