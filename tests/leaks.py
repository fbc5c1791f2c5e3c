"""A week of services that leak until they fail, and of others that do not: for tests of predictions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
LASTS = 8 * DAY
LIMIT = 0.98
LEAKING, FAILED, HEALTHY = "shop/leaking", "shop/failed", "shop/healthy"
"""At the end one leaks and is an hour or less from its limit, one is at it, one is well."""

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class World:
    """memory[s, t] of services, each minute up to `end`; down: when each was at its limit."""

    end: float
    services: tuple[str, ...]
    times: npt.NDArray[np.float64]
    memory: npt.NDArray[np.float64]

    def series(self) -> Iterator[tuple[str, Points]]:
        """Yield the memory, an alert that fires while it is at its limit, and what says that Prometheus was there."""
        for service, values in zip(self.services, self.memory, strict=True):
            points = list(zip(self.times.tolist(), values.tolist(), strict=True))
            yield f'memory_ratio{{service_id="{service}"}}', points
            firing = [(time, 1.0) for time, value in points if value > LIMIT]
            labels = f'alertname="OutOfMemory",alertstate="firing",service_id="{service}"'
            if firing:
                yield f"ALERTS{{{labels}}}", firing
        yield 'up{job="a"}', [(time, 1.0) for time in self.times.tolist()]


def world(end: float, seed: int = 3) -> World:
    """Return the services: five that leak now and then, each at its own pace, two of them of interest at the end."""
    rng = np.random.default_rng(seed)
    times = end - MINUTE * np.arange(round(LASTS / MINUTE) - 1, -1, -1, dtype=np.float64)
    names = [LEAKING, FAILED, *(f"shop/leaky-{number}" for number in range(3)), HEALTHY, "shop/steady"]
    rows = [_memory(rng, times, begins=0 if name in (HEALTHY, "shop/steady") else 1 / (20 * 60)) for name in names]
    # the last hours are as the tests need them
    rows[0][-240:] = np.linspace(0.35, 0.93, 240) + rng.normal(0, 0.005, 240)
    rows[1][-240:-20] = np.linspace(0.35, 0.975, 220)
    rows[1][-20:] = 1.0
    return World(end, tuple(names), times, np.stack(rows))


def _memory(rng: np.random.Generator, times: npt.NDArray[np.float64], begins: float) -> npt.NDArray[np.float64]:
    """Return memory with a daily wave and noise; `begins` is the chance of a leak to begin, by the minute."""
    wave = 0.3 + 0.05 * np.sin(2 * np.pi * times / DAY) + rng.normal(0, 0.01, len(times))
    leaked, pace, down = 0.0, 0.0, 0
    found = np.empty(len(times))
    for number in range(len(times)):
        if down:
            down -= 1
            found[number] = 1.0
            continue
        if pace == 0 and rng.random() < begins:
            pace = 0.65 / (60 * rng.uniform(1.5, 8))
        leaked += pace
        found[number] = min(1.0, wave[number] + leaked)
        if found[number] > LIMIT:
            leaked, pace, down = 0.0, 0.0, 10
    return found
