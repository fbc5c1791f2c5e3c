"""The default combiner: the signals' scores as one length, with 0.3 set by how often the service itself reaches it.

The length of the vector of scores, divided by the fourth root of their number: one signal beside itself, or several
that are unusual at once. How often 0.3 is reached, signals depending on each other as they do, is learnt for each
service by peaks over threshold (tail.py). From 0.6 on the evidence counts as it is: faults must not teach a service
what to call a fault. Where signals move as one, 0.6 is therefore reached more often than once in a million.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from presagio.detectors.arrays import Arrays, Bools
from presagio.detectors.base import Floats, Ints, State
from presagio.detectors.tail import Tail
from presagio.detectors.together import Combined, CombinerParams, confidence_of, shares, tempered

_REACHED, _ALARM = 0.3, 0.6
_REACHED_P = 1e-3
_LOWEST, _HIGHEST = 0.15, 0.55
_MEMORY, _PRIOR = 5_000.0, 300.0
_PRIOR_MEAN = 0.05


class _Lengths(Arrays):
    fields: ClassVar[tuple[str, ...]] = ("count", "mean")
    new: ClassVar[dict[str, float]] = {"mean": _PRIOR_MEAN}
    count: Floats
    mean: Floats


class ProfileTogetherParams(CombinerParams):
    """Parameters of `profile_together`: there are none."""


class ProfileTogether:
    """n services. About 50 bytes a service."""

    Params: ClassVar[type[CombinerParams]] = ProfileTogetherParams

    def __init__(self, params: ProfileTogetherParams) -> None:
        self.params = params
        self.lengths, self.tail = _Lengths(), Tail()

    def step(self, time: float, scores: Floats, confidence: Floats, surprise: Floats) -> Combined:  # noqa: ARG002
        """Combine scores[n, k]; the time and the side of a deviation do not matter."""
        length = _length(scores)
        known = confidence_of(scores, confidence)
        score = self._calibrated(length)
        self._learn(length, known > 0)
        return Combined(tempered(score, known), shares(np.square(scores)), known)

    def _calibrated(self, length: Floats) -> Floats:
        """Return the length[n] with what is reached once in a thousand moments at 0.3; 0.6 and above stay."""
        reached = self._reached()
        below = _REACHED * length / reached
        between = _REACHED + (_ALARM - _REACHED) * (length - reached) / (_ALARM - reached)
        return np.where(length >= _ALARM, length, np.where(length >= reached, between, below))

    def _reached(self) -> Floats:
        count, mean = self.lengths.count, self.lengths.mean
        learnt = self.tail.quantile(_REACHED_P) * mean
        return np.clip((_PRIOR * _REACHED + count * learnt) / (_PRIOR + count), _LOWEST, _HIGHEST)

    def _learn(self, length: Floats, ready: Bools) -> None:
        """Take in what is no alarm."""
        taught: Bools = ready & (length < _ALARM)
        lengths = self.lengths
        self.tail.learn(np.where(taught, length / lengths.mean, np.nan), taught.astype(np.float64))
        lengths.count = np.minimum(lengths.count + taught, _MEMORY)
        rate = np.where(taught, 1 / np.maximum(lengths.count, 50), 0.0)
        lengths.mean = lengths.mean + rate * (np.where(taught, length, 0.0) - lengths.mean)

    def reindex(self, rows: Ints, columns: Ints) -> None:  # noqa: ARG002
        """Follow churn of services; signals leave no trace of their own."""
        self.lengths.reindex(rows)
        self.tail.reindex(rows)

    def state(self) -> State:
        """Return all that was learnt."""
        return {**self.lengths.state("lengths_"), **self.tail.state("tail_")}

    def restore(self, state: State) -> None:
        """Take what `state` returned. Raises ValueError if it is of another combiner."""
        try:
            self.lengths.restore(state, "lengths_")
            self.tail.restore(state, "tail_")
        except KeyError as error:
            raise ValueError(f"state of another combiner or version: it lacks {error.args[0]!r}") from error


def _length(scores: Floats) -> Floats:
    """Return the length[n] of scores[n, k] over the fourth root of the signals present; NaN if there is none."""
    count = (~np.isnan(scores)).sum(axis=1)
    squares = np.where(np.isnan(scores), 0.0, np.square(scores)).sum(axis=1)
    length = np.sqrt(squares / np.sqrt(np.maximum(count, 1)))
    return np.where(count > 0, np.minimum(length, 1.0), np.nan)
