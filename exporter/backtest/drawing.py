"""One alarm as a drawing: paths and places in the coordinates of an SVG, which the template puts together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from presagio.exporter.backtest import scales
from presagio.exporter.backtest.incidents import Incident
from presagio.exporter.backtest.scales import Tick
from presagio.exporter.backtest.traces import Point, Trace, finite

WIDTH, HEIGHT = 960, 380
LEFT, RIGHT = 96, 948
TOP, MIDDLE = 16, 226
SCORE_TOP, BOTTOM = 256, 340

Scale = Callable[[float], float]


@dataclass(frozen=True)
class Box:
    """A shaded span of time, `x` to `x + width`, and what it is."""

    x: float
    width: float
    text: str


@dataclass(frozen=True)
class Drawing:
    """All that the template draws: paths as SVG writes them, ticks whose `at` is a coordinate."""

    value: str
    expected: str
    band: str
    score: str
    times: Sequence[Tick]
    values: Sequence[Tick]
    scores: Sequence[Tick]
    alarm: Box
    incidents: Sequence[Box]
    threshold: float


def draw(trace: Trace, incidents: Sequence[Incident], unit: str, threshold: float, interval: float) -> Drawing:
    """Return the drawing of an alarm; incidents are those of its service, whatever their time."""
    points = trace.points
    begin, end = points[0].time, max(points[-1].time, points[0].time + interval)
    low, high = _extent(points)
    x, y, s = _scale(begin, end, LEFT, RIGHT), _scale(low, high, MIDDLE, TOP), _scale(0, 1, BOTTOM, SCORE_TOP)
    runs = list(_runs(points, interval))
    seen = [one for one in incidents if one.start <= end and one.end >= begin]
    return Drawing(
        value=_path(runs, x, lambda point: y(point.value)),
        expected=_path(runs, x, lambda point: y(point.expected)),
        band=_band(runs, x, y, low, high),
        score=_path(runs, x, lambda point: s(point.score)),
        times=[Tick(x(one.at), one.text) for one in scales.times(begin, end)],
        values=[Tick(y(one.at), one.text) for one in scales.values(low, high, unit)],
        scores=[Tick(s(one), f"{one:g}") for one in (0.0, 0.3, 0.6, 1.0)],
        alarm=_box(x, trace.alarm.begin, trace.alarm.end, "alarm"),
        incidents=[_box(x, max(one.start, begin), min(one.end, end), str(one)) for one in seen],
        threshold=s(threshold),
    )


def _scale(low: float, high: float, bottom: float, top: float) -> Scale:
    return lambda value: bottom + (value - low) / (high - low) * (top - bottom)


def _extent(points: Sequence[Point]) -> tuple[float, float]:
    """Return lowest and highest value shown. A band far wider than the values is cut off, lest they look flat."""
    core = finite([number for point in points for number in (point.value, point.expected)]) or [0.0]
    low, high = min(core), max(core)
    room = (high - low) or abs(high) or 1.0
    band = finite([number for point in points for number in (point.lower, point.upper)])
    near = [bound for bound in band if low - room <= bound <= high + room]
    bottom, top = min([low, *near]), max([high, *near])
    margin = 0.06 * ((top - bottom) or abs(top) or 1.0)
    return max(bottom - margin, 0.0 if low >= 0 else -np.inf), top + margin


def _runs(points: Sequence[Point], interval: float) -> Iterator[list[Point]]:
    """Yield stretches without a hole: what was not scored has no line."""
    usual = max(float(np.median(np.diff([point.time for point in points]))) if len(points) > 1 else 0.0, interval)
    run: list[Point] = []
    for point in points:
        if run and point.time - run[-1].time > 2.5 * usual:
            yield run
            run = []
        run.append(point)
    yield run


def _path(runs: Sequence[Sequence[Point]], x: Scale, y: Callable[[Point], float]) -> str:
    """Return lines through the points that have a number; one alone is a dot."""
    parts = []
    for run in runs:
        pen = "M"
        for index, point in enumerate(run):
            at = y(point)
            if np.isnan(at):
                pen = "M"
                continue
            parts.append(f"{pen}{x(point.time):.1f} {at:.1f}")
            if pen == "M" and (index + 1 == len(run) or np.isnan(y(run[index + 1]))):
                parts.append("h.1")
            pen = "L"
    return "".join(parts)


def _band(runs: Sequence[Sequence[Point]], x: Scale, y: Scale, low: float, high: float) -> str:
    """Return the area between the bounds; where one is open it reaches the edge."""
    parts = []
    for run in runs:
        for some in _banded(run):
            upper = [f"{x(point.time):.1f} {y(_within(point.upper, low, high, high)):.1f}" for point in some]
            lower = [f"{x(point.time):.1f} {y(_within(point.lower, low, high, low)):.1f}" for point in some]
            parts.append(f"M{'L'.join((*upper, *reversed(lower)))}Z")
    return "".join(parts)


def _banded(run: Sequence[Point]) -> Iterator[list[Point]]:
    some: list[Point] = []
    for point in run:
        if np.isnan(point.lower) and np.isnan(point.upper):
            if some:
                yield some
            some = []
        else:
            some.append(point)
    if some:
        yield some


def _within(bound: float, low: float, high: float, instead: float) -> float:
    return instead if np.isnan(bound) else min(max(bound, low), high)


def _box(x: Scale, begin: float, end: float, text: str) -> Box:
    return Box(round(x(begin), 1), round(max(x(end) - x(begin), 2.0), 1), text)
