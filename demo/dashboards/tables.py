"""Tables, numbers, bars and maps of now, as SVG."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dashboards import figures
from dashboards.chart import Box, Line, rect, scale, time_axis, words

Frames = Sequence[tuple[str, Sequence[Mapping[str, Any]]]]
"""By letter of the query: series of an instant answer."""


def stat(panel: Mapping[str, Any], points: list[tuple[float, float]], box: Box) -> Iterator[str]:
    """Yield a big number, with its course behind it if the panel wants that."""
    defaults = panel["fieldConfig"]["defaults"]
    if not points:
        yield words(box.x + box.w / 2, box.y + box.h / 2 + 4, defaults["noValue"], "none", "middle")
        return
    text, paint = figures.of_value(points[-1][1], defaults)
    if panel["options"].get("graphMode") == "area" and len(points) > 1:
        yield _spark(points, box, paint)
    yield words(box.x + box.w / 2, box.y + box.h / 2 + 10, text, "big", "middle", paint)


def _spark(points: list[tuple[float, float]], box: Box, paint: str) -> str:
    values = [value for _, value in points]
    x = scale(points[0][0], points[-1][0], box.x + 1, box.x + box.w - 1)
    y = scale(min(0.0, *values), max(values) or 1.0, box.y + box.h - 2, box.y + box.h * 0.55)
    path = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in points)
    return (
        f'<polygon points="{box.x + 1},{box.y + box.h - 2} {path} {box.x + box.w - 1},{box.y + box.h - 2}" '
        f'fill="{paint}" opacity=".18"/>'
    )


def table(panel: Mapping[str, Any], frames: Frames, box: Box) -> Iterator[str]:
    """Yield a table: rows are told apart by labels, columns are labels and values."""
    heads, lines = _merged(panel, frames)
    looks = {
        one["matcher"]["options"]: {each["id"]: each["value"] for each in one["properties"]}
        for one in panel["fieldConfig"].get("overrides", ())
    }
    wide = (box.w - 16) / max(1, len(heads))
    for column, head in enumerate(heads):
        yield words(box.x + 10 + column * wide, box.y + 12, head, "head")
    for row, line in enumerate(lines[: int((box.h - 20) // 25)]):
        y = box.y + 36 + row * 25
        yield f'<path d="M{box.x + 8} {y - 17:.0f}h{box.w - 16:.0f}" class="grid"/>'
        for column, head in enumerate(heads):
            yield from _cell(line.get(head), looks.get(head, {}), Box(box.x + 10 + column * wide, y, wide - 12, 16))


def _cell(value: str | float | None, look: Mapping[str, Any], box: Box) -> Iterator[str]:
    if value is None:
        return
    if isinstance(value, str):
        link = "#3274d9" if "links" in look else ""
        yield words(box.x, box.y, value[: int(box.w / 7.0)], "", fill=link)
        return
    text = figures.number(value, look.get("unit", "short"))
    if "custom.cellOptions" in look:
        paint, room = figures.from_green_to_red(value), box.w - 58
        yield rect(Box(box.x, box.y - 12, room, 15), "#f0f1f3")
        yield rect(Box(box.x, box.y - 12, max(1.0, room * min(1.0, value)), 15), paint)
        yield words(box.x + room + 8, box.y, text)
        return
    yield words(box.x, box.y, text)


def _merged(panel: Mapping[str, Any], frames: Frames) -> tuple[list[str], list[dict[str, Any]]]:
    organized = panel["transformations"][1]["options"]
    renamed, hidden = organized["renameByName"], organized["excludeByName"]
    found: dict[tuple[tuple[str, str], ...], dict[str, Any]] = {}
    labels: list[str] = []
    for ref, series in frames:
        for one in series:
            own = {name: text for name, text in one["metric"].items() if name != "__name__"}
            labels += [name for name in sorted(own) if name not in labels]
            value = renamed[f"Value #{ref}" if len(frames) > 1 else "Value"]
            line = found.setdefault(tuple(sorted(own.items())), {renamed.get(name, name): own[name] for name in own})
            line[value] = float(one["value"][1])
    heads = [renamed.get(name, name) for name in labels]
    heads += [head for name, head in renamed.items() if name.startswith("Value")]
    shown = [head for head in heads if head not in hidden]
    return shown, _sorted(panel, list(found.values()))


def _sorted(panel: Mapping[str, Any], lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for order in panel.get("options", {}).get("sortBy", ()):
        name, down = order["displayName"], order.get("desc", False)
        empty = float("-inf") if down else float("inf")
        lines.sort(key=lambda line: line.get(name, empty), reverse=down)
    return lines


def heat(lines: list[Line], span: tuple[float, float], box: Box) -> Iterator[str]:
    """Yield a row for each series, its colour the value."""
    yield from time_axis(Box(box.x + 120, box.y, box.w - 136, box.h - 24), span)
    tall = (box.h - 26) / max(1, len(lines))
    left, room = box.x + 120, box.w - 136
    for row, line in enumerate(sorted(lines, key=lambda one: one.name)):
        y = box.y + 2 + row * tall
        yield words(left - 8, y + tall / 2 + 4, line.name, "axis", "end")
        x = scale(span[0], span[1], left, left + room)
        ends = [at for at, _ in line.points[1:]] + [span[1]]
        for (at, value), end in zip(line.points, ends, strict=True):
            cell = Box(x(at), y + 1, x(end) - x(at) + 0.3, tall - 2)
            yield rect(cell, figures.from_green_to_red(value), 'opacity=".9"')


def bars(panel: Mapping[str, Any], lines: list[Line], box: Box) -> Iterator[str]:
    """Yield a horizontal bar for each series."""
    unit = panel["fieldConfig"]["defaults"]["unit"]
    most = max((line.points[-1][1] for line in lines), default=1.0) or 1.0
    tall = min(34.0, (box.h - 8) / max(1, len(lines)))
    for row, line in enumerate(lines):
        y, value = box.y + 4 + row * tall, line.points[-1][1]
        yield words(box.x + 96, y + tall / 2 + 4, line.name, "", "end")
        yield rect(Box(box.x + 104, y + 3, max(2.0, (box.w - 170) * value / most), tall - 8), line.color)
        yield words(box.x + box.w - 12, y + tall / 2 + 4, figures.number(value, unit), "", "end")
