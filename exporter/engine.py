"""One step of time, pure: the values of a signal's rows in, their scores out.

Live evaluation, warm start, catching up and backtest all come through here with the time as an argument, and give the
same scores to the bit for the same samples. Nothing here reads a clock or asks Prometheus.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from presagio.detectors.arrays import Bools
from presagio.detectors.base import Detector, Floats, Inheriting, Ints, score_of
from presagio.detectors.runs import Runs
from presagio.exporter.config import Signal
from presagio.exporter.judgement import EXCUSED, Judgement, Said
from presagio.exporter.peers import heirs
from presagio.exporter.signals import Key

_UNKNOWN = -1.0
_MOST_WHILE_WARMING = 0.3
_LEAST_PRESENT = 30
_NEW = -1
"""The mark of a row that has not learnt yet: it will learn under the feedback in force at its first step."""


@dataclass(frozen=True)
class Scores:
    """All rows of one signal at `time`; arrays of shape [n], NaN where there is nothing to say.

    excused: the id of the feedback that keeps the score low, 0 for none; None if there is none at all.
    """

    time: float
    keys: Sequence[Key]
    value: Floats
    score: Floats
    expected: Floats
    lower: Floats
    upper: Floats
    confidence: Floats
    excused: Ints | None = None


class Engine:
    """The rows of one signal: which are there, since when, and the detector that scores them.

    names: what the keys of its rows depend on beside the signal.
    """

    def __init__(self, signal: Signal, detector: Detector, names: str = "") -> None:
        self.signal = signal
        self.detector = detector
        self.names = names
        self.time = -np.inf
        self.keys: list[Key] = []
        self.index: dict[Key, int] = {}
        self.services: Ints = np.zeros(0, dtype=np.int64)
        self.last_seen = np.zeros(0)
        self.last_value = np.zeros(0)
        self.left: Bools = np.zeros(0, dtype=np.bool_)
        self.judgement: Judgement | None = None
        self.last_expected = np.zeros(0)
        self.marks: Ints = np.zeros(0, dtype=np.int64)
        self.absence = Runs(_LEAST_PRESENT)

    def rows(self, keys: Sequence[Key], room: int) -> Ints:
        """Return the row of each key, making at most `room` new ones; -1 for a key that found none."""
        new = [key for key in keys if key not in self.index][: max(room, 0)]
        if new:
            self._reindex(np.append(np.arange(len(self.keys)), np.full(len(new), -1)), [*self.keys, *new])
        return np.fromiter((self.index.get(key, -1) for key in keys), dtype=np.int64, count=len(keys))

    def step(self, time: float, rows: Ints, values: Floats, partial: bool = False) -> Scores:
        """Score values[m] of the given rows at `time`; rows not given, or NaN, are absent.

        partial: the answer may lack series that exist, so that absence means nothing.
        """
        self.time = time
        observed = np.full(len(self.keys), np.nan)
        observed[rows] = values
        present = ~np.isnan(observed)
        self._restart(present & self._forgotten(time))
        absent = self._absent(present, partial) & ~self._forgotten(time)
        self._inherit(present, observed)
        said = self._said(time, observed)
        filled = self._filled(observed, absent)
        verdict = self.detector.step(time, filled) if said is None else self.detector.step(time, filled, said.trust)
        absence = self._absence_score(present, absent, verdict.confidence, said)
        score = np.where(present, verdict.score, absence)
        score = np.where(absent & self._filling(), verdict.score, score)
        self.last_seen = np.where(present, time, self.last_seen)
        self.last_value = np.where(present, observed, self.last_value)
        self.last_expected = verdict.expected
        if said is not None:  # a person expects this: it is unusual all the same, but nobody is to be called
            score = np.where(said.excused > 0, np.minimum(score, EXCUSED), score)
        return Scores(
            time, self.keys, observed, score, verdict.expected, verdict.lower, verdict.upper, verdict.confidence,
            None if said is None else said.excused,
        )  # fmt: skip

    def _inherit(self, present: Bools, observed: Floats) -> None:
        """Let series that are seen for the first time begin from the profile of a peer."""
        new = present & (self.last_seen == _UNKNOWN)
        if not new.any() or not isinstance(self.detector, Inheriting):
            return
        known = self.last_seen != _UNKNOWN
        found = heirs(new, known, self.services, observed, self.last_expected)
        if len(found.rows):
            self.detector.inherit(found.rows, found.donors, found.kin, observed[found.rows])

    def _said(self, time: float, observed: Floats) -> Said | None:
        """Return what people said of this moment, and mark new rows with the feedback that they learn under."""
        if self.judgement is None:
            self.marks = np.where(self.marks == _NEW, 0, self.marks)
            return None
        self.marks = np.where(self.marks == _NEW, self.judgement.marks(self.keys), self.marks)
        return self.judgement.at(time, self.keys, observed, self.last_expected)

    def _forgotten(self, time: float) -> Bools:
        forgotten: Bools = (self.last_seen != _UNKNOWN) & (time - self.last_seen > self.signal.forget_after)
        return forgotten

    def _restart(self, rows: Bools) -> None:
        """A series that comes back after it was forgotten is a new one, whether or not its row was swept."""
        if rows.any():
            self._reindex(np.where(rows, -1, np.arange(len(self.keys))), self.keys)

    def _absent(self, present: Bools, partial: bool) -> Bools:
        """Return the rows whose absence means something: once seen, not forgotten, the whole service gone.

        A pod that goes while others of its service stay was replaced; it has left, until it comes back.
        """
        if partial:
            self.left = ~present & self.left
            return np.zeros_like(present)
        some: Bools = np.bincount(self.services, weights=present, minlength=1)[self.services] > 0
        self.left = ~present & (self.left | some)
        seen: Bools = self.last_seen != _UNKNOWN
        return ~present & ~self.left & seen

    def _filling(self) -> bool:
        return self.signal.missing in ("zero", "previous")

    def _filled(self, observed: Floats, absent: Bools) -> Floats:
        if not self._filling():
            return observed
        return np.where(absent, 0.0 if self.signal.missing == "zero" else self.last_value, observed)

    def _absence_score(self, present: Bools, absent: Bools, confidence: Floats, said: Said | None) -> Floats:
        before = {} if said is None else self.absence.state("")
        p = self.absence.step(absent, present | absent)
        if said is not None:  # what was a fault is scored and teaches nothing
            after = self.absence.state("")
            self.absence.restore({one: np.where(said.fault, before[one], after[one]) for one in after}, "")
        score = score_of(p)
        score = np.where(confidence > 0, score, np.minimum(score, _MOST_WHILE_WARMING))
        return np.where(absent & (self.signal.missing == "anomalous"), score, np.nan)

    def sweep(self, time: float) -> int:
        """Drop the rows that were forgotten; return how many. Changes no score."""
        gone = self._forgotten(time)
        if gone.any():
            keep = np.flatnonzero(~gone)
            self._reindex(keep, [self.keys[row] for row in keep])
        return int(gone.sum())

    def _reindex(self, rows: Ints, keys: list[Key]) -> None:
        services: dict[str, int] = {}
        self.keys = list(keys)
        self.index = {key: row for row, key in enumerate(self.keys)}
        ids = (services.setdefault(key.service_id, len(services)) for key in self.keys)
        self.services = np.fromiter(ids, dtype=np.int64, count=len(self.keys))
        self.last_seen = np.append(self.last_seen, _UNKNOWN)[rows]
        self.last_value = np.append(self.last_value, np.nan)[rows]
        self.left = np.append(self.left, False)[rows]
        self.last_expected = np.append(self.last_expected, np.nan)[rows]
        self.marks = np.append(self.marks, _NEW)[rows]
        self.absence.reindex(rows)
        self.detector.reindex(rows)

    def graft(self, other: Engine, rows: Ints, others: Ints) -> None:
        """Let `rows` know what the rows `others` of another engine know, which is of the same signal and moment."""
        learnt = other.state()
        state = {name: np.array(array) for name, array in self.state().items()}
        for name, array in state.items():
            array[rows] = learnt[name][others]
        self.restore(self.time, self.keys, state)

    def state(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return all arrays, for a snapshot."""
        own = {
            "last_seen": self.last_seen, "last_value": self.last_value, "left": self.left,
            "last_expected": self.last_expected, "marks": self.marks,
        }  # fmt: skip
        learnt = {f"detector_{name}": array for name, array in self.detector.state().items()}
        return {**own, **self.absence.state("absence_"), **learnt}

    def restore(self, time: float, keys: Sequence[Key], state: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Take what `state` returned. Raises ValueError or KeyError if it is of another version, and is as new."""
        self._reindex(np.full(len(keys), -1), list(keys))
        try:
            self._take(state)
        except (ValueError, KeyError):
            self._reindex(np.zeros(0, dtype=np.int64), [])
            raise
        self.time = time

    def _take(self, state: Mapping[str, npt.NDArray[np.generic]]) -> None:
        self.last_seen = np.array(state["last_seen"], dtype=np.float64)
        self.last_value = np.array(state["last_value"], dtype=np.float64)
        self.left = np.array(state["left"], dtype=np.bool_)
        self.last_expected = np.array(state["last_expected"], dtype=np.float64)
        self.marks = np.array(state["marks"], dtype=np.int64)
        self.absence.restore(state, "absence_")
        prefix = "detector_"
        self.detector.restore({name.removeprefix(prefix): state[name] for name in state if name.startswith(prefix)})
        if {len(array) for array in self.state().values()} != {len(self.keys)}:
            raise ValueError("arrays of another length than the rows")
