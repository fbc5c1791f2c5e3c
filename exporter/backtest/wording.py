"""Alarms and measures in words, the same in the terminal, in the pictures and in the documents."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from presagio.exporter.backtest.alarms import Alarm
from presagio.exporter.backtest.incidents import Incident
from presagio.exporter.backtest.measures import Measures
from presagio.exporter.backtest.times import shown
from presagio.exporter.signals import Key
from presagio.toolkit.table import columns
from presagio.toolkit.units import format_duration, format_value

COLUMNS = ("threshold", "alarms", "false", "false per service-week", "recall", "precision", "median delay")
_ALARM = ("service", "signal", "labels", "begin (UTC)", "end (UTC)", "score", "value", "expected", "band")

NO_INCIDENTS = "without --incidents every alarm counts as false"


def table(alarms: Iterable[Alarm], units: Mapping[str, str], incidents: Sequence[Incident] | None) -> str:
    """Return the alarms in the order of their beginning, as columns for a terminal."""
    ordered = sorted(alarms, key=lambda alarm: alarm.begin)
    if incidents is None:
        return columns([_ALARM, *(_row(alarm, units) for alarm in ordered)])
    rows = ((*_row(alarm, units), told(alarm, incidents) or "-") for alarm in ordered)
    return columns([(*_ALARM, "incident"), *rows])


def measures(found: Sequence[Measures], has_incidents: bool) -> str:
    """Return one line for each threshold."""
    head = COLUMNS if has_incidents else COLUMNS[:4]
    return columns([head, *(measured(one, has_incidents) for one in found)])


def measured(one: Measures, has_incidents: bool) -> tuple[str, ...]:
    """Return the cells of one threshold."""
    cells = (f"{one.threshold:g}", f"{one.alarms}", f"{one.false}", _number(one.false_per_service_week, ".3g"))
    if not has_incidents:
        return cells
    delay = "-" if one.median_delay is None else format_duration(one.median_delay)
    return (*cells, _number(one.recall, ".0%"), _number(one.precision, ".0%"), delay)


def missed(found: Sequence[Measures]) -> list[str]:
    """Return a line for each incident that was missed: what a threshold misses, a higher one misses too."""
    least: dict[Incident, float] = {}
    for one in sorted(found, key=lambda one: one.threshold):
        for incident in one.missed:
            least.setdefault(incident, one.threshold)
    return [f"missed from {threshold:g} on: {incident}" for incident, threshold in least.items()]


def count(number: int, noun: str) -> str:
    """Return `1 alarm`, `2 alarms`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def told(alarm: Alarm, incidents: Sequence[Incident]) -> str:
    """Return the names of the incidents that an alarm tells of."""
    return ", ".join(one.name or str(one) for one in incidents if one.told_by(alarm))


def labels(key: Key) -> str:
    """Return the labels that tell a series from others of its service and signal."""
    return ",".join(f"{name}={value}" for name, value in key.labels)


def value(number: float, unit: str, unknown: str = "absent") -> str:
    """Return a value with its unit."""
    return unknown if math.isnan(number) else format_value(number, unit)


def band(lower: float, upper: float, unit: str) -> str:
    """Return the band of what is usual; one side of it may be open."""
    low, high = math.isfinite(lower), math.isfinite(upper)
    if low and high:
        return f"{format_value(lower, unit)} .. {format_value(upper, unit)}"
    if high:
        return f"< {format_value(upper, unit)}"
    return f"> {format_value(lower, unit)}" if low else "unknown"


def _row(alarm: Alarm, units: Mapping[str, str]) -> tuple[str, ...]:
    unit = units.get(alarm.key.signal, "")
    return (
        alarm.key.service_id, alarm.key.signal, labels(alarm.key), shown(alarm.begin), shown(alarm.end),
        f"{alarm.score:.2f}", value(alarm.value, unit), value(alarm.expected, unit, "unknown"),
        band(alarm.lower, alarm.upper, unit),
    )  # fmt: skip


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
