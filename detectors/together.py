"""The contract of a combiner: several signals of a service, one score.

A combiner holds n services and k signals and steps all of them at once. Like a detector it scores first and learns
after, never reads a clock, and takes NaN for a missing score: that lowers the confidence and stops nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from presagio.detectors.base import Floats, Ints, State, score_of
from presagio.toolkit.schema import Model

Bools = npt.NDArray[np.bool_]

MOST_WHILE_WARMING = 0.3
"""No score is higher while nothing is known of any signal of the service."""


class CombinerParams(Model):
    """What every combiner is told; its own `Params` may add to it."""


@dataclass(frozen=True)
class Combined:
    """What a combiner says of n services and k signals at one moment.

    score[n]: 0..1, `min(1, -log10(p) / 10)`, NaN for a service without any score now. contribution[n, k]: shares of
    the signals, which sum to 1 over those that are there; NaN for the others. confidence[n]: 0..1.
    """

    score: Floats
    contribution: Floats
    confidence: Floats


class Combiner(Protocol):
    """All services. The constructor takes `Params` and only stores it."""

    Params: ClassVar[type[CombinerParams]]

    def step(self, time: float, scores: Floats, confidence: Floats, surprise: Floats) -> Combined:
        """Combine the signals at `time` (Unix seconds), then learn from them. All arrays are [n, k].

        scores: 0..1, NaN where the signal is missing. confidence: 0..1, NaN where the service has no such signal.
        surprise: the score with the sign of the deviation.
        """

    def reindex(self, rows: Ints, columns: Ints) -> None:
        """Follow churn: new service i was rows[i], new signal j was columns[j]; -1 is one never seen."""

    def state(self) -> State:
        """Return all that was learnt, as arrays of any shape."""

    def restore(self, state: State) -> None:
        """Take what `state` returned, after a `reindex`. Raises ValueError if it is of another combiner."""


def harmonic(scores: Floats) -> Floats:
    """Return the score[n] of the harmonic mean of the p-values in scores[n, k]; NaN is left out.

    Wilson, "The harmonic mean p-value for combining dependent tests", PNAS 2019: small values of it come as often as
    they say, whether the signals are independent or move as one.
    """
    present = ~np.isnan(scores)
    odds = np.where(present, 10.0 ** (10.0 * np.where(present, scores, 0.0)), 0.0)
    count, total = present.sum(axis=1), odds.sum(axis=1)
    p = np.where(count > 0, count / np.maximum(total, 1.0), np.nan)
    return score_of(p)


def shares(weights: Floats) -> Floats:
    """Return weights[n, k] >= 0 so that each row sums to 1: all alike where all are 0, NaN where one is NaN."""
    present = ~np.isnan(weights)
    total = np.where(present, weights, 0.0).sum(axis=1, keepdims=True)
    count = np.maximum(present.sum(axis=1, keepdims=True), 1)
    known = total > 0
    parts: Floats = np.where(known, weights / np.where(known, total, 1.0), 1.0 / count)
    return np.where(present, parts, np.nan)


def confidence_of(scores: Floats, confidence: Floats) -> Floats:
    """Return the mean confidence[n] of the signals that a service has; one that is missing now counts 0."""
    has = ~np.isnan(confidence)
    there = np.where(has & ~np.isnan(scores), confidence, 0.0)
    mean: Floats = there.sum(axis=1) / np.maximum(has.sum(axis=1), 1)
    return mean


def tempered(score: Floats, confidence: Floats) -> Floats:
    """Return the score, kept low where nothing is known."""
    return np.where(confidence > 0, score, np.minimum(score, MOST_WHILE_WARMING))
