"""How good the alarms were: false ones a service and week, and against incidents recall, precision and delay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from presagio.exporter.backtest.alarms import Alarm, Alarms
from presagio.exporter.backtest.incidents import Incident


@dataclass(frozen=True)
class Measures:
    """At one threshold. recall, precision and median_delay (seconds) are None where there is nothing to divide by."""

    threshold: float
    alarms: int
    false: int
    false_per_service_week: float | None
    recall: float | None = None
    precision: float | None = None
    median_delay: float | None = None
    missed: Sequence[Incident] = field(default_factory=list)


def measure(alarms: Alarms, incidents: Sequence[Incident] | None, service_weeks: float) -> Measures:
    """Compare alarms with the incidents of the same span; None if nobody told of any: then each alarm is false."""
    by_service = _by_service(alarms.found)
    told = {id(one): _told(one, by_service.get(one.service_id, ())) for one in incidents or ()}
    true = {id(alarm) for some in told.values() for alarm in some}
    count, false = len(alarms.found), len(alarms.found) - len(true)
    rate = false / service_weeks if service_weeks else None
    if incidents is None:
        return Measures(alarms.threshold, count, false, rate)
    missed = [one for one in incidents if not told[id(one)]]
    delays = [_delay(one, told[id(one)]) for one in incidents if told[id(one)]]
    return Measures(
        alarms.threshold, count, false, rate,
        recall=len(delays) / len(incidents) if incidents else None,
        precision=len(true) / count if count else None,
        median_delay=median(delays) if delays else None,
        missed=missed,
    )  # fmt: skip


def _by_service(alarms: Sequence[Alarm]) -> dict[str, list[Alarm]]:
    found: dict[str, list[Alarm]] = {}
    for alarm in alarms:
        found.setdefault(alarm.key.service_id, []).append(alarm)
    return found


def _told(incident: Incident, alarms: Sequence[Alarm]) -> list[Alarm]:
    return [alarm for alarm in alarms if incident.told_by(alarm)]


def _delay(incident: Incident, alarms: Sequence[Alarm]) -> float:
    """Return from the start to the first alarm; one that was there before has none."""
    return max(0.0, min(alarm.begin for alarm in alarms) - incident.start)
