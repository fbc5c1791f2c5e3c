"""Draw the dashboards from their own JSON and what a real Prometheus answers to their own queries.

    python -P -m dashboards.pictures FOLDER [MINUTES]

Grafana is not needed for it, and none of it is Grafana's.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from packages import locate
from servers import Prometheus

from dashboards import answers, chart, figures, panels, tables
from dashboards.__main__ import FOLDER
from dashboards.chart import Box, Line, Points
from dashboards.recording import Recording, record

WIDTH, CELL, GAP = 1440, 34, 8
STYLE = """
text { font: 12px system-ui, "DejaVu Sans", sans-serif; fill: #24292e } .axis { font-size: 11px; fill: #6a737d }
.title { font-weight: 600; font-size: 13px } .row { font-weight: 600; font-size: 15px }
.board { font-size: 19px; font-weight: 600 }
.big { font-size: 30px; font-weight: 600 } .none { font-size: 18px; fill: #6a737d }
.head { font-weight: 600; fill: #3274d9 }
.grid { stroke: #e7e9ec; fill: none }
"""


@dataclass(frozen=True)
class Easel:
    """Where answers come from, of which time, with which choice of variables."""

    prometheus: Prometheus
    window: answers.Window
    values: Mapping[str, str]

    @property
    def span(self) -> tuple[float, float]:
        """Return begin and end."""
        return self.window.begin, self.window.end

    def draw(self, board: Mapping[str, Any]) -> str:
        """Return a dashboard as SVG."""
        events = list(self._events(board))
        bottom = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"])
        height = 64 + bottom * CELL
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
            f"<title>{escape(board['title'])}</title><style>{STYLE}</style>",
            chart.rect(Box(0, 0, WIDTH, height), "#f4f5f5"),
            chart.words(16, 32, board["title"], "board"),
            chart.words(WIDTH - 16, 32, self._choice(board), "axis", "end"),
        ]
        for panel in board["panels"]:
            parts += self._panel(panel, events)
        return "\n".join([*parts, "</svg>"]) + "\n"

    def _choice(self, board: Mapping[str, Any]) -> str:
        names = [one["name"] for one in board["templating"]["list"] if one["type"] == "query"]
        return "   ".join(f"{name}: {self.values[name].replace('.*', 'All')}" for name in names)

    def _events(self, board: Mapping[str, Any]) -> Iterator[tuple[float, str]]:
        for event in board["annotations"]["list"]:
            for one in answers.events(self.prometheus, event, self.window, self.values):
                for moment in answers.moments(event, one):
                    yield moment, figures.color(event["iconColor"])

    def _panel(self, panel: Mapping[str, Any], events: list[tuple[float, str]]) -> Iterator[str]:
        at = panel["gridPos"]
        unit = (WIDTH - 16) / 24
        box = Box(8 + at["x"] * unit, 52 + at["y"] * CELL, at["w"] * unit - GAP, at["h"] * CELL - GAP)
        title = panels.substituted(panel["title"], self.values)
        if panel["type"] == "row":
            yield chart.words(box.x + 8, box.y + 20, title, "row")
            return
        yield chart.rect(box, "#fff", 'stroke="#dfe2e5" rx="3"')
        yield chart.words(box.x + 10, box.y + 20, title, "title")
        inner = Box(box.x, box.y + 30, box.w, box.h - 34)
        yield from self._content(panel, inner, events)

    def _content(self, panel: Mapping[str, Any], box: Box, events: list[tuple[float, str]]) -> Iterator[str]:
        found = [(one, self._answer(one)) for one in panel["targets"]]
        if panel["type"] == "table":
            yield from tables.table(panel, [(one["refId"], series) for one, series in found], box)
            return
        lines = chart.lines_of(
            panel, [(one["legendFormat"], each["metric"], _points(each)) for one, series in found for each in series]
        )
        yield from self._lines(panel, lines, box, events)

    def _lines(
        self, panel: Mapping[str, Any], lines: list[Line], box: Box, events: list[tuple[float, str]]
    ) -> Iterator[str]:
        match panel["type"]:
            case "stat":
                yield from tables.stat(panel, lines[0].points if lines else [], box)
            case "status-history":
                yield from tables.heat(lines, self.span, box)
            case "bargauge":
                yield from tables.bars(panel, lines, box)
            case _:
                yield from chart.over_time(panel, lines, box, self.span, events)

    def _answer(self, target: Mapping[str, Any]) -> list[dict[str, Any]]:
        return answers.answer(self.prometheus, target, self.window, self.values)


def _points(series: Mapping[str, Any]) -> Points:
    points = series["values"] if "values" in series else [series["value"]]
    return [(float(at), float(value)) for at, value in points if value != "NaN"]


def draw_all(recording: Recording, prometheus: Prometheus, horizon: str, folder: Path) -> None:
    """Write a picture of each dashboard."""
    folder.mkdir(parents=True, exist_ok=True)
    window = answers.Window(recording.begin, recording.end, points=120)
    for path in sorted(FOLDER.glob("*.json")):
        values = {**answers.LOOKED_AT, "horizon": horizon}
        if path.stem == "presagio-overview":
            values["service_id"] = ".*"
        svg = Easel(prometheus, window, values).draw(json.loads(path.read_text()))
        (folder / f"{path.stem}.svg").write_text(svg)
        print(f"{path.stem}.svg: {len(svg) / 1000:.0f} kB")


def main(folder: Path, minutes: float = 7.0) -> int:
    """Record real servers for some minutes, then draw."""
    found = [locate(name, "system") for name in ("prometheus", "promtool", "alertmanager")]
    if None in found:
        print("the pictures need Prometheus and Alertmanager; `make servers` gets them", file=sys.stderr)
        return 1
    server, promtool, alertmanager = (path for path in found if path)
    with tempfile.TemporaryDirectory() as place:
        recording = record((server, promtool, alertmanager), Path(place), minutes * 60, "1m")
        with Prometheus(server, recording.data.parent) as prometheus:
            draw_all(recording, prometheus, "1m", folder)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *map(float, sys.argv[2:3])))
