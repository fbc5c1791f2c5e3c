"""All signals of a service as one score, pure: the scores of one moment in, one score for each service out.

Rows are services, columns are signals by the name that their scores carry. Live evaluation, warm start and backtest
come through here with the same scores at the same moments (lockstep.py), and get the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from presagio.detectors.base import Floats, Ints, State
from presagio.detectors.together import Bools, Combiner
from presagio.exporter.cells import Places, Seen
from presagio.exporter.signals import Key

_NEVER = -np.inf
_MOST_CELLS = 4_000_000
"""Services times signals: what services push may have any number of names, and the matrix must stay bounded."""


@dataclass(frozen=True)
class ServiceScores:
    """All services at `time`: score and confidence [n], contribution [n, k] of the signals; NaN is nothing to say."""

    time: float
    services: Sequence[str]
    signals: Sequence[str]
    score: Floats
    contribution: Floats
    confidence: Floats


class Together:
    """The services, their signals, and the combiner that scores them.

    forget_after: for each signal of the configuration that takes part, how long one that is missing still counts as
    the service's own. definition: what the combiner's state depends on.
    """

    def __init__(self, combiner: Combiner, forget_after: Mapping[str, float], definition: str) -> None:
        self.combiner = combiner
        self.forget_after = forget_after
        self.definition = definition
        self.time = _NEVER
        self.services: list[str] = []
        self.signals: list[str] = []
        self.patience = np.zeros(0)
        self.last_seen = np.zeros((0, 0))
        self._places = Places()

    def step(self, time: float, results: Mapping[str, Seen]) -> ServiceScores:
        """Combine what the signals, by the name of their configuration, said at `time`. One may be absent."""
        self._admit(results)
        self.time = time
        found = self._places.gather(results, self.last_seen.shape)
        present = ~np.isnan(found.score)
        self._restart(time, present)
        self.last_seen = np.where(present, time, self.last_seen)
        # A signal that the service has and that is missing now: of that we know nothing.
        confidence = np.where(present, found.confidence, np.where(self._has(time), 0.0, np.nan))
        made = self.combiner.step(time, found.score, confidence, found.surprise)
        return ServiceScores(time, self.services, self.signals, made.score, made.contribution, made.confidence)

    def _has(self, time: float) -> Bools:
        """Return which signals[n, k] the services have, or had not long ago."""
        has: Bools = time - self.last_seen <= self.patience
        return has

    def _restart(self, time: float, present: Bools) -> None:
        """A service that comes back after it was forgotten is a new one, whether or not it was swept."""
        known = np.isfinite(self.last_seen).any(axis=1)
        back: Bools = np.asarray(present.any(axis=1) & known & ~self._has(time).any(axis=1))
        if back.any():
            self._reindex(np.where(back, -1, np.arange(len(self.services))), np.arange(len(self.signals)))

    def _admit(self, results: Mapping[str, Seen]) -> None:
        """Find a row and a column for each series that is new."""
        for name in sorted(results):
            keys = results[name].keys
            if not self._places.fresh(name, keys):
                self._put(name, keys)

    def _put(self, name: str, keys: Sequence[Key]) -> None:
        services = _grown(self.services, (key.service_id for key in keys))
        room = max(1, _MOST_CELLS // max(len(services), 1))
        signals = _grown(self.signals, (key.signal for key in keys))[: max(room, len(self.signals))]
        new = len(signals) - len(self.signals)
        if new or len(services) > len(self.services):
            rows = _extended(len(self.services), len(services))
            self._reindex(rows, _extended(len(self.signals), len(signals)))
            self.services, self.signals = services, signals
            self.patience = np.append(self.patience, np.full(new, self.forget_after[name]))
        row, column = _index(services), _index(signals)
        rows = np.fromiter((row[key.service_id] for key in keys), dtype=np.int64, count=len(keys))
        columns = np.fromiter((column.get(key.signal, -1) for key in keys), dtype=np.int64, count=len(keys))
        self._places.put(name, keys, rows, columns)

    def sweep(self) -> None:
        """Drop services and signals that are forgotten and of which no series is left. Changes no score."""
        has = self._has(self.time)
        rows, columns = self._places.referenced()
        kept = np.union1d(rows, np.flatnonzero(has.any(axis=1)))
        left = np.union1d(columns, np.flatnonzero(has.any(axis=0)))
        if (len(kept), len(left)) == has.shape:
            return
        self._reindex(kept, left)
        self.services = [self.services[row] for row in kept.tolist()]
        self.signals = [self.signals[column] for column in left.tolist()]
        self.patience = self.patience[left]
        self._places.forget()

    def _reindex(self, rows: Ints, columns: Ints) -> None:
        padded = np.pad(self.last_seen, ((0, 1), (0, 1)), constant_values=_NEVER)
        self.last_seen = padded[rows][:, columns]
        self.combiner.reindex(rows, columns)

    def state(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return all arrays, for a snapshot."""
        learnt = {f"combiner_{name}": array for name, array in self.combiner.state().items()}
        return {"last_seen": self.last_seen, "patience": self.patience, **learnt}

    def restore(self, time: float, services: Sequence[str], signals: Sequence[str], state: State) -> None:
        """Take what `state` returned. Raises ValueError or KeyError if it is of another version, and is as new."""
        self._reindex(np.full(len(services), -1), np.full(len(signals), -1))
        try:
            self._take(state)
        except (ValueError, KeyError):
            self._reindex(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
            raise
        self.time, self.services, self.signals = time, list(services), list(signals)

    def _take(self, state: State) -> None:
        shape = self.last_seen.shape
        last_seen = np.array(state["last_seen"], dtype=np.float64)
        patience = np.array(state["patience"], dtype=np.float64)
        if last_seen.shape != shape or patience.shape != shape[1:]:
            raise ValueError("arrays of another shape than services and signals")
        prefix = "combiner_"
        self.combiner.restore({name.removeprefix(prefix): state[name] for name in state if name.startswith(prefix)})
        self.last_seen, self.patience = last_seen, patience


def _grown(known: Sequence[str], names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys([*known, *names]))


def _extended(before: int, now: int) -> Ints:
    return np.append(np.arange(before), np.full(now - before, -1))


def _index(names: Sequence[str]) -> dict[str, int]:
    return {name: number for number, name in enumerate(names)}
