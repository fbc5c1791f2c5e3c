"""The demo's run as a picture: memory with its band, the score, and what happened when; all read from Prometheus."""

from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

from servers import Prometheus

WIDTH, HEIGHT = 960, 470
LEFT, RIGHT = 70, 940
MIB = 2**20

Point = tuple[float, float]
Event = tuple[float, str]
Scale = Callable[[float], float]

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f } .axis { fill: #57606a } .title { font-weight: 600 }
.value { fill: none; stroke: #cf222e; stroke-width: 2 } .score { fill: none; stroke: #0969da; stroke-width: 2 }
.band { fill: #2da44e; opacity: .25 } .limit { stroke: #57606a; stroke-dasharray: 4 4 } .event { stroke: #8c959f }
"""


def draw(prometheus: Prometheus, service: str, events: Sequence[Event], begin: float, end: float) -> str:
    """Return an SVG of `service` between two moments (Unix seconds), with `events` (moment, words) in order."""
    labels = f'{{service_id="{service}",signal="memory"}}'
    names = ("value", "lower_bound", "upper_bound")
    value, lower, upper = (_points(prometheus, f"presagio_signal_{name}{labels}", begin, end) for name in names)
    score = _points(prometheus, f"presagio_anomaly_score{labels}", begin, end)
    x = _scale(begin, end, LEFT, RIGHT)
    memory = _scale(0, max(y for _, y in value) * 1.05, 270, 110)
    rise = _scale(0, 1, 420, 320)
    parts = [
        _words(LEFT, 100, f"memory of {service}, MiB; green: what is normal for it", "title"),
        _area([*lower, *reversed(upper)], x, memory),
        _line(value, x, memory, "value"),
        *(_words(LEFT - 8, memory(tick * MIB) + 4, str(tick), "axis", "end") for tick in (0, 100, 200)),
        _words(LEFT, 310, "anomaly score; from 0.6 on it is an alert", "title"),
        f'<line class="limit" x1="{LEFT}" x2="{RIGHT}" y1="{rise(0.6):.1f}" y2="{rise(0.6):.1f}"/>',
        _line(score, x, rise, "score"),
        *(_words(LEFT - 8, rise(tick) + 4, f"{tick:g}", "axis", "end") for tick in (0, 0.6, 1)),
        *(
            _words(x(begin + second), 450, f"{second} s", "axis", "middle")
            for second in range(0, int(end - begin), 30)
        ),
        *(part for row, event in enumerate(events) for part in _event(event, row, x)),
    ]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
    title = f"<title>A run of make demo: {escape('; '.join(what for _, what in events))}</title>"
    paper = f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="#fff"/>'
    return "\n".join([head, title, f"<style>{STYLE}</style>", paper, *parts, "</svg>"]) + "\n"


def write(path: Path, svg: str) -> None:
    """Write the picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(svg)


def _points(prometheus: Prometheus, query: str, begin: float, end: float) -> list[Point]:
    series = prometheus.query_range(query, begin, end, 1)
    return [(float(at), float(number)) for one in series for at, number in one["values"]]


def _scale(low: float, high: float, first: float, last: float) -> Scale:
    return lambda value: first + (value - low) / (high - low) * (last - first)


def _path(points: Sequence[Point], x: Scale, y: Scale) -> str:
    return " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in points)


def _line(points: Sequence[Point], x: Scale, y: Scale, kind: str) -> str:
    return f'<polyline class="{kind}" points="{_path(points, x, y)}"/>'


def _area(points: Sequence[Point], x: Scale, y: Scale) -> str:
    return f'<polygon class="band" points="{_path(points, x, y)}"/>'


def _event(event: Event, row: int, x: Scale) -> list[str]:
    """Draw an event: a line through both panels; its words on one of four lines, so that neighbours do not meet."""
    at, what = event
    height = 20 + 18 * (row % 4)
    line = f'<line class="event" x1="{x(at):.1f}" x2="{x(at):.1f}" y1="{height + 4}" y2="420"/>'
    anchor = "end" if x(at) > WIDTH * 0.75 else "start"
    return [line, _words(x(at) + (-4 if anchor == "end" else 4), height, what, "", anchor)]


def _words(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
