"""Which action to try first: Thompson sampling over the actions that a policy lists, and "wait". Pure.

Every action has a Beta posterior of the probability that our own verification will find the problem gone. Evidence
counts once, at the narrowest level that it shares with the situation (same service, same alert and kind of service,
same alert, any alert), and what a wide level says is worth a few outcomes of a narrow one at most: a hierarchical
prior, pooled over services. A choice is drawn from the probabilities with which sampling from those posteriors would
make it, so that its propensity is known exactly.

Thompson, "On the likelihood that one unknown probability exceeds another" (Biometrika 25, 1933); Russo et al.,
"A Tutorial on Thompson Sampling" (Foundations and Trends in Machine Learning 11, 2018), section 6.3 on drift.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

WAIT = "wait"
"""The action that does nothing: what heals by itself is its success, not that of another."""

_DAY = 86_400.0
_DRAWS = 4000


@dataclass(frozen=True)
class Situation:
    """What a choice depends on."""

    alert: str
    service_type: str
    severity: str
    service_id: str

    def level(self, other: Situation) -> int:
        """Return how much two situations share: 0 nothing, 1 the alert, 2 its kind of service too, 3 the service."""
        if self.alert != other.alert:
            return 0
        if (self.service_type, self.severity) != (other.service_type, other.severity):
            return 1
        return 3 if self.service_id == other.service_id else 2


_OWN = 3
_LEVELS = _OWN + 1


@dataclass(frozen=True)
class Judged:
    """One outcome: in [0, 1], 1 if verified, 0 if not; never one that could not be told. `time`: Unix seconds."""

    situation: Situation
    arm: str
    reward: float
    time: float


@dataclass(frozen=True)
class Arm:
    """An action with its parameters, and its place in the policy's order, from 0."""

    name: str
    position: int

    @property
    def waits(self) -> bool:
        """Whether this is to do nothing."""
        return self.name.partition("#")[0] == WAIT


@dataclass(frozen=True)
class Settings:
    """How fast to believe. Counts are outcomes, half_life is in seconds, the rest are probabilities.

    support: outcomes below which an action is ranked by the policy's order alone, so that a few made-up alerts change
    nothing. per_service: how many outcomes one other service may contribute. pooled: how many outcomes all that wider
    levels say is worth. margin: how much better than waiting an action must be to be worth its risk.
    """

    support: float = 5.0
    per_service: float = 5.0
    pooled: float = 8.0
    half_life: float = 30 * _DAY
    margin: float = 0.05
    prior: float = 0.6
    per_place: float = 0.05
    waiting: float = 0.3
    strength: float = 2.0


@dataclass(frozen=True)
class Ranking:
    """Each arm's posterior Beta(a, b) and the probability of choosing it; arrays of shape (arms,)."""

    arms: tuple[Arm, ...]
    a: Array
    b: Array
    propensity: Array


def rank(
    arms: Sequence[Arm],
    situation: Situation,
    outcomes: Iterable[Judged],
    now: float,
    random: np.random.Generator | None,
    settings: Settings = Settings(),
) -> Ranking:
    """Return how likely each arm is chosen. Without `random` nothing is explored: the best so far has it all.

    Raises ValueError if there are no arms.
    """
    if not arms:
        raise ValueError("at least one arm is needed to choose from, got none")
    weights = _weights(situation, outcomes, now, settings)
    posteriors = np.array([_posterior(arm, weights[arm.name], settings) for arm in arms])
    a, b = posteriors[:, 0], posteriors[:, 1]
    cost = np.array([0.0 if arm.waits else settings.margin for arm in arms])
    if random is None:
        best = int(np.argmax(a / (a + b) - cost))
        return Ranking(tuple(arms), a, b, np.eye(len(arms))[best])
    draws = np.argmax(random.beta(a, b, size=(_DRAWS, len(arms))) - cost, axis=1)
    return Ranking(tuple(arms), a, b, np.bincount(draws, minlength=len(arms)) / _DRAWS)


_Counts = Array
"""Weighted failures and successes by level, of shape (levels, 2)."""


def _weights(
    situation: Situation, outcomes: Iterable[Judged], now: float, settings: Settings
) -> Mapping[str, _Counts]:
    """Count outcomes by arm and level; old ones fade, and no other service says more than `per_service`."""
    by_service: dict[tuple[str, int, str], _Counts] = defaultdict(lambda: np.zeros(2))
    for one in outcomes:
        age = max(now - one.time, 0.0)
        weight = 0.5 ** (age / settings.half_life)
        counts = by_service[one.arm, situation.level(one.situation), one.situation.service_id]
        counts += weight * np.array([1.0 - one.reward, one.reward])
    found: dict[str, _Counts] = defaultdict(lambda: np.zeros((_LEVELS, 2)))
    for (arm, level, _), counts in by_service.items():
        found[arm][level] += counts if level == _OWN else _capped(counts, settings.per_service)
    return found


def _posterior(arm: Arm, counts: _Counts, settings: Settings) -> tuple[float, float]:
    mean = (
        settings.waiting if arm.waits else max(settings.prior - settings.per_place * arm.position, settings.waiting)
    )
    believed = settings.strength * np.array([1.0 - mean, mean])
    if counts.sum() >= settings.support:
        for level in counts:
            believed = _capped(believed, settings.pooled) + level
    failures, successes = believed
    return float(successes), float(failures)


def _capped(counts: _Counts, most: float) -> _Counts:
    """Scale counts down to `most` outcomes in all: what they say stays, how surely they say it does not."""
    total = float(counts.sum())
    return counts if total <= most else counts * (most / total)
