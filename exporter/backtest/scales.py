"""Axes: which ticks are round in a unit or on the clock, and what stands beside them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime

from presagio.toolkit.units import format_duration

_TIMES = (
    15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200,
    86400, 2 * 86400, 7 * 86400, 14 * 86400, 28 * 86400,
)  # fmt: skip
_DURATIONS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB")
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
    """Return a few ticks that are round in the unit; other units than bytes and seconds stand beside the axis."""
    base, name = _base(max(abs(low), abs(high)), unit)
    least = (high - low) / _MOST_TICKS
    is_long = unit == "seconds" and least >= 1
    step = _duration(least) if is_long else _decimal(least / base) * base
    numbers = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    places = [number * step for number in numbers]
    if is_long:
        return [Tick(at, format_duration(at) if at else "0") for at in places]
    return [Tick(at, f"{_number(at / base, step / base)} {name}".rstrip()) for at in places]


def _base(largest: float, unit: str) -> tuple[float, str]:
    """Return the binary unit in which `largest` is written."""
    if unit != "bytes":
        return 1.0, ""
    exponent = min(math.floor(math.log(max(largest, 1.0), 1024) + 1e-9), len(_BINARY) - 1)
    return 1024.0**exponent, _BINARY[exponent]


def _duration(least: float) -> float:
    return next((one for one in _DURATIONS if one >= least), _decimal(least / 86400) * 86400)


def _decimal(least: float) -> float:
    """Return the smallest of 1, 2, 5, 10, 20, 50, ... that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0, 20.0) if factor * power >= least * (1 - 1e-9))


def _number(value: float, step: float) -> str:
    """Return a number with as many digits as tell it from its neighbours."""
    if abs(value) >= 1e6 or step < 1e-6:
        return f"{value:.6g}"
    return f"{value:.{max(0, -math.floor(math.log10(step) + 1e-9))}f}"
