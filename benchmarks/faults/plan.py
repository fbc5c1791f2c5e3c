"""What each service goes through: faults of several speeds and shapes, and healthy spells that look busy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

Path = Callable[[float], float]

FAULTS: Mapping[str, Path] = {
    "linear": lambda x: x,
    "steps": lambda x: min(1.0, math.floor(x * 9) / 8),
    "accelerating": lambda x: x**2,
    "bursts": lambda x: x + 0.06 * math.sin(40 * x) * (1 - x),
}
HEALTHY: Mapping[str, Path] = {
    "waves": lambda x: 0.25 + 0.2 * math.sin(25 * x),
    "fills and stays": lambda x: min(0.6, 1.5 * x),
    "cleaned": lambda x: 0.6 * ((5 * x) % 1),
    "spikes": lambda x: 0.5 if (9 * x) % 1 > 0.85 else 0.1,
}

LOWEST, HIGHEST = 0.15, 1.1
"""Shares of the limit: where a service is at rest, and where a fault would lead if nothing held it."""


@dataclass(frozen=True)
class Spell:
    """Some seconds of one service: `begin` is counted from the start of the recording."""

    begin: float
    seconds: float
    shape: str
    noise: float

    @property
    def is_fault(self) -> bool:
        """Whether it leads to the failure."""
        return self.shape in FAULTS

    def share(self, time: float, rng: np.random.Generator) -> float:
        """Return the share of the limit to be at, `time` seconds from the start of the recording; never below 0."""
        done = min(1.0, max(0.0, (time - self.begin) / self.seconds))
        path = FAULTS[self.shape] if self.is_fault else HEALTHY[self.shape]
        wanted = LOWEST + (HIGHEST - LOWEST) * path(done) if self.is_fault else LOWEST + path(done)
        return max(0.0, wanted + self.noise * float(rng.standard_normal()))


def spells(seconds: float, rng: np.random.Generator, shortest: float = 60.0) -> Iterator[Spell]:
    """Yield spells for so many seconds, healthy and faulty in turn, each up to three times the shortest."""
    begin, kinds = 0.0, (list(HEALTHY), list(FAULTS))
    turn = int(rng.integers(2))
    while begin + shortest <= seconds:
        lasts = min(float(rng.uniform(shortest, 3 * shortest)), seconds - begin)
        yield Spell(begin, lasts, str(rng.choice(kinds[turn % 2])), float(rng.choice([0.0, 0.01, 0.03])))
        begin, turn = begin + lasts, turn + 1
