"""What people said of the past, row by row and moment by moment: pure, so that live and backtest are the same.

Inside a `fault` nothing is learnt. Inside an `expected` period all is learnt and the score is kept below 0.3, and on
later days so it is at the same time of day, within the envelope of the period (envelope.py). Where two periods
overlap, the one that was given later counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo

import numpy as np

from presagio.detectors.arrays import Bools
from presagio.detectors.base import DeadBand, Floats, Ints
from presagio.exporter.envelope import BINS, Envelope, bin_of
from presagio.exporter.feedback import Feedback, Kind
from presagio.exporter.signals import Key

EXCUSED = 0.29
"""The highest score of what was expected: below 0.3, where a band ends and the lowest alarm begins."""

_FAULT, _EXPECTED = 0.0, 1.0


@dataclass(frozen=True)
class Said:
    """Of n rows: trust[n] for the detector, NaN where nobody said anything; the feedback that excuses, or 0."""

    trust: Floats
    excused: Ints

    @property
    def fault(self) -> Bools:
        """Return where a person called the sample a fault."""
        return np.asarray(self.trust == _FAULT, dtype=np.bool_)


@dataclass(frozen=True)
class _Place:
    """Where one feedback applies: `rows` of the engine, and for each the line of the envelope."""

    feedback: Feedback
    rows: Ints
    lines: Ints


class Judgement:
    """All feedback in force on the rows of one signal; `envelopes` by the feedback's id, where there are any yet."""

    def __init__(
        self, feedback: Sequence[Feedback], envelopes: Mapping[int, Envelope], dead_band: DeadBand,
        zone: tzinfo = UTC,
    ) -> None:  # fmt: skip
        self.feedback = sorted(feedback, key=lambda one: one.id)
        self.zone = zone
        self.envelopes = envelopes
        self.dead_band = dead_band
        self._keys: Sequence[Key] = ()
        self._places: list[_Place] = []
        self._later: list[list[_Place]] = [[] for _ in range(BINS)]
        self._marks: Ints = np.zeros(0, dtype=np.int64)
        self._lacks: Bools = np.zeros(0, dtype=np.bool_)

    def marks(self, keys: Sequence[Key]) -> Ints:
        """Return for each row a number that says under which feedback it is to learn: 0 under none."""
        self._place(keys)
        return self._marks

    def lacks(self, keys: Sequence[Key]) -> Bools:
        """Return the rows of which something is expected whose envelope was not drawn yet."""
        self._place(keys)
        return self._lacks

    def at(self, time: float, keys: Sequence[Key], values: Floats, expected: Floats) -> Said | None:
        """Return what was said of `values` (NaN: absent) at `time`; None if nothing was.

        expected: what was expected at the moment before; what lies between it and the envelope is expected too.
        """
        self._place(keys)
        said = Said(np.full(len(keys), np.nan), np.zeros(len(keys), dtype=np.int64))
        self._within_later(time, values, expected, said)
        for place in self._places:
            if place.feedback.begin <= time <= place.feedback.end:
                is_expected = place.feedback.kind == Kind.EXPECTED
                said.trust[place.rows] = _EXPECTED if is_expected else _FAULT
                said.excused[place.rows] = place.feedback.id if is_expected else 0
        return None if np.isnan(said.trust).all() else said

    def _within_later(self, time: float, values: Floats, expected: Floats, said: Said) -> None:
        if not self.envelopes:
            return
        number = bin_of(time, self.zone)
        for place in self._later[number]:
            if time > place.feedback.end:
                rows = place.rows
                envelope = self.envelopes[place.feedback.id]
                inside = envelope.holds(place.lines, number, values[rows], expected[rows], self.dead_band)
                said.trust[rows[inside]] = _EXPECTED
                said.excused[rows[inside]] = place.feedback.id

    def _place(self, keys: Sequence[Key]) -> None:
        """Find the rows of each feedback, when the rows have changed."""
        if keys is self._keys:
            return
        self._keys = keys
        services = {one.service_id for one in self.feedback}
        found: dict[str, list[int]] = {}
        for row, key in enumerate(keys):
            if key.service_id in services:
                found.setdefault(key.service_id, []).append(row)
        self._places = [self._placed(one, found.get(one.service_id, ())) for one in self.feedback]
        self._later = [[] for _ in range(BINS)]
        for place in self._places:
            if place.feedback.id in self.envelopes:
                for number in self.envelopes[place.feedback.id].bins.tolist():
                    self._later[number].append(place)
        self._mark(len(keys))

    def _placed(self, feedback: Feedback, rows: Sequence[int]) -> _Place:
        chosen = [row for row in rows if feedback.covers(self._keys[row])]
        envelope = self.envelopes.get(feedback.id)
        lines = [envelope.line(self._keys[row]) if envelope else -1 for row in chosen]
        return _Place(feedback, np.array(chosen, dtype=np.int64), np.array(lines, dtype=np.int64))

    def _mark(self, count: int) -> None:
        self._marks, self._lacks = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.bool_)
        said: dict[int, list[tuple[int, float, bool]]] = {}
        for place in self._places:
            one, drawn = place.feedback, place.feedback.id in self.envelopes
            self._lacks[place.rows] |= one.kind == Kind.EXPECTED and not drawn
            for row in place.rows.tolist():
                said.setdefault(row, []).append((one.id, one.given, drawn))
        for row, ones in said.items():
            self._marks[row] = _number(f"{self.zone} {ones}")


def _number(text: str) -> int:
    """Return a positive number that is another one for another text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7]) + 1
