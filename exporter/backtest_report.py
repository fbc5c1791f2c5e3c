"""`presagio backtest` as it is run from a terminal: the span, a progress bar, the table."""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Protocol

import click
import orjson
from prometheus_client import CollectorRegistry

from presagio.exporter import backtest, wiring
from presagio.exporter.config import FILE, ExporterConfig
from presagio.exporter.engine import Scores
from presagio.exporter.evaluation import Evaluation, Timing
from presagio.exporter.signals import configured
from presagio.toolkit.clock import Clock, SystemClock
from presagio.toolkit.errors import PresagioError
from presagio.toolkit.prometheus import Prometheus
from presagio.toolkit.units import format_duration, parse_duration

_NUMBER = re.compile(r"\d+(\.\d+)?")


def report(arguments: argparse.Namespace, clock: Clock | None = None) -> int:
    """Run the backtest and print its alarms. Raises PresagioError for a span that is none."""
    config = FILE.load(arguments.config_file)
    end = moment(arguments.end, (clock or SystemClock()).time())
    begin = moment(arguments.begin, end)
    if begin >= end:
        raise PresagioError(f"--from {arguments.begin!r} is not before --to {arguments.end!r}")
    when = Timing(config.evaluation.interval, end - begin, config.evaluation.control)
    evaluations = wiring.evaluations(config, Prometheus(config.prometheus), when, CollectorRegistry())
    alarms = _collect(evaluations, when.at_or_before(end), arguments.threshold, config)
    _print(alarms, config, arguments)
    return 0


def moment(text: str, now: float) -> float:
    """Return Unix time for `now`, `-7d` (before `now`), Unix time or ISO 8601. Raises PresagioError."""
    try:
        if text == "now":
            return now
        if text.startswith("-"):
            return now - parse_duration(text[1:])
        return float(text) if _NUMBER.fullmatch(text) else _iso(text).timestamp()
    except (ValueError, OverflowError):
        raise PresagioError(f"{text!r} is no time; write -7d, Unix time or 2026-01-31T12:00:00Z") from None


def _iso(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)  # as the table shows it


def _collect(
    evaluations: Sequence[Evaluation], end: float, threshold: float, config: ExporterConfig
) -> backtest.Alarms:
    interval = config.evaluation.interval
    alarms = backtest.Alarms(threshold, gap=2 * interval)
    total = sum(evaluation.missed(end) for evaluation in evaluations)
    with click.progressbar(length=total, label="backtest", file=sys.stderr) as bar:
        for scores in _counted(backtest.run(evaluations, end), bar):
            alarms.add(scores)
    return alarms


class _Bar(Protocol):
    def update(self, n_steps: int) -> None: ...


def _counted(results: Iterator[Scores | None], bar: _Bar) -> Iterator[Scores]:
    for scores in results:
        bar.update(1)
        if scores is not None:
            yield scores


def _print(alarms: backtest.Alarms, config: ExporterConfig, arguments: argparse.Namespace) -> None:
    if arguments.json:
        for alarm in alarms.found:
            sys.stdout.write(orjson.dumps(dataclasses.asdict(alarm)).decode() + "\n")
        return
    units = {signal.name: signal.unit for signal in configured(config)}
    interval = config.evaluation.interval
    if alarms.found:
        sys.stdout.write(backtest.table(alarms.found, units, interval) + "\n")
    sys.stdout.write(
        f"{len(alarms.found)} alarms at {arguments.threshold:g} in {alarms.moments} moments "
        f"of {format_duration(interval)}\n"
    )
