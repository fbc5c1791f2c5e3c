"""A fleet with known truth: how often each action, or doing nothing, ends a problem of each service."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from presagio.webhook.recommender import Arm, Situation

Array = NDArray[np.float64]

ARMS = (Arm("restart#", 0), Arm("scale_by#", 1), Arm("purge#", 2), Arm("wait#", 3))
WAIT = 3
MARGIN = 0.05
"""What acting costs, in the unit of rewards: that an action is better than waiting must be worth its risk."""

_KINDS = ("web", "database", "cache")
_ALERTS = ("Leak", "Latency")
_SERVICES = 24
_GAP = 3600.0


@dataclass(frozen=True)
class Incident:
    """One problem: what is known of it, and how likely each arm ends it; shape (arms,)."""

    situation: Situation
    time: float
    chance: Array

    @property
    def utility(self) -> Array:
        """Return what each arm is worth, with what acting costs taken off."""
        return self.chance - np.where(np.arange(len(ARMS)) == WAIT, 0.0, MARGIN)


def incidents(scenario: str, count: int, random: np.random.Generator) -> Iterator[Incident]:
    """Yield the problems of a fleet: `steady`, `drift` (halfway all that helped stops) or `self-healing`."""
    effects = random.beta(1.0, 1.5, (len(_KINDS), len(_ALERTS), WAIT))
    healing = random.uniform(0.05, 0.3, (len(_KINDS), len(_ALERTS)))
    if scenario == "self-healing":
        effects[:], healing[:] = 0.0, 0.7
    personal = random.normal(0.0, 0.08, (_SERVICES, WAIT)) * (scenario != "self-healing")
    for number in range(count):
        if scenario == "drift" and number == count // 2:
            effects = np.roll(effects, 1, axis=2)
        service, alert = int(random.integers(_SERVICES)), int(random.integers(len(_ALERTS)))
        kind = service % len(_KINDS)
        helps = np.clip(effects[kind, alert] + personal[service], 0.0, 1.0)
        heals = healing[kind, alert]
        chance = np.append(1.0 - (1.0 - heals) * (1.0 - helps), heals)
        yield Incident(Situation(_ALERTS[alert], _KINDS[kind], "warning", f"s{service}"), number * _GAP, chance)
