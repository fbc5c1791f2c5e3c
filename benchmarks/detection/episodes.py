"""Alarms and events of one series: spans of its samples.

An alarm is an episode: it begins when the score reaches the threshold, and ends when it has stayed below for 30
minutes. One that was raised is not raised again. An event is a run of samples that are labelled as anomalous.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detection.data import Bools
from presagio.detectors.base import Floats, Ints

PAUSE = 1800.0
LATE = 1800.0
"""Seconds after its end in which an event may still be found: what is noticed so late is of use to nobody later."""

DAY = 86400.0


@dataclass(frozen=True)
class Spans:
    """First and last moment of each span, in Unix seconds, in order."""

    begin: Floats
    end: Floats

    def __len__(self) -> int:
        return len(self.begin)


@dataclass(frozen=True)
class Tally:
    """What is counted in one series at one threshold; sums of tallies give the measures of a set.

    on_time: the same with alarms alone that begin in an event or within 30 minutes after it.
    """

    events: int
    detected: int
    alarms: int
    true_alarms: int
    detected_on_time: int
    true_on_time: int
    days: float
    delays: tuple[float, ...]
    seconds_alarmed: float


def alarms(times: Floats, score: Floats, threshold: float) -> Spans:
    """Return the alarms of score[t]; NaN is no score, and below every threshold."""
    return _spans(times[score >= threshold], PAUSE)


def events(times: Floats, labels: Floats, interval: float) -> Spans:
    """Return the runs of labels[t] == 1, however short the pause between two."""
    return _spans(times[labels == 1], 1.5 * interval)


def _spans(hits: Floats, gap: float) -> Spans:
    """Join moments of which one follows the other within `gap` seconds."""
    if not len(hits):
        return Spans(hits, hits)
    breaks = np.flatnonzero(np.diff(hits) > gap)
    return Spans(hits[np.append(0, breaks + 1)], hits[np.append(breaks, len(hits) - 1)])


def tally(raised: Spans, labelled: Spans, seconds: float) -> Tally:
    """Compare alarms with events; `seconds` is how long the series was scored."""
    meet = overlaps(raised, labelled)
    # An alarm without end meets every event, as one true alarm. Only that it began before any of them gives it away.
    on_time = (meet & (raised.begin[:, None] >= labelled.begin[None, :])).any(axis=1)
    return Tally(
        events=len(labelled),
        detected=int(meet.any(axis=0).sum()),
        alarms=len(raised),
        true_alarms=int(meet.any(axis=1).sum()),
        detected_on_time=int(meet[on_time].any(axis=0).sum()),
        true_on_time=int(on_time.sum()),
        days=seconds / DAY,
        delays=_delays(raised, labelled, meet),
        seconds_alarmed=float((raised.end - raised.begin).sum()),
    )


def _delays(raised: Spans, labelled: Spans, meet: Bools) -> tuple[float, ...]:
    """Return how long after its beginning each event that was found had its first alarm."""
    found = meet.any(axis=0)
    first = np.array([column.argmax() for column in meet.T[found]], dtype=np.int64)
    late: Floats = np.maximum(raised.begin[first] - labelled.begin[found], 0.0)
    return tuple(late.tolist())


def overlaps(raised: Spans, labelled: Spans) -> Bools:
    """Return which alarm[i] meets which event[j], or the 30 minutes after it."""
    begins: Bools = raised.begin[:, None] <= labelled.end[None, :] + LATE
    lasts: Bools = raised.end[:, None] >= labelled.begin[None, :]
    return begins & lasts


def near_events(times: Floats, labelled: Spans) -> Bools:
    """Return which moments lie inside an event or within 30 minutes of one."""
    near = np.zeros(len(times), dtype=np.bool_)
    for begin, end in zip(labelled.begin, labelled.end, strict=True):
        near[np.searchsorted(times, begin - LATE) : np.searchsorted(times, end + LATE, side="right")] = True
    return near


def onsets(times: Floats, raised: Spans) -> Ints:
    """Return the sample at which each alarm begins."""
    return np.searchsorted(times, raised.begin).astype(np.int64)
