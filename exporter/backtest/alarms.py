"""From scores to alarms: what an alarm is, stands here and nowhere else.

An alarm is an episode of one series. It begins when the score reaches the threshold, and it ends when the score has
stayed below it for five minutes, or for two intervals if these are longer: see `patience`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from presagio.exporter.engine import Scores
from presagio.exporter.signals import Key

THRESHOLDS = (0.3, 0.45, 0.6, 0.8)

_PATIENCE = 300.0


def patience(interval: float) -> float:
    """Return for how many seconds a score may stay below the threshold without ending its alarm."""
    return max(_PATIENCE, 2 * interval)


@dataclass
class Alarm:
    """One episode: `begin` and `end` are its first and last moment at or above the threshold, the rest its peak."""

    key: Key
    begin: float
    end: float
    score: float = -1.0
    value: float = np.nan
    expected: float = np.nan
    lower: float = np.nan
    upper: float = np.nan

    def overlaps(self, begin: float, end: float) -> bool:
        """Return whether some of the alarm lies between two times."""
        return self.begin <= end and self.end >= begin


class Alarms:
    """Collects the alarms of one threshold from the scores of successive moments."""

    def __init__(self, threshold: float, patience: float) -> None:
        self.threshold = threshold
        self.patience = patience
        self.found: list[Alarm] = []
        self._last: dict[Key, Alarm] = {}

    def add(self, scores: Scores) -> None:
        """Take in the scores of one moment."""
        for row in np.flatnonzero(scores.score >= self.threshold).tolist():
            self._raise(scores, row)

    def _raise(self, scores: Scores, row: int) -> None:
        key, time = scores.keys[row], scores.time
        alarm = self._last.get(key)
        if alarm is None or time - alarm.end > self.patience:
            alarm = self._last[key] = Alarm(key, time, time)
            self.found.append(alarm)
        alarm.end = time
        if scores.score[row] > alarm.score:
            self._peak(alarm, scores, row)

    def _peak(self, alarm: Alarm, scores: Scores, row: int) -> None:
        alarm.score = float(scores.score[row])
        alarm.value, alarm.expected = float(scores.value[row]), float(scores.expected[row])
        alarm.lower, alarm.upper = float(scores.lower[row]), float(scores.upper[row])
