"""What a backtest has found so far: alarms at every threshold, what they are counted against, and their traces."""

from __future__ import annotations

from collections.abc import Sequence

from presagio.exporter.backtest.alarms import THRESHOLDS, Alarms, patience
from presagio.exporter.backtest.exposure import Exposure
from presagio.exporter.backtest.incidents import Incident
from presagio.exporter.backtest.measures import Measures, measure
from presagio.exporter.backtest.moments import Moment
from presagio.exporter.backtest.times import Span
from presagio.exporter.backtest.traces import Album, Trace


class Findings:
    """threshold: of the alarms that are listed and drawn; pictures: how many, none if 0 or None."""

    def __init__(self, span: Span, threshold: float, pictures: int | None) -> None:
        self.span = span
        self.reached = span.begin
        wait = patience(span.interval)
        self.alarms = {one: Alarms(one, wait) for one in sorted({*THRESHOLDS, threshold})}
        self.chosen = self.alarms[threshold]
        self.exposure = Exposure(span.interval)
        self.album = Album(self.chosen, span.interval, pictures) if pictures else None

    def add(self, moment: Moment) -> None:
        """Take in one moment."""
        self.reached = moment.time
        self.exposure.add(moment)
        for name, scores in moment.results.items():
            for alarms in self.alarms.values():
                alarms.add(scores)
            if self.album:
                self.album.add(name, scores)

    def measures(self, incidents: Sequence[Incident] | None) -> list[Measures]:
        """Return how good the alarms were at each threshold, against the incidents of the time looked at."""
        known = None if incidents is None else [one for one in incidents if self._is_seen(one)]
        return [measure(one, known, self.exposure.service_weeks) for one in self.alarms.values()]

    def outside(self, incidents: Sequence[Incident] | None) -> list[Incident]:
        """Return the incidents that lie before or after the time looked at."""
        return [one for one in incidents or () if not self._is_seen(one)]

    def traces(self) -> Sequence[Trace]:
        """Return the traces of the worst alarms, the worst first."""
        return self.album.worst() if self.album else []

    def _is_seen(self, incident: Incident) -> bool:
        return incident.start <= self.reached and incident.end >= self.span.begin
