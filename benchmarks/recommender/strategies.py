"""Who chooses: ours, and the baselines beside it. Each gives the chance of every arm."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from presagio.webhook.recommender import Judged, rank
from recommender.fleet import ARMS, Array, Incident

Strategy = Callable[[Incident, Sequence[Judged], np.random.Generator], Array]

_SAME: tuple[Array, ...] = tuple(np.eye(len(ARMS)))


def thompson(incident: Incident, outcomes: Sequence[Judged], random: np.random.Generator) -> Array:
    """Ours."""
    return rank(ARMS, incident.situation, outcomes, incident.time, random).propensity


def greedy(incident: Incident, outcomes: Sequence[Judged], random: np.random.Generator) -> Array:
    """Ours without exploration: the best by what is known."""
    del random
    return rank(ARMS, incident.situation, outcomes, incident.time, None).propensity


def by_chance(incident: Incident, outcomes: Sequence[Judged], random: np.random.Generator) -> Array:
    """Any arm."""
    del incident, outcomes, random
    return np.full(len(ARMS), 1 / len(ARMS))


def fixed_order(incident: Incident, outcomes: Sequence[Judged], random: np.random.Generator) -> Array:
    """The first of the policy's list, always."""
    del incident, outcomes, random
    return _SAME[0]


def best_fixed(history: Sequence[Incident]) -> Strategy:
    """Return the one arm that is best over all problems, known from the truth: no order of a policy does better."""
    best = int(np.argmax(np.mean([incident.utility for incident in history], axis=0)))
    return lambda incident, outcomes, random: _SAME[best]  # noqa: ARG005 # a Strategy


def oracle(incident: Incident, outcomes: Sequence[Judged], random: np.random.Generator) -> Array:
    """The best arm of this very problem, known from the truth."""
    del outcomes, random
    return _SAME[int(np.argmax(incident.utility))]


def strategies(history: Sequence[Incident]) -> dict[str, Strategy]:
    """Return all of them by name, for these problems."""
    return {
        "presagio": thompson,
        "presagio without exploration": greedy,
        "best fixed action": best_fixed(history),
        "fixed order": fixed_order,
        "random": by_chance,
        "oracle": oracle,
    }
