"""What was seen in an expected period, by the time of day: what may come again at that time without an alarm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

import numpy as np
import orjson

from presagio.detectors.arrays import Bools
from presagio.detectors.base import DeadBand, Floats, Ints
from presagio.exporter.signals import Key

BINS = 96
"""A quarter of an hour each."""

MARGIN = 0.25
"""As a share of the envelope's height. Two nights of one batch job differ by so much; a job gone wild by far more."""

_MOST_ROWS = 50
"""Rows that keep an envelope of their own; others, and pods that did not live then, have what all had together."""

Line = tuple[str, tuple[tuple[str, str], ...] | None]
"""A row's signal and labels; None for all rows of the signal together."""


def bin_of(time: float, zone: tzinfo) -> int:
    """Return which quarter of the local day `time` (Unix seconds) lies in."""
    local = datetime.fromtimestamp(time, zone)
    return (local.hour * 60 + local.minute) * BINS // 1440


@dataclass(frozen=True, eq=False)
class Envelope:
    """Least and greatest value seen, low[l, 96] and high[l, 96], NaN where none; gone[l, 96]: absence was seen.

    zone: the name of the time zone whose days these are.
    """

    zone: str
    lines: Sequence[Line]
    low: Floats
    high: Floats
    gone: Bools

    @property
    def bins(self) -> Ints:
        """Return at which times of the day anything is excused: those of the period, and one more on each side."""
        some = (self.gone | ~np.isnan(self.low)).any(axis=0)
        return np.flatnonzero(some | np.roll(some, 1) | np.roll(some, -1))

    def line(self, key: Key) -> int:
        """Return the line of a row, of all rows together if it has none of its own, or -1."""
        wanted = ((key.signal, key.labels), (key.signal, None))
        return next((self.lines.index(one) for one in wanted if one in self.lines), -1)

    def holds(self, lines: Ints, number: int, values: Floats, expected: Floats, dead_band: DeadBand) -> Bools:
        """Return which values are as they were in the period, or between that and what is expected anyway.

        A value of NaN is an absence. `number` is the bin; its two neighbours count too, also across midnight.
        """
        near = [(number - 1) % BINS, number, (number + 1) % BINS]
        low = np.fmin.reduce(self.low[lines][:, near], axis=1)
        high = np.fmax.reduce(self.high[lines][:, near], axis=1)
        low = np.where(np.isnan(expected), low, np.minimum(low, expected))
        high = np.where(np.isnan(expected), high, np.maximum(high, expected))
        margin = MARGIN * (high - low) + dead_band.absolute + dead_band.relative * np.nan_to_num(np.abs(expected))
        gone = self.gone[lines][:, near].any(axis=1) & np.isnan(values)
        inside: Bools = ((values >= low - margin) & (values <= high + margin)) | gone
        return inside & (lines >= 0)

    def dump(self) -> bytes:
        """Return it as JSON; only the times of day that have anything."""
        lines = [
            [signal, labels, [[n, self.low[i, n], self.high[i, n], self.gone[i, n]] for n in self._some(i)]]
            for i, (signal, labels) in enumerate(self.lines)
        ]
        return orjson.dumps({"zone": self.zone, "lines": lines}, option=orjson.OPT_SERIALIZE_NUMPY)

    def _some(self, line: int) -> list[int]:
        return np.flatnonzero(self.gone[line] | ~np.isnan(self.low[line])).tolist()


def load(payload: bytes) -> Envelope:
    """Return what `dump` wrote. Raises ValueError, KeyError, TypeError or IndexError for anything else."""
    data = orjson.loads(payload)
    empty = _empty(data["zone"], [_line(signal, labels) for signal, labels, _ in data["lines"]])
    for index, (_, _, bins) in enumerate(data["lines"]):
        for number, low, high, gone in bins:
            empty.low[index, number] = np.nan if low is None else low
            empty.high[index, number] = np.nan if high is None else high
            empty.gone[index, number] = gone
    return empty


def _line(signal: str, labels: Sequence[Sequence[str]] | None) -> Line:
    return signal, None if labels is None else tuple((name, value) for name, value in labels)


def _empty(zone: str, lines: Sequence[Line]) -> Envelope:
    shape = len(lines), BINS
    return Envelope(zone, lines, np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape, dtype=np.bool_))


class Drawing:
    """Draws an envelope from history as it comes in, piece by piece."""

    def __init__(self, keys: Sequence[Key], zone: tzinfo) -> None:
        self.zone = zone
        self.keys = {key: row for row, key in enumerate(keys)}
        own: list[Line] = [(key.signal, key.labels) for key in keys[:_MOST_ROWS]]
        self.signals = sorted({key.signal for key in keys})
        self.envelope = _empty(str(zone), [*own, *((signal, None) for signal in self.signals)])

    def add(self, keys: Sequence[Key], times: Floats, values: Floats, blind: Bools) -> None:
        """Take in values[n, t] of rows, NaN where absent. At `blind` times Prometheus had no data at all."""
        mine = np.full((len(self.keys), len(times)), np.nan)
        rows = [self.keys.get(key, -1) for key in keys]
        mine[[row for row in rows if row >= 0]] = values[[i for i, row in enumerate(rows) if row >= 0]]
        bins = np.array([bin_of(time, self.zone) for time in times.tolist()], dtype=np.int64)
        for number in np.unique(bins).tolist():
            self._add(number, mine[:, bins == number], ~blind[bins == number])

    def _add(self, number: int, values: Floats, seeing: Bools) -> None:
        absent = np.isnan(values) & seeing
        envelope = self.envelope
        for line, rows in enumerate(self._rows()):
            some = values[rows].ravel()
            envelope.low[line, number] = np.fmin.reduce(some, initial=envelope.low[line, number])
            envelope.high[line, number] = np.fmax.reduce(some, initial=envelope.high[line, number])
            envelope.gone[line, number] |= absent[rows].all(axis=0).any()

    def _rows(self) -> Iterator[list[int]]:
        """Yield the rows of each line."""
        yield from ([row] for row in range(min(len(self.keys), _MOST_ROWS)))
        for signal in self.signals:
            yield [row for key, row in self.keys.items() if key.signal == signal]
