"""Numbers and colours as Grafana shows them, near enough for a picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

PALETTE = (
    "#5794f2", "#ff9830", "#73bf69", "#b877d9", "#f2495c", "#56a9a8", "#fade2a", "#8f3bb8", "#3274d9", "#e0752d",
    "#37872d", "#c4162a",
)  # fmt: skip
NAMED = {
    "green": "#56a64b", "red": "#e02f44", "orange": "#ff780a", "blue": "#3274d9", "purple": "#8f3bb8",
    "yellow": "#f2cc0c",
}  # fmt: skip
_SECONDS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms"), (1e-6, "µs"))
_THOUSANDS = ((1e9, " B"), (1e6, " Mil"), (1e3, " K"))
_BYTES = ((2**30, " GiB"), (2**20, " MiB"), (2**10, " KiB"))


def number(value: float, unit: str) -> str:
    """Return a value with its unit."""
    if not math.isfinite(value):
        return "∞" if value > 0 else "-"
    if unit == "percentunit":
        return f"{_short(value * 100)}%"
    if unit == "s":
        return _scaled(value, _SECONDS, " ")
    if unit == "bytes":
        return _scaled(value, _BYTES)
    if unit == "none":
        return _short(value)
    return _scaled(value, _THOUSANDS) + (" req/s" if unit == "reqps" else "")


def _scaled(value: float, steps: Sequence[tuple[float, str]], space: str = "") -> str:
    for size, name in steps:
        if abs(value) >= size:
            return f"{_short(value / size)}{space}{name}"
    return _short(value)


def _short(value: float) -> str:
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 or value == 0 else 4
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def color(name: str) -> str:
    """Return a colour of Grafana's by its name."""
    return NAMED.get(name, name)


def from_green_to_red(share: float) -> str:
    """Return the colour of a value between 0 and 1."""
    share = min(max(share, 0.0), 1.0)
    low, high, part = ("56a64b", "f2cc0c", share * 2) if share < 0.5 else ("f2cc0c", "e02f44", share * 2 - 1)
    mixed = (round(_part(low, at) + part * (_part(high, at) - _part(low, at))) for at in (0, 2, 4))
    return "#" + "".join(f"{one:02x}" for one in mixed)


def _part(text: str, at: int) -> int:
    return int(text[at : at + 2], 16)


def of_value(value: float, defaults: Mapping[str, Any]) -> tuple[str, str]:
    """Return text and colour of a number of now: by words, by a scale, or by steps."""
    for mapping in defaults.get("mappings", ()):
        if found := mapping["options"].get(f"{value:g}"):
            return found["text"], color(found["color"])
    text = number(value, defaults["unit"])
    if defaults.get("color", {}).get("mode") == "continuous-GrYlRd":
        return text, from_green_to_red(value)
    steps = defaults.get("thresholds", {}).get("steps", [{"value": None, "color": "blue"}])
    return text, color([one["color"] for one in steps if one.get("value") is None or value >= one["value"]][-1])
