"""What another policy would have been worth, told from the history of this one. Pure.

IPS weights each outcome by how much likelier the other policy was to make that choice; SNIPS divides by the sum of
the weights, which bounds it; DR corrects a model of the outcomes by the weighted error of that model, and is right if
either the propensities or the model are. Horvitz and Thompson (JASA 47, 1952); Swaminathan and Joachims, "The
Self-Normalized Estimator for Counterfactual Learning" (NeurIPS 2015); Dudík, Langford and Li, "Doubly Robust Policy
Evaluation and Learning" (ICML 2011). Intervals: percentile bootstrap (Efron, 1979).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from presagio.webhook.recommender import Array

_RESAMPLES = 2000


@dataclass(frozen=True)
class History:
    """Choices that were judged; all arrays of shape (choices,).

    reward: in [0, 1]. propensity: in (0, 1], with which the choice was made. other: in [0, 1], with which the other
    policy would have made it. predicted: the model's reward of that choice. expected: the model's reward of what the
    other policy would have chosen.
    """

    reward: Array
    propensity: Array
    other: Array
    predicted: Array
    expected: Array

    def __post_init__(self) -> None:
        """Refuse what has no value: an impossible choice was not made. Raises ValueError."""
        if len(self.reward) == 0:
            raise ValueError("at least one judged choice is needed, got none")
        if not np.all((self.propensity > 0) & (self.propensity <= 1)):
            raise ValueError(f"propensities must be above 0 and at most 1, got {float(self.propensity.min())!r}")

    @cached_property
    def weights(self) -> Array:
        """Return how much likelier the other policy was to make each choice."""
        return self.other / self.propensity


@dataclass(frozen=True)
class Estimate:
    """A value in reward units (0 to 1), with the ends of its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Valuation:
    """What the other policy is worth by three estimators, and what it was.

    effective: how many choices the weights are worth (Kish). Few of them mean that the history says little.
    """

    logged: Estimate
    ips: Estimate
    snips: Estimate
    doubly_robust: Estimate
    choices: int
    effective: float


def value(history: History, random: np.random.Generator, confidence: float = 0.95) -> Valuation:
    """Return the value of the other policy, with intervals of that confidence."""
    samples = random.integers(0, len(history.reward), (_RESAMPLES, len(history.reward)))

    def estimate(estimator: Callable[[History, NDArray[np.int64]], Array]) -> Estimate:
        once = estimator(history, np.arange(len(history.reward))[None, :])[0]
        low, high = np.quantile(estimator(history, samples), [(1 - confidence) / 2, (1 + confidence) / 2])
        return Estimate(float(once), float(low), float(high))

    squared = float(np.sum(history.weights**2))
    effective = float(np.sum(history.weights)) ** 2 / squared if squared else 0.0
    return Valuation(
        estimate(_logged), estimate(_ips), estimate(_snips), estimate(_doubly_robust), len(history.reward), effective
    )


def _logged(history: History, rows: NDArray[np.int64]) -> Array:
    return np.asarray(history.reward[rows].mean(axis=1))


def _ips(history: History, rows: NDArray[np.int64]) -> Array:
    return np.asarray((history.weights * history.reward)[rows].mean(axis=1))


def _snips(history: History, rows: NDArray[np.int64]) -> Array:
    total = history.weights[rows].sum(axis=1)
    weighted = (history.weights * history.reward)[rows].sum(axis=1)
    return np.asarray(np.divide(weighted, total, out=np.zeros_like(weighted), where=total > 0))


def _doubly_robust(history: History, rows: NDArray[np.int64]) -> Array:
    corrected = history.expected + history.weights * (history.reward - history.predicted)
    return np.asarray(corrected[rows].mean(axis=1))
