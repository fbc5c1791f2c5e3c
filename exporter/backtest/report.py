"""`presagio backtest` as it is run from a terminal: the run, and what is told of it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

import orjson
from prometheus_client import CollectorRegistry

from presagio.exporter import wiring
from presagio.exporter.backtest import incidents as incidents_file
from presagio.exporter.backtest import pictures, wording
from presagio.exporter.backtest.alarms import Alarm
from presagio.exporter.backtest.blocks import Blocks, Promtool
from presagio.exporter.backtest.findings import Findings
from presagio.exporter.backtest.incidents import Incident
from presagio.exporter.backtest.measures import Measures
from presagio.exporter.backtest.moments import Moment, moments
from presagio.exporter.backtest.times import Span, moment, shown
from presagio.exporter.config import FILE, ExporterConfig
from presagio.exporter.engine import Engine
from presagio.exporter.evaluation import Timing
from presagio.exporter.signals import configured
from presagio.toolkit.clock import Clock, SystemClock
from presagio.toolkit.errors import PresagioError
from presagio.toolkit.labels import check_name
from presagio.toolkit.log import get_log
from presagio.toolkit.progress import progress
from presagio.toolkit.prometheus import Prometheus
from presagio.toolkit.units import format_duration, parse_duration

INTERRUPTED = 130
"""The exit code that a shell expects of what was ended by Ctrl-C."""


def report(arguments: argparse.Namespace, clock: Clock | None = None) -> int:
    """Run the backtest and tell what was found. Raises PresagioError for a span that is none, and the like."""
    config = FILE.load(arguments.config_file)
    told = None if arguments.incidents is None else incidents_file.load(arguments.incidents)
    return Backtest(config, arguments, told, clock or SystemClock()).run()


class Backtest:
    """One run. told: the incidents that people told of, None if they told of none."""

    def __init__(
        self, config: ExporterConfig, arguments: argparse.Namespace, told: Sequence[Incident] | None, clock: Clock
    ) -> None:
        self.config = config
        self.arguments = arguments
        self.told = told
        self.clock = clock
        self.signals = configured(config)
        self.units = {signal.name: signal.unit for signal in self.signals}

    def run(self) -> int:
        """Look at the whole span, or at what of it there was time for until Ctrl-C."""
        span = self._span()
        found = Findings(span, self.arguments.threshold, self.arguments.pictures and self.arguments.pictures_most)
        is_whole = self._collect(span, found)
        if not is_whole:
            sys.stderr.write("\ninterrupted: what follows covers the time until then\n")
        self._tell(span, found)
        return 0 if is_whole else INTERRUPTED

    def _span(self) -> Span:
        asked, config = self.arguments, self.config
        interval = _duration("--step", asked.step, config.evaluation.interval)
        lookback = _duration("--lookback", asked.lookback, config.warm_start.lookback)
        now = self.clock.time()
        end = moment(asked.end, now)
        begin = moment(asked.begin, end)
        if begin >= end:
            raise PresagioError(f"--from {asked.begin!r} is not before --to {asked.end!r}")
        self._check_step(interval)
        # Of the last seconds not all scrapes are in yet.
        return Span(begin, min(end, now - config.evaluation.delay), interval, lookback)

    def _check_step(self, interval: float) -> None:
        if interval < 1:
            raise PresagioError(f"--step {self.arguments.step!r} is too short; write 1s or more, such as 1m")
        for signal in self.signals:
            if signal.forget_after < 2 * interval:
                raise PresagioError(
                    f"--step {self.arguments.step!r} is too long: signal {signal.name!r} forgets a series after "
                    f"{format_duration(signal.forget_after)}; write at most half of that, or raise its forget_after"
                )

    def _collect(self, span: Span, found: Findings) -> bool:
        """Return whether the end was reached."""
        lasts, warm = span.end - span.begin, self.config.warm_start
        control = self.config.evaluation.control
        when = Timing(span.interval, lasts + span.lookback, control, lasts + warm.fine, warm.coarse)
        end = when.at_or_before(span.end)
        evaluations = wiring.evaluations(self.config, Prometheus(self.config.prometheus), when, CollectorRegistry())
        meeting = wiring.rendezvous(self.config, when) if self.arguments.write else None
        self._heed([one.engine for one in evaluations])
        total = sum(one.missed(end) for one in evaluations)
        try:
            with ExitStack() as held:
                write = self._writer(held)
                told = held.enter_context(progress("backtest", total, self.clock, get_log("exporter.backtest")))
                for one in _from(moments(evaluations, end, meeting, lambda: told(1)), span.begin):
                    found.add(one)
                    write(one)
        except KeyboardInterrupt:
            return False
        return True

    def _heed(self, engines: Sequence[Engine]) -> None:
        folder = self.arguments.storage_path
        if folder is None:
            return
        if not folder.is_dir():
            raise PresagioError(f"--storage.path {str(folder)!r} is no folder; name the one of the exporter")
        wiring.in_force(self.config, folder, self.clock).tell(engines)

    def _writer(self, held: ExitStack) -> Callable[[Moment], None]:
        if self.arguments.write is None:
            return lambda _: None
        labels = dict(_label(text) for text in self.arguments.write_labels)
        promtool = Promtool(self.arguments.promtool)
        made = Blocks(self.arguments.write_path, promtool, self.signals, self.config.outputs, labels)
        return held.enter_context(made).add

    def _tell(self, span: Span, found: Findings) -> None:
        measures = found.measures(self.told)
        outside = found.outside(self.told)
        if self.arguments.json:
            told = _json(span, found, measures, outside, self.told)
            sys.stdout.write(orjson.dumps(told, option=orjson.OPT_SERIALIZE_NUMPY).decode() + "\n")
        else:
            sys.stdout.write("\n".join(self._lines(span, found, measures, outside)) + "\n")
        if self.arguments.pictures:
            self._draw(span, found, measures)
        if self.arguments.write:
            sys.stderr.write(f"blocks written to {self.arguments.write_path}\n")

    def _lines(
        self, span: Span, found: Findings, measures: Sequence[Measures], outside: Sequence[Incident]
    ) -> Iterator[str]:
        alarms = found.chosen.found
        if alarms:
            yield wording.table(alarms, self.units, self.told)
            yield ""
        seen = found.exposure
        yield (
            f"{wording.count(len(alarms), 'alarm')} at {found.chosen.threshold:g} from {shown(span.begin)} to "
            f"{shown(found.reached)} UTC, every {format_duration(span.interval)}: {seen.series} series of "
            f"{wording.count(seen.services, 'service')}, {seen.service_weeks:.3g} service-weeks"
        )
        yield ""
        yield wording.measures(measures, self.told is not None)
        if self.told is None:
            yield wording.NO_INCIDENTS
            return
        yield from wording.missed(measures)
        for incident in self.told:
            if incident not in outside and not found.exposure.known(incident.service_id, incident.signal):
                yield f"nothing was scored of its service and signal: {incident}"
        for incident in outside:
            yield f"outside of the span, not counted: {incident}"

    def _draw(self, span: Span, found: Findings, measures: Sequence[Measures]) -> None:
        told = pictures.Report(span, found.chosen.threshold, measures, self.told, self.units, len(found.chosen.found))
        path = pictures.write(self.arguments.pictures, found.traces(), told)
        sys.stderr.write(f"pictures written to {path}\n")


def _from(all_moments: Iterator[Moment], begin: float) -> Iterator[Moment]:
    """Leave out what is there to learn from only."""
    return (one for one in all_moments if one.time >= begin)


def _duration(flag: str, text: str | None, default: float) -> float:
    try:
        return default if text is None else parse_duration(text)
    except ValueError as error:
        raise PresagioError(f"{flag}: expected {error}") from None


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    try:
        if equals and value:
            return check_name(name), value
    except ValueError:
        pass
    raise PresagioError(f"--write.label: expected NAME=VALUE such as job=presagio, got {text!r}")


def _json(
    span: Span, found: Findings, measures: Sequence[Measures], outside: Sequence[Incident],
    told: Sequence[Incident] | None,
) -> object:  # fmt: skip
    exposure = found.exposure
    return {
        "begin": span.begin,
        "end": found.reached,
        "interval": span.interval,
        "lookback": span.lookback,
        "threshold": found.chosen.threshold,
        "series": exposure.series,
        "services": exposure.services,
        "service_weeks": exposure.service_weeks,
        "alarms": [_alarm(one, told) for one in found.chosen.found],
        "thresholds": measures,
        "incidents_outside": outside,
    }


def _alarm(alarm: Alarm, told: Sequence[Incident] | None) -> object:
    return {
        "service_id": alarm.key.service_id,
        "signal": alarm.key.signal,
        "labels": dict(alarm.key.labels),
        "begin": alarm.begin,
        "end": alarm.end,
        "score": alarm.score,
        "value": alarm.value,
        "expected": alarm.expected,
        "lower": alarm.lower,
        "upper": alarm.upper,
        "incidents": None if told is None else [str(one) for one in told if one.told_by(alarm)],
    }
