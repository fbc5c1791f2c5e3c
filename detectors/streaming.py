"""What the detectors beside the profile have in common: all but the opinion of a value and what is learnt from it.

Direction, dead-band, range, warm-up, rare zeros, how much an anomaly may teach, what a person said, and a changed
level that has held. A subclass says what it expects (`look`) and learns (`learn`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import Field

from presagio.detectors.arrays import Bools
from presagio.detectors.base import DetectorParams, Floats, Ints, State, Verdict, score_of
from presagio.detectors.held import Held
from presagio.detectors.runs import Runs

BAND_P = 0.0005
"""Each bound is exceeded once in 2,000 samples: together once in a thousand, where the score is 0.3."""

LEAST_SPREAD = 0.001
"""As a share of the level: a series that never moved does not make its first move infinitely unlikely."""

_SUSPECT, _ANOMALOUS, _LEAST_WEIGHT = 0.3, 0.6, 0.01


class StreamingParams(DetectorParams):
    """Parameters of all of them."""

    warm_up: int = Field(30, ge=2, description="samples before a score above 0.3 is given")


@dataclass(frozen=True)
class Moment:
    """What came: values[n] at `time` (Unix seconds), NaN where one is missing."""

    time: float
    values: Floats


@dataclass(frozen=True)
class Opinion:
    """What is thought of n rows before anything is learnt; each array has shape [n].

    r: deviation in units of the usual one. p: chance of one at least so large on its side, 0..0.5. expected, lower,
    upper: in the signal's unit, NaN where nothing is known. known: 0..1, lowers the confidence.
    """

    r: Floats
    p: Floats
    expected: Floats
    lower: Floats
    upper: Floats
    known: Floats | float = 1.0


@dataclass(frozen=True)
class Lesson:
    """How much n rows may teach; each array has shape [n]. Nothing is learnt where weight is 0.

    weight: 0..1. anomalous: the value is too strange to be ordinary. expected: a person said that it is ordinary.
    """

    weight: Floats
    anomalous: Bools
    expected: Bools

    @property
    def ordinary(self) -> Bools:
        """Return the rows whose value may stand for what is usual."""
        return (self.weight > 0) & (self.expected | ~self.anomalous)


class Part(Protocol):
    """Something learnt that keeps itself."""

    def reindex(self, rows: Ints) -> None:
        """Follow churn."""

    def state(self, prefix: str) -> dict[str, Floats]:
        """Return the arrays, each name led by `prefix`."""

    def restore(self, state: State, prefix: str) -> None:
        """Take what `state` returned."""


class Streaming:
    """n rows. `learnt` holds arrays by name, the first axis the row; `parts` keep themselves, by a prefix."""

    Params: ClassVar[type[DetectorParams]] = StreamingParams

    def __init__(self, params: StreamingParams) -> None:
        self.params = params
        self.zeros, self.held = Runs(params.warm_up), Held()
        self.parts: dict[str, Part] = {"zeros_": self.zeros, "held_": self.held}
        self.learnt: dict[str, npt.NDArray[Any]] = self._blank(0)

    def look(self, now: Moment) -> Opinion:
        """Return the opinion of the values, of which some are NaN."""
        raise NotImplementedError

    def learn(self, now: Moment, opinion: Opinion, lesson: Lesson) -> None:
        """Take in the values. `count`, the samples learnt before, is kept for it."""
        raise NotImplementedError

    def blank(self, rows: int) -> dict[str, npt.NDArray[Any]]:
        """Return what is known of so many new rows; the first axis is the row."""
        raise NotImplementedError

    def adopt(self, rows: Bools, opinion: Opinion) -> None:
        """Take the level that has held as the new normal, where something is expected: the rows begin anew."""
        self.reindex(np.where(rows & ~np.isnan(opinion.expected), -1, np.arange(len(rows))))

    def ready(self) -> Bools:
        """Return the rows that have warmed up."""
        return self.learnt["count"] >= self.params.warm_up

    def step(self, time: float, values: Floats, trust: Floats | None = None) -> Verdict:
        """Score values[n] at `time` (Unix seconds), then learn from them, as far as trust[n] has it."""
        seen = ~np.isnan(values)
        said = np.full(len(values), np.nan) if trust is None else trust
        now = Moment(time, values)
        opinion = self.look(now)
        surprise, score = self._scores(values, opinion, seen, said)
        verdict = self._verdict(opinion, score, seen)
        lesson = self._lesson(surprise, seen, said)
        self._follow(time, values, surprise, lesson)
        self.learn(now, opinion, lesson)
        self.learnt["count"] = self.learnt["count"] + (lesson.weight > 0)
        self._adopt(time, opinion)
        return verdict

    def _scores(self, values: Floats, opinion: Opinion, seen: Bools, said: Floats) -> tuple[Floats, Floats]:
        """Return the surprise, which says how much to learn, and the score, which is for people.

        They differ where people do not care: on the other side, and within the dead-band.
        """
        sides = 2.0 if self.params.direction == "both" else 1.0
        residual = np.where(seen, values - opinion.expected, 0.0)
        usual = np.where(seen, np.minimum(opinion.p * sides, 1.0), 1.0)
        p = np.where(np.abs(residual) <= self._dead_band(opinion.expected), 1.0, usual)
        p = np.where(self._counts(residual), p, 1.0)
        rare_zero = self._rare_zero(values, seen, said)
        p = np.where(self._counts(-opinion.expected), np.minimum(p, rare_zero), p)
        outside = (values < self.params.range.min) | (values > self.params.range.max)
        surprise = self._tempered(np.minimum(usual, p))
        return np.where(outside, 1.0, surprise), np.where(outside, 1.0, self._tempered(p))

    def _rare_zero(self, values: Floats, seen: Bools, said: Floats) -> Floats:
        """Return the chance of a run of zeros as long as the present one; a fault's teach nothing."""
        before = self.zeros.state("")
        p = self.zeros.step(values == 0, seen)
        after, fault = self.zeros.state(""), said == 0
        self.zeros.restore({field: np.where(fault, before[field], after[field]) for field in after}, "")
        return p

    def _tempered(self, p: Floats) -> Floats:
        """Return the score, kept low while warming up."""
        score = score_of(p)
        return np.where(self.ready(), score, np.minimum(score, _SUSPECT))

    def _counts(self, residual: Floats) -> Bools:
        if self.params.direction == "both":
            return np.ones(len(residual), dtype=np.bool_)
        return residual > 0 if self.params.direction == "above" else residual < 0

    def _dead_band(self, expected: Floats) -> Floats:
        band = self.params.dead_band
        return np.maximum(band.absolute, band.relative * np.abs(expected))

    def _verdict(self, opinion: Opinion, score: Floats, seen: Bools) -> Verdict:
        band, count = self._dead_band(opinion.expected), self.learnt["count"]
        possible = self.params.range
        confidence = np.where(self.ready(), 1 - self.params.warm_up / np.maximum(count + 1, 1), 0.0)
        return Verdict(
            score=np.where(seen, score, np.nan),
            expected=np.clip(opinion.expected, possible.min, possible.max),
            lower=np.clip(np.minimum(opinion.lower, opinion.expected - band), possible.min, possible.max),
            upper=np.clip(np.maximum(opinion.upper, opinion.expected + band), possible.min, possible.max),
            confidence=np.clip(confidence * opinion.known, 0.0, 1.0),
        )

    def _lesson(self, surprise: Floats, seen: Bools, said: Floats) -> Lesson:
        """Return weights from 1 to almost 0 while the surprise rises from 0.3 to 0.6; a person decides first."""
        doubt = np.clip((surprise - _SUSPECT) / (_ANOMALOUS - _SUSPECT), 0.0, 1.0)
        weight = np.where(np.isnan(said), 1 - (1 - _LEAST_WEIGHT) * doubt, said)
        return Lesson(np.where(seen, weight, 0.0), seen & (surprise >= _ANOMALOUS), seen & (said == 1))

    def _follow(self, time: float, values: Floats, surprise: Floats, lesson: Lesson) -> None:
        learns = lesson.weight > 0
        suspect = learns & (surprise >= _SUSPECT) & self.ready() & ~lesson.expected
        self.held.step(time, values, suspect, learns & ~suspect)

    def _adopt(self, time: float, opinion: Opinion) -> None:
        rows = self.held.is_due(time, self.params.adapt_after)
        if rows.any():
            self.adopt(rows, opinion)
            self.held.since = np.where(rows, np.nan, self.held.since)

    def reindex(self, rows: Ints) -> None:
        """Follow churn: new row i was row rows[i]; -1 is a series never seen."""
        fresh, known = self._blank(len(rows)), rows >= 0
        for field, array in fresh.items():
            array[known] = self.learnt[field][rows[known]]
        self.learnt = fresh
        for part in self.parts.values():
            part.reindex(rows)

    def _blank(self, rows: int) -> dict[str, npt.NDArray[Any]]:
        return {"count": np.zeros(rows), **self.blank(rows)}

    def state(self) -> State:
        """Return all that was learnt. No copies: it is to be written out before the next step."""
        whole = dict(self.learnt)
        for prefix, part in self.parts.items():
            whole.update(part.state(prefix))
        return whole

    def restore(self, state: State) -> None:
        """Take what `state` returned. Raises ValueError if something is missing or of another size."""
        try:
            made = {field: np.array(state[field], dtype=blank.dtype) for field, blank in self._blank(0).items()}
            for prefix, part in self.parts.items():
                part.restore(state, prefix)
        except KeyError as error:
            raise ValueError(f"state of another version: it lacks {error.args[0]!r}") from error
        for field, blank in self._blank(0).items():
            if made[field].shape[1:] != blank.shape[1:]:
                raise ValueError(f"state of another version: {field!r} has shape {made[field].shape}")
        self.learnt = made
