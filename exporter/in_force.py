"""The feedback in force: what each engine is told of it, and the envelopes of what is expected."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, tzinfo

import numpy as np

from presagio.detectors.arrays import Bools
from presagio.detectors.base import Ints
from presagio.exporter.config import Signal
from presagio.exporter.engine import Engine, Scores
from presagio.exporter.envelope import Drawing, Envelope
from presagio.exporter.evaluation import Source, Timing
from presagio.exporter.feedback import Feedback, Kind
from presagio.exporter.feedback_book import Book
from presagio.exporter.judgement import Judgement
from presagio.exporter.narrow import Narrow
from presagio.exporter.signals import Key, finite, named

_NEWS_AFTER = 3600.0


class InForce:
    """What the book says now. zone: of the local day, whose quarters of an hour an envelope knows."""

    def __init__(self, book: Book, zone: tzinfo = UTC) -> None:
        self.book = book
        self.zone = zone
        self.applied: dict[int, float] = {}

    def tell(self, engines: Iterable[Engine]) -> None:
        """Let each engine know what is said of its rows."""
        feedback = self.book.in_force()
        for engine in engines:
            self._tell(engine, [one for one in feedback if _may_cover(one, engine.signal)])

    def _tell(self, engine: Engine, feedback: Sequence[Feedback]) -> None:
        if not feedback:
            engine.judgement = None
            return
        envelopes = self._envelopes(feedback, engine.signal)
        old = engine.judgement
        if old is None or old.feedback != feedback or old.envelopes != envelopes:
            engine.judgement = Judgement(feedback, envelopes, engine.signal.dead_band, self.zone)

    def _envelopes(self, feedback: Sequence[Feedback], signal: Signal) -> dict[int, Envelope]:
        found = ((one.id, self._envelope(one, signal)) for one in feedback if one.kind == Kind.EXPECTED)
        return {number: envelope for number, envelope in found if envelope is not None}

    def _envelope(self, feedback: Feedback, signal: Signal) -> Envelope | None:
        envelope = self.book.envelope(feedback.id, signal.name)
        return envelope if envelope is not None and envelope.zone == str(self.zone) else None

    def note(self, scores: Scores) -> Sequence[int]:
        """Remember which feedback kept scores low; return those that had not for an hour."""
        if scores.excused is None:
            return ()
        found = [number for number in np.unique(scores.excused).tolist() if number]
        news = [one for one in found if scores.time - self.applied.get(one, -np.inf) > _NEWS_AFTER]
        self.applied.update(dict.fromkeys(found, scores.time))
        return news

    def wanted(self, engine: Engine) -> Ints:
        """Return the marks that the rows would have if they had learnt under what is in force."""
        if engine.judgement is None:
            return np.zeros(len(engine.keys), dtype=np.int64)
        return engine.judgement.marks(engine.keys)

    def stale(self, engine: Engine) -> Bools:
        """Return the rows that have learnt under other feedback."""
        other: Bools = (engine.marks >= 0) & (engine.marks != self.wanted(engine))
        return other if engine.judgement is None else other | engine.judgement.lacks(engine.keys)

    def is_over(self, service_id: str, time: float) -> bool:
        """Return whether all that is said of a service lies before `time`."""
        return all(one.end <= time for one in self.book.in_force() if one.service_id == service_id)

    def draw(self, keys: Sequence[Key], signal: Signal, source: Narrow, timing: Timing) -> None:
        """Draw the envelopes that a service's rows lack, from history. Raises SourceError."""
        for one in self.book.in_force():
            rows = [key for key in keys if one.covers(key)]
            if one.kind == Kind.EXPECTED and rows and self._envelope(one, signal) is None:
                self.book.keep(one.id, signal.name, self._drawn(one, rows, source, timing))

    def _drawn(self, feedback: Feedback, keys: Sequence[Key], source: Narrow, timing: Timing) -> Envelope:
        drawing = Drawing(keys, self.zone)
        start, end = timing.at_or_before(feedback.begin), timing.at_or_before(feedback.end)
        start += timing.interval if start < feedback.begin else 0.0
        for matrix in source.history(source.query, start, end, timing.interval, len(keys)):
            found = named(source.naming, matrix)
            blind = _blind(source, timing, matrix.times[0], matrix.times[-1], len(matrix.times))
            drawing.add(found.keys, matrix.times, finite(matrix.values[found.rows]), blind)
        return drawing.envelope


def _may_cover(feedback: Feedback, signal: Signal) -> bool:
    """Return whether rows of a signal may be meant: a signal may take the names of its rows from a label."""
    return feedback.signal in (None, signal.name) or signal.signal_label is not None


def _blind(source: Source, timing: Timing, start: float, end: float, count: int) -> Bools:
    if not timing.control:
        return np.zeros(count, dtype=np.bool_)
    control = source.range(timing.control, start, end, timing.interval).values
    return np.asarray(np.isnan(control).all(axis=0), dtype=np.bool_)
