"""What surrounds an alarm, kept while the span goes by: value, expectation, band and score, before it and after."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from presagio.exporter.backtest.alarms import Alarm, Alarms
from presagio.exporter.engine import Scores
from presagio.exporter.signals import Key

_BEFORE = 3600.0
_LEAST_BEFORE = 60
"""Moments shown before an alarm, if an hour has fewer."""

_MOST_CELLS = 2_000_000
"""Series times moments that are held, in case one of them is about to alarm."""

_MOST_POINTS = 1200
_OPEN_FOR_EACH = 10
"""Alarms followed at once for each picture wanted: when everything fails together, memory stays bounded."""


@dataclass(frozen=True)
class Point:
    """One series at one moment."""

    time: float
    value: float
    expected: float
    lower: float
    upper: float
    score: float


class Trace:
    """An alarm and the points around it. A long one is thinned out evenly: of `stride` neighbours the worst stays."""

    def __init__(self, alarm: Alarm, points: Iterable[Point]) -> None:
        self.alarm = alarm
        self.points: list[Point] = []
        self._stride = self._merged = 1
        for point in points:
            self.add(point)

    def add(self, point: Point) -> None:
        """Take in the next point."""
        if self._merged < self._stride:
            self.points[-1] = max(self.points[-1], point, key=_badness)
            self._merged += 1
            return
        self.points.append(point)
        self._merged = 1
        if len(self.points) == _MOST_POINTS:
            self.points = [max(pair, key=_badness) for pair in zip(self.points[::2], self.points[1::2], strict=True)]
            self._stride *= 2
            self._merged += self._stride // 2


def _badness(point: Point) -> float:
    return point.score if point.score == point.score else -1.0  # NaN is not itself


class Album:
    """Traces of the `most` worst alarms, as `alarms` finds them."""

    def __init__(self, alarms: Alarms, interval: float, most: int) -> None:
        self.alarms = alarms
        self.most = most
        self.before = max(round(_BEFORE / interval), _LEAST_BEFORE)
        self.after = max(self.before * interval / 2, alarms.patience)
        self._seen = 0
        self._recent: dict[str, deque[Scores]] = {}
        self._open: dict[str, dict[Key, list[Trace]]] = {}
        self._closed: list[Trace] = []
        self._index: dict[str, tuple[Sequence[Key], dict[Key, int]]] = {}

    def add(self, name: str, scores: Scores) -> None:
        """Take in the scores of one signal, after `alarms` has."""
        recent = self._recent.setdefault(name, deque())
        recent.append(scores)
        while len(recent) > max(1, min(self.before, _MOST_CELLS // max(len(scores.keys), 1))):
            recent.popleft()
        self._follow(name, scores)
        for alarm in self.alarms.found[self._seen :]:
            points = [point for one in recent if (point := self._point(name, one, alarm.key))]
            self._open.setdefault(name, {}).setdefault(alarm.key, []).append(Trace(alarm, points))
        self._seen = len(self.alarms.found)
        self._bound()

    def worst(self) -> list[Trace]:
        """Return the traces of the worst alarms, the worst first."""
        return sorted((*self._closed, *self._all_open()), key=_rank)[: self.most]

    def _follow(self, name: str, scores: Scores) -> None:
        for key, traces in list(self._open.get(name, {}).items()):
            point = self._point(name, scores, key)
            for trace in traces:
                if scores.time - trace.alarm.end > self.after:
                    self._closed.append(trace)
                elif point:
                    trace.add(point)
            self._open[name][key] = [one for one in traces if scores.time - one.alarm.end <= self.after]
            if not self._open[name][key]:
                del self._open[name][key]

    def _point(self, name: str, scores: Scores, key: Key) -> Point | None:
        row = self._rows(name, scores.keys).get(key)
        if row is None:
            return None
        columns = (scores.value, scores.expected, scores.lower, scores.upper, scores.score)
        return Point(scores.time, *(float(column[row]) for column in columns))

    def _rows(self, name: str, keys: Sequence[Key]) -> dict[Key, int]:
        known = self._index.get(name)
        if known is None or known[0] is not keys:
            known = self._index[name] = keys, {key: row for row, key in enumerate(keys)}
        return known[1]

    def _bound(self) -> None:
        if len(self._closed) > 2 * self.most:
            self._closed = sorted(self._closed, key=_rank)[: self.most]
        if sum(1 for _ in self._all_open()) > 2 * _OPEN_FOR_EACH * self.most:
            kept = {id(one) for one in sorted(self._all_open(), key=_rank)[: _OPEN_FOR_EACH * self.most]}
            for name, rows in self._open.items():
                left = {key: [one for one in traces if id(one) in kept] for key, traces in rows.items()}
                self._open[name] = {key: traces for key, traces in left.items() if traces}

    def _all_open(self) -> Iterator[Trace]:
        return (trace for rows in self._open.values() for traces in rows.values() for trace in traces)


def _rank(trace: Trace) -> tuple[float, float]:
    return -trace.alarm.score, trace.alarm.begin


def finite(values: Sequence[float]) -> list[float]:
    """Return the values that are numbers."""
    return [value for value in values if np.isfinite(value)]
