"""The alarms as one HTML file that needs nothing else: an index, the worst first, and a drawing of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from presagio.exporter.backtest import drawing, wording
from presagio.exporter.backtest.drawing import Drawing
from presagio.exporter.backtest.incidents import Incident
from presagio.exporter.backtest.measures import Measures
from presagio.exporter.backtest.times import Span, shown
from presagio.exporter.backtest.traces import Trace
from presagio.toolkit.durable import write_atomic
from presagio.toolkit.units import format_duration

FILE = "backtest.html"


@dataclass(frozen=True)
class Picture:
    """One alarm: its words and its drawing."""

    service: str
    signal: str
    labels: str
    begin: str
    end: str
    lasted: str
    score: str
    value: str
    expected: str
    band: str
    incident: str
    unit: str
    drawing: Drawing


@dataclass(frozen=True)
class Report:
    """What the page tells beside the pictures. incidents: None if nobody told of any."""

    span: Span
    threshold: float
    measures: Sequence[Measures]
    incidents: Sequence[Incident] | None
    units: Mapping[str, str]
    alarms: int


def write(folder: Path, traces: Sequence[Trace], report: Report) -> Path:
    """Write the page into `folder`, which is made if need be, and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    write_atomic(path, page(traces, report).encode())
    return path


def page(traces: Sequence[Trace], report: Report) -> str:
    """Return the page; `traces` are the worst alarms, the worst first."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("presagio.exporter.backtest", ".")
    made = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return made.get_template("page.html").render(
        pictures=[_picture(one, report) for one in traces],
        report=report,
        box=drawing,
        span=f"{shown(report.span.begin)} to {shown(report.span.end)} UTC",
        interval=format_duration(report.span.interval),
        alarms=wording.count(report.alarms, "alarm"),
        columns=wording.COLUMNS if report.incidents is not None else wording.COLUMNS[:4],
        rows=[wording.measured(one, report.incidents is not None) for one in report.measures],
        missed=wording.missed(report.measures),
    )


def _picture(trace: Trace, report: Report) -> Picture:
    alarm, interval = trace.alarm, report.span.interval
    unit = report.units.get(alarm.key.signal, "")
    mine = [
        one
        for one in report.incidents or ()
        if one.service_id == alarm.key.service_id and one.signal in ("", alarm.key.signal)
    ]
    told = [one.name or str(one) for one in mine if one.told_by(alarm)]
    return Picture(
        alarm.key.service_id, alarm.key.signal, wording.labels(alarm.key), shown(alarm.begin), shown(alarm.end),
        format_duration(alarm.end - alarm.begin + interval), f"{alarm.score:.2f}", wording.value(alarm.value, unit),
        wording.value(alarm.expected, unit, "unknown"), wording.band(alarm.lower, alarm.upper, unit), ", ".join(told),
        unit, drawing.draw(trace, mine, unit, report.threshold, interval),
    )  # fmt: skip
