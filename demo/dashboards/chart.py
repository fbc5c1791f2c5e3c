"""Lines, bands and bars over time, as SVG."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from dashboards import figures

Points = list[tuple[float, float]]
Scale = Callable[[float], float]


@dataclass(frozen=True)
class Box:
    """Where something is drawn, in pixels."""

    x: float
    y: float
    w: float
    h: float


@dataclass
class Line:
    """One series with its look."""

    name: str
    points: Points
    color: str
    look: Mapping[str, Any] = field(default_factory=dict)


def words(x: float, y: float, text: str, kind: str = "", anchor: str = "start", fill: str = "") -> str:
    """Return text at a place."""
    paint = f' style="fill:{fill}"' if fill else ""
    return f'<text x="{x:.0f}" y="{y:.0f}" class="{kind}" text-anchor="{anchor}"{paint}>{escape(text)}</text>'


def rect(box: Box, fill: str, more: str = "") -> str:
    """Return a filled rectangle."""
    return f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.w:.1f}" height="{box.h:.1f}" fill="{fill}" {more}/>'


def scale(low: float, high: float, first: float, last: float) -> Scale:
    """Return what puts low..high on first..last."""
    span = (high - low) or 1.0
    return lambda value: first + (value - low) / span * (last - first)


def lines_of(panel: Mapping[str, Any], answers: Sequence[tuple[str, Mapping[str, str], Points]]) -> list[Line]:
    """Return the series of a panel with their colours; answers: legend, labels, points."""
    looks = {
        one["matcher"]["options"]: {each["id"]: each["value"] for each in one["properties"]}
        for one in panel["fieldConfig"].get("overrides", ())
    }
    found = []
    for number, (legend, labels, points) in enumerate(answers):
        look = looks.get(legend, {})
        paint = look.get("color", {}).get("fixedColor")
        found.append(Line(named(legend, labels), points, figures.color(paint or figures.PALETTE[number % 12]), look))
    return found


def named(legend: str, labels: Mapping[str, str]) -> str:
    """Return a legend with labels put in, as Grafana does: what is not there is empty."""
    for name in legend.split("{{")[1:]:
        label = name.partition("}}")[0]
        legend = legend.replace("{{" + label + "}}", labels.get(label, ""))
    return " ".join(legend.split())


def over_time(
    panel: Mapping[str, Any],
    lines: list[Line],
    box: Box,
    span: tuple[float, float],
    events: Sequence[tuple[float, str]],
) -> Iterator[str]:
    """Yield a graph with its axes and legend. events: moment, colour."""
    custom = panel["fieldConfig"]["defaults"]["custom"]
    stacked = custom["stacking"]["mode"] == "normal"
    if stacked:
        lines = _stacked(lines)
    plot = Box(box.x + 58, box.y + 4, box.w - 70, box.h - 50)
    low, high = _range(panel, lines)
    x, y = scale(*span, plot.x, plot.x + plot.w), scale(low, high, plot.y + plot.h, plot.y)
    yield from _axes(panel, plot, (low, high), span, y)
    for at, paint in events:
        if span[0] <= at <= span[1]:
            yield f'<path d="M{x(at):.1f} {plot.y}v{plot.h:.0f}" stroke="{paint}" stroke-dasharray="4 3"/>'
            yield f'<path d="M{x(at) - 5:.1f} {plot.y + plot.h + 6:.0f}h10l-5 -6z" fill="{paint}"/>'
    for line in reversed(lines):
        yield from _drawn(line, lines, x, y, custom)
    yield from _legend(lines, box)


def _stacked(lines: list[Line]) -> list[Line]:
    heights: dict[float, float] = {}
    found = []
    for line in lines:
        if line.look.get("custom.stacking", {}).get("mode") == "none":
            found.append(line)
            continue
        look = {**line.look, "floor": [(at, heights.get(at, 0.0)) for at, _ in line.points]}
        for at, value in line.points:
            heights[at] = heights.get(at, 0.0) + value
        found.append(Line(line.name, [(at, heights[at]) for at, _ in line.points], line.color, look))
    return found


def _range(panel: Mapping[str, Any], lines: list[Line]) -> tuple[float, float]:
    defaults = panel["fieldConfig"]["defaults"]
    values = [value for line in lines for _, value in line.points if abs(value) != float("inf")] or [0.0, 1.0]
    low = defaults["min"] if "min" in defaults else min(values)
    high = defaults["max"] if "max" in defaults else max(values)
    if high <= low:
        high = low + 1
    return low, high + (0 if "max" in defaults else 0.08 * (high - low))


def _axes(
    panel: Mapping[str, Any], plot: Box, reach: tuple[float, float], span: tuple[float, float], y: Scale
) -> Iterator[str]:
    unit = panel["fieldConfig"]["defaults"]["unit"]
    for part in range(5):
        value = reach[0] + (reach[1] - reach[0]) * part / 4
        yield f'<path d="M{plot.x} {y(value):.1f}h{plot.w:.0f}" class="grid"/>'
        yield words(plot.x - 6, y(value) + 4, figures.number(value, unit), "axis", "end")
    yield from time_axis(plot, span)


def time_axis(plot: Box, span: tuple[float, float]) -> Iterator[str]:
    """Yield the times below a plot."""
    count = max(2, int(plot.w // 90))
    for part in range(count + 1):
        at = span[0] + (span[1] - span[0]) * part / count
        clock = time.strftime("%H:%M" if span[1] - span[0] > 1800 else "%H:%M:%S", time.gmtime(at))
        anchor = "end" if part == count else "middle"
        yield words(plot.x + plot.w * part / count, plot.y + plot.h + 17, clock, "axis", anchor)


def _drawn(line: Line, lines: list[Line], x: Scale, y: Scale, custom: Mapping[str, Any]) -> Iterator[str]:
    points = [(at, value) for at, value in line.points if abs(value) != float("inf")]
    if not points:
        return
    path = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in points)
    floor = line.look.get("floor")
    if custom["drawStyle"] == "bars":
        yield from _bars(points, dict(floor or ()), line.color, x, y)
        return
    below = line.look.get("custom.fillBelowTo")
    under = next(
        (other.points for other in lines if other.name == below), floor if floor and custom["fillOpacity"] else None
    )
    if under:
        back = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in reversed(under))
        yield f'<polygon points="{path} {back}" fill="{line.color}" opacity=".22"/>'
    if line.look.get("custom.lineWidth", 1):
        dash = ' stroke-dasharray="7 5"' if "custom.lineStyle" in line.look else ""
        yield f'<polyline points="{path}" fill="none" stroke="{line.color}" stroke-width="1.6"{dash}/>'


def _bars(points: Points, floor: Mapping[float, float], paint: str, x: Scale, y: Scale) -> Iterator[str]:
    for at, value in points:
        top, bottom = y(value), y(floor.get(at, 0.0))
        if bottom - top > 0.2:
            yield rect(Box(x(at) - 2, top, 4, bottom - top), paint, 'opacity=".85"')


def _legend(lines: list[Line], box: Box) -> Iterator[str]:
    left, top = box.x + 14, box.y + box.h - 8
    seen: list[str] = []
    for line in lines:
        wide = 24 + 6.4 * len(line.name)
        if left + wide > box.x + box.w - (80 if line is not lines[-1] else 8):
            yield words(left, top, f"and {len(lines) - len(seen)} more", "axis")
            return
        seen.append(line.name)
        yield rect(Box(left, top - 6, 14, 4), line.color)
        yield words(left + 19, top, line.name, "axis")
        left += wide + 12
