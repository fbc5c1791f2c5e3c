"""Series with plain faults that others miss, and habits that others call faults: made, seeded, without Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
START = 1_699_833_600.0
"""A Monday, midnight UTC."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """values at `times` (Unix seconds), NaN where the series is absent.

    fires: at least once from `begin` to `end`. holds: as long as it lasts, and clears soon after. silent: never from
    `begin` to `end`.
    """

    name: str
    seed: int
    interval: float
    times: Floats
    values: Floats
    begin: float
    end: float
    expected: str


def cases(seeds: int = 3) -> list[Case]:
    """Return every case for each seed."""
    return [case for seed in range(seeds) for case in (*_faults(seed), *_habits(seed))]


def _faults(seed: int) -> Iterator[Case]:
    times, values = _traffic(5 * DAY, MINUTE, seed)
    begin = START + 4.2 * DAY + seed * 3.5 * HOUR
    yield _changed("outage to 0", seed, times, values, begin, HOUR, lambda x: x * 0)
    yield _changed("vanished", seed, times, values, begin, HOUR, lambda x: x * np.nan)
    for name, factor in (("drop to 50 %", 0.5), ("drop to 70 %", 0.7), ("rise by 30 %", 1.3), ("rise by 60 %", 1.6)):
        yield _changed(name, seed, times, values, begin, 2 * HOUR, _times(factor))
    for factor in (2, 3, 5, 10):
        yield _changed(f"step x{factor}", seed, times, values, begin, 6 * HOUR, _times(factor), "holds")
    yield _leak(seed)


def _times(factor: float) -> Callable[[Floats], Floats]:
    return lambda x: x * factor


def _changed(
    name: str, seed: int, times: Floats, values: Floats, begin: float, lasts: float,
    change: Callable[[Floats], Floats], expected: str = "fires",
) -> Case:  # fmt: skip
    inside = (times >= begin) & (times < begin + lasts)
    return Case(name, seed, MINUTE, times, np.where(inside, change(values), values), begin, begin + lasts, expected)


def _leak(seed: int) -> Case:
    """Memory in use from 20 % to 90 % within 48 h; it must be seen before it passes 60 %."""
    times, values = _traffic(6.5 * DAY, MINUTE, 100 + seed, level=0.2, noise=0.03, season=0.03)
    begin = START + 4.5 * DAY
    leaked = values + 0.7 * np.clip((times - begin) / (48 * HOUR), 0, 1)
    return Case("leak", seed, MINUTE, times, leaked, begin, begin + 48 * HOUR * 4 / 7, "fires")


def _habits(seed: int) -> Iterator[Case]:
    times, values = _traffic(7 * DAY, MINUTE, 200 + seed)
    peak = np.where((times % DAY >= 50_000) & (times % DAY < 53_600), 4 * values, values)
    yield Case("daily peak x4", seed, MINUTE, times, peak, START + 2 * DAY, times[-1], "silent")
    yield Case("nothing at all", seed, MINUTE, *_traffic(7 * DAY, MINUTE, 300 + seed, weekend=1.0),
               START + 2 * DAY, START + 7 * DAY, "silent")  # fmt: skip
    rng = np.random.default_rng(400 + seed)
    filling = 0.4 + 0.35 * ((times - 3 * HOUR) % DAY) / DAY + rng.normal(0, 0.002, len(times))
    yield Case("nightly clean-up of a disk", seed, MINUTE, times, filling, START + 3 * DAY, times[-1], "silent")
    times, values = _traffic(29 * DAY, 5 * MINUTE, 500 + seed)
    job = ((times - START) % (7 * DAY) >= 51 * HOUR) & ((times - START) % (7 * DAY) < 53 * HOUR)
    values = np.where(job, 5 * values, values)
    yield Case("weekly batch job", seed, 5 * MINUTE, times, values, START + 14 * DAY, times[-1], "silent")


def _traffic(
    lasts: float, interval: float, seed: int, level: float = 100.0, noise: float = 0.05, season: float = 0.15,
    weekend: float = 0.95,
) -> tuple[Floats, Floats]:  # fmt: skip
    """Return requests per second or the like: a mild day, quieter weekends, noise with some memory."""
    rng, times = np.random.default_rng(seed), START + np.arange(0, lasts, interval)
    fresh, wave = rng.normal(0, noise * level * np.sqrt(0.75), len(times)), np.empty(len(times))
    last = 0.0
    for number, one in enumerate(fresh.tolist()):
        wave[number] = last = 0.5 * last + one
    day = 1 + season * np.sin(2 * np.pi * ((times - START) / DAY - 0.3))
    week = np.where((times - START) // DAY % 7 >= 5, weekend, 1.0)
    return times, level * day * week + wave
