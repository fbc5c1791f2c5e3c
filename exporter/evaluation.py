"""Evaluating one signal up to a moment: an instant query when nothing was missed, history when something was.

Warm start, catching up after a failure or a restart, and backtest are all the second case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from presagio.detectors.arrays import Bools
from presagio.detectors.base import Floats, Ints
from presagio.exporter.engine import Engine, Scores
from presagio.exporter.metrics import BLIND, Metrics
from presagio.exporter.signals import Key, Naming, Refusal, finite, named
from presagio.toolkit.errors import SourceError
from presagio.toolkit.log import Log
from presagio.toolkit.prometheus import Matrix, Vector


class Source(Protocol):
    """What is needed of Prometheus."""

    def instant(self, query: str, time: float) -> Vector:
        """Return a query at one moment. Raises SourceError."""

    def range(self, query: str, start: float, end: float, step: float) -> Matrix:
        """Return a query at start, start + step, ... up to end. Raises SourceError."""

    def history(self, query: str, start: float, end: float, step: float, series: int = 1) -> Iterator[Matrix]:
        """Yield the same in chunks."""


_HAIR = 1e-5
"""In intervals: so near before a moment it is taken for reached, since an interval may be no binary fraction."""

_WRONG_CLOCK = 600.0
"""In seconds: the clock may be set back by so much, and we wait until it is as late again."""


@dataclass(frozen=True)
class Span:
    """The moments `start`, `start` + `step`, ... `end`."""

    start: float
    end: float
    step: float

    def __len__(self) -> int:
        return max(0, round((self.end - self.start) / self.step) + 1)


@dataclass(frozen=True)
class Timing:
    """Moments of evaluation: multiples of `interval`; at a first start `lookback` seconds of them are made up for.

    What lies more than `fine` seconds back is made up for at the multiples of `coarse` only: two weeks at each
    interval would be too much to read.
    """

    interval: float
    lookback: float
    control: str
    fine: float = np.inf
    coarse: float = 0.0

    def at_or_before(self, time: float) -> float:
        """Return the newest moment of evaluation at `time`."""
        return float(np.floor(time / self.interval + _HAIR) * self.interval)

    def first(self, last: float, time: float) -> float:
        """Return the first moment to evaluate, when `last` was the last one and `time` is now due."""
        earliest = self.at_or_before(time - self.at_or_before(self.lookback))
        if not np.isfinite(last):
            return self._coarsely(earliest, time)
        if last - time > max(_WRONG_CLOCK, 2 * self.interval):
            return time  # `last` was told by a clock that was wrong: waiting for it could take years
        return self._coarsely(max(earliest, self.at_or_before(self.at_or_before(last) + self.interval)), time)

    def spans(self, start: float, end: float) -> Sequence[Span]:
        """Return the moments from `start` to `end`, which are two of them: coarse ones first, if there are any."""
        border = self._border(end)
        if start >= border:
            return [Span(start, end, self.interval)]
        after = Span(self.at_or_before(border + self.interval), end, self.interval)
        return [Span(start, border, self._step), *([after] if len(after) else [])]

    def ahead(self, moment: float, count: int, end: float) -> float:
        """Return the moment `count` after `moment` on the way to `end`, but no fine one after a coarse one."""
        border = self._border(end)
        if moment >= border:
            return self.at_or_before(moment + count * self.interval)
        return min(self.at_or_before(moment + count * self._step), border)

    @property
    def _step(self) -> float:
        return self.at_or_before(self.coarse)

    def _border(self, end: float) -> float:
        """Return the last of the coarse moments on the way to `end`; -inf if there are none."""
        if self._step <= self.interval or not np.isfinite(self.fine):
            return -np.inf
        return self.at_or_before(float(np.floor((end - self.fine) / self._step + _HAIR) * self._step))

    def _coarsely(self, moment: float, end: float) -> float:
        """Return `moment`, or the coarse one that follows it if there still is one on the way to `end`."""
        if moment >= self._border(end):
            return moment
        return self.at_or_before(float(np.ceil(moment / self._step - _HAIR) * self._step))


class Evaluation:
    """One signal: its query, its names, its engine. Not thread-safe: one thread at a time."""

    def __init__(
        self, engine: Engine, naming: Naming, source: Source, timing: Timing,
        room: Callable[[], AbstractContextManager[int]], metrics: Metrics, log: Log,
    ) -> None:  # fmt: skip
        self.engine = engine
        self.naming = naming
        self.source = source
        self.timing = timing
        self.room = room
        self.metrics = metrics
        self.log = log
        self.signal = engine.signal
        self.beside = 1
        """How many times as much history is held at once as one signal may hold."""
        self._complained: set[str] = set()

    def missed(self, time: float) -> int:
        """Return how many moments there are to evaluate up to `time`."""
        start = self.timing.first(self.engine.time, time)
        return sum(len(span) for span in self.timing.spans(start, time))

    def advance(self, time: float) -> Iterator[Scores | None]:
        """Evaluate every moment up to `time`, which is one; yield the scores of each, None where blind.

        Raises SourceError; what was yielded before is kept and the rest made up for by the next call.
        """
        start = self.timing.first(self.engine.time, time)
        try:
            if start == time:
                yield self._live(time)
            elif start < time:
                for span in self.timing.spans(start, time):
                    yield from self._past(span)
        except SourceError as error:
            self.metrics.failures.labels(self.signal.name, str(error.reason)).inc()
            raise

    def _live(self, time: float) -> Scores | None:
        with self.metrics.timed(self.signal.name, "query"):
            answer = self.source.instant(self.signal.query, time)
        if len(answer.values) == 0 and self._blind_now(time):
            self.engine.time = time
            self.metrics.failures.labels(self.signal.name, BLIND).inc()
            return None
        rows, values = self._admit(answer)
        return self._step(time, rows, values, answer.partial)

    def _past(self, span: Span) -> Iterator[Scores | None]:
        query = self.signal.query
        expected = len(self.source.instant(query, span.end).values)
        series = max(expected, len(self.engine.keys)) * self.beside
        for matrix in self.source.history(query, span.start, span.end, span.step, series=series):
            blind = self._blind_then(matrix, span.step)
            rows, values = self._admit(matrix)
            columns = np.ascontiguousarray(values.T)
            for time, column, is_blind in zip(matrix.times.tolist(), columns, blind, strict=True):
                self.engine.time = time
                yield None if is_blind else self._step(time, rows, column, matrix.partial)
            # What was forgotten in this chunk must not take the room of what comes in the next.
            self.engine.sweep(self.engine.time)

    def _blind_now(self, time: float) -> bool:
        """Return whether Prometheus has no data at all: looked at only when the signal has none, either."""
        return bool(self.timing.control) and len(self.source.instant(self.timing.control, time).values) == 0

    def _blind_then(self, matrix: Matrix, step: float) -> Sequence[bool]:
        times, empty = matrix.times, _empty(matrix)
        if not self.timing.control or not empty.any():
            return [False] * len(times)
        control = self.source.range(self.timing.control, times[0], times[-1], step)
        both: list[bool] = (empty & _empty(control)).tolist()
        return both

    def _step(self, time: float, rows: Ints, values: Floats, partial: bool) -> Scores:
        with self.metrics.timed(self.signal.name, "score"):
            scores = self.engine.step(time, rows, values, partial)
        self.metrics.evaluations.labels(self.signal.name).inc()
        return scores

    def _admit(self, answer: Vector | Matrix) -> tuple[Ints, Floats]:
        """Return the rows of an answer's series, and its values in that order; count what is refused."""
        if answer.warnings:
            self.metrics.warnings.labels(self.signal.name).inc()
            self._complain("warning", "prometheus warned", warnings="; ".join(answer.warnings))
        found = named(self.naming, answer)
        values = finite(answer.values[found.rows])
        # A series that never had a number takes no row: never seen, it would never be forgotten either.
        numbers = np.flatnonzero(~np.isnan(values).all(axis=tuple(range(1, values.ndim))))
        rows = self._rows([found.keys[number] for number in numbers.tolist()])
        kept = rows >= 0
        self._refuse({**found.refused, Refusal.LIMIT: int((~kept).sum())})
        return rows[kept], values[numbers[kept]]

    def _rows(self, keys: Sequence[Key]) -> Ints:
        if all(key in self.engine.index for key in keys):
            return self.engine.rows(keys, 0)
        with self.room() as room:
            return self.engine.rows(keys, room)

    def _refuse(self, refused: dict[Refusal, int]) -> None:
        for reason, count in refused.items():
            if count:
                self.metrics.refused.labels(self.signal.name, str(reason)).inc(count)
                self._complain(reason, "series refused", reason=str(reason), series=count)

    def _complain(self, kind: str, message: str, **fields: object) -> None:
        """Log once for each kind: the counters tell the rest."""
        if kind not in self._complained:
            self._complained.add(kind)
            self.log.warning(message, signal=self.signal.name, **fields)


def _empty(matrix: Matrix) -> Bools:
    """Return at which of its times no series has a sample; no series at all is empty at every time."""
    return np.asarray(np.isnan(matrix.values).all(axis=0), dtype=np.bool_)
