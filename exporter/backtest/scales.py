"""Axes: which ticks are round in a unit or on the clock, and what stands beside them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime

from presagio.toolkit.units import format_bytes, format_duration

_TIMES = (
    15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200,
    86400, 2 * 86400, 7 * 86400, 14 * 86400, 28 * 86400,
)  # fmt: skip
_DURATIONS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
_MOST_TICKS = 6


@dataclass(frozen=True)
class Tick:
    """Where on the axis, in its own unit, and the text there."""

    at: float
    text: str


def times(begin: float, end: float, most: int = 8) -> list[Tick]:
    """Return ticks on round times in UTC; the date stands at the first one and wherever it changes."""
    step = next((one for one in _TIMES if (end - begin) / one <= most), (end - begin) / most)
    ticks, day = [], ""
    for number in range(math.ceil(begin / step), math.floor(end / step) + 1):
        moment = datetime.fromtimestamp(number * step, UTC)
        date = moment.strftime("%b %-d")
        clock = moment.strftime("%H:%M:%S" if step < 60 else "%H:%M")
        text = date if step >= 86400 else f"{date}, {clock}" if date != day else clock
        ticks.append(Tick(number * step, text))
        day = date
    return ticks


def values(low: float, high: float, unit: str = "") -> list[Tick]:
    """Return a few ticks that are round in the unit."""
    step = _step((high - low) / _MOST_TICKS, unit)
    numbers = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    return [Tick(number * step, text(number * step, step, unit)) for number in numbers]


def _step(least: float, unit: str) -> float:
    if unit == "seconds" and least >= 1:
        return next((one for one in _DURATIONS if one >= least), _decimal(least / 86400) * 86400)
    base = 1024.0 ** max(0, math.floor(math.log(least, 1024) + 1e-9)) if unit == "bytes" and least >= 1 else 1.0
    return _decimal(least / base) * base


def _decimal(least: float) -> float:
    """Return the smallest of 1, 2, 5, 10, 20, 50, ... that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= least * (1 - 1e-9))


def text(value: float, step: float, unit: str) -> str:
    """Return a tick's text, with as many digits as tell it from its neighbours; other units stand beside the axis."""
    if unit == "bytes":
        return format_bytes(value)
    if unit == "seconds" and step >= 1:
        return format_duration(value) if value else "0"
    if abs(value) >= 1e6 or 0 < step < 1e-6:
        return f"{value:.6g}"
    return f"{value:.{max(0, -math.floor(math.log10(step) + 1e-9))}f}"
