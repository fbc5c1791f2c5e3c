"""What would have been seen: the same engine over a past span, and its alarms as a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from presagio.exporter.engine import Scores
from presagio.exporter.evaluation import Evaluation
from presagio.exporter.signals import Key
from presagio.toolkit.units import format_duration, format_value

_COLUMNS = ("service", "signal", "labels", "begin (UTC)", "lasted", "score", "value", "expected")


@dataclass
class Alarm:
    """A span in which the score of one series stayed at or above the threshold; what it was at its peak."""

    key: Key
    begin: float
    end: float
    score: float
    value: float
    expected: float


class Alarms:
    """Collects alarms from the scores of successive moments; a pause of up to `gap` seconds does not end one."""

    def __init__(self, threshold: float, gap: float) -> None:
        self.threshold = threshold
        self.gap = gap
        self.found: list[Alarm] = []
        self.moments = 0
        self._open: dict[Key, Alarm] = {}

    def add(self, scores: Scores) -> None:
        """Take in the scores of one moment."""
        self.moments += 1
        for row in np.flatnonzero(scores.score >= self.threshold).tolist():
            self._raise(scores, row)

    def _raise(self, scores: Scores, row: int) -> None:
        key, score, time = scores.keys[row], float(scores.score[row]), scores.time
        alarm = self._open.get(key)
        if alarm is None or time - alarm.end > self.gap:
            alarm = self._open[key] = Alarm(key, time, time, -1.0, np.nan, np.nan)
            self.found.append(alarm)
        alarm.end = time
        if score > alarm.score:
            alarm.score, alarm.value, alarm.expected = score, float(scores.value[row]), float(scores.expected[row])


def run(evaluations: Sequence[Evaluation], end: float) -> Iterator[Scores | None]:
    """Evaluate each signal over its whole lookback up to `end`; yield as `Evaluation.advance` does."""
    for evaluation in evaluations:
        yield from evaluation.advance(end)


def table(alarms: Iterable[Alarm], units: dict[str, str], interval: float) -> str:
    """Return the alarms in the order of their beginning, as columns for a terminal."""
    rows = [_row(alarm, units, interval) for alarm in sorted(alarms, key=lambda alarm: alarm.begin)]
    widths = [max(map(len, column)) for column in zip(_COLUMNS, *rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (_COLUMNS, *rows)
    )
    return "\n".join(line.rstrip() for line in lines)


def _row(alarm: Alarm, units: dict[str, str], interval: float) -> tuple[str, ...]:
    unit = units.get(alarm.key.signal, "")
    labels = ",".join(f"{name}={value}" for name, value in alarm.key.labels)
    begin = datetime.fromtimestamp(alarm.begin, UTC).strftime("%Y-%m-%d %H:%M:%S")
    lasted = format_duration(alarm.end - alarm.begin + interval)
    value = "absent" if np.isnan(alarm.value) else format_value(alarm.value, unit)
    expected = format_value(alarm.expected, unit)
    return alarm.key.service_id, alarm.key.signal, labels, begin, lasted, f"{alarm.score:.2f}", value, expected
