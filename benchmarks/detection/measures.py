"""From scores to figures: what is known of each series, and what the series of a set make together.

All measures are of the scored part alone. Counts are pooled over the series of a set: an event is an event, in
whichever series. Nothing here is point-adjusted, and no threshold is chosen on the labels that it is judged by.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from detection import episodes, nab, ranking
from detection.data import Series
from detection.episodes import Tally
from presagio.detectors.base import Floats, Ints

MEASURES = (
    "event_precision", "event_recall", "event_f1", "false_alarms_per_series_day", "delay_seconds", "vus_pr", "auc_pr",
    "nab_standard", "nab_low_fp", "nab_low_fn", "calibration_ratio_at_0_3", "seconds",
)  # fmt: skip
"""What OUT holds of each method and set."""

THRESHOLD, LOW = 0.6, 0.3
NAB_THRESHOLD = 0.4
"""NAB takes a false alarm for a ninth of a window: once in ten thousand samples is its price."""

NOMINAL = 10 ** (-10 * LOW)
GRID = tuple(np.round(np.arange(0.02, 1.001, 0.02), 2).tolist())


@dataclass(frozen=True)
class Facts:
    """All that the measures need of one series and one method, so that a bootstrap has only to add up.

    halves: tallies by threshold of the first and of the second half of the scored span. normal, normal_above: samples
    away from events, and how many of them reach each threshold.
    """

    at: Mapping[float, Tally]
    halves: tuple[Mapping[float, Tally], Mapping[float, Tally]]
    normal: int
    normal_above: Mapping[float, int]
    auc: float
    vus: float
    nab: Mapping[str, Mapping[float, nab.Part]]


def facts(series: Series, score: Floats, costs: nab.Profiles) -> Facts:
    """Compare score[t] with the labels of a series."""
    times, labels, given = series.times[series.scored], series.labels[series.scored], score[series.scored]
    labelled = episodes.events(times, labels, series.interval)
    normal = ~episodes.near_events(times, labelled) & ~np.isnan(given)
    filled = np.nan_to_num(given, nan=0.0)
    return Facts(
        at=_tallies(series, times, labels, given),
        halves=_halves(series, times, labels, given),
        normal=int(normal.sum()),
        normal_above={at: int((given[normal] >= at).sum()) for at in GRID},
        auc=ranking.auc_pr(labels, filled),
        vus=ranking.vus_pr(labels, filled, series.interval),
        nab={name: _nab(series, score, cost) for name, cost in costs.items()},
    )


def _tallies(series: Series, times: Floats, labels: Floats, score: Floats) -> Mapping[float, Tally]:
    labelled = episodes.events(times, labels, series.interval)
    seconds = len(times) * series.interval
    return {at: episodes.tally(episodes.alarms(times, score, at), labelled, seconds) for at in GRID}


def _halves(
    series: Series, times: Floats, labels: Floats, score: Floats
) -> tuple[Mapping[float, Tally], Mapping[float, Tally]]:
    middle = len(times) // 2
    parts = [(series, times[half], labels[half], score[half]) for half in (slice(middle), slice(middle, None))]
    return _tallies(*parts[0]), _tallies(*parts[1])


def _nab(series: Series, score: Floats, costs: nab.Costs) -> Mapping[float, nab.Part]:
    """Return the series' share of NAB's score at each threshold; nothing for a set without windows."""
    if series.windows is None:
        return {}
    spoken = np.where(series.scored, score, np.nan)
    return {at: nab.part(_detected(series, spoken, at), series.windows, len(series.samples), costs) for at in GRID}


def _detected(series: Series, score: Floats, threshold: float) -> Ints:
    raised = episodes.alarms(series.times, score, threshold)
    return nab.detections(episodes.onsets(series.times, raised), series.samples)


def figures(known: Sequence[Facts], costs: nab.Profiles) -> dict[str, float]:
    """Return the measures of a set at 0.6, but for the seconds."""
    return {
        **events([one.at[THRESHOLD] for one in known]),
        "vus_pr": _mean([one.vus for one in known]),
        "auc_pr": _mean([one.auc for one in known]),
        **{measure: nab_score(known, name, costs, NAB_THRESHOLD) for measure, name in nab.PROFILES.items()},
        "calibration_ratio_at_0_3": calibration_ratio(known),
    }


def events(tallies: Sequence[Tally]) -> dict[str, float]:
    """Return what alarms at one threshold are worth. F1 is 0 where nothing is found, NaN where there is nothing."""
    total = sum(one.events for one in tallies)
    recall = _ratio(sum(one.detected for one in tallies), total)
    raised, true = sum(one.alarms for one in tallies), sum(one.true_alarms for one in tallies)
    precision = _ratio(true, raised)
    delays = [delay for one in tallies for delay in one.delays]
    return {
        "event_precision": precision,
        "event_recall": recall,
        "event_f1": _f1(precision, recall),
        "false_alarms_per_series_day": _ratio(raised - true, sum(one.days for one in tallies)),
        "delay_seconds": float(np.median(delays)) if delays else math.nan,
    }


def on_time_f1(tallies: Sequence[Tally]) -> float:
    """Return F1 of alarms that begin in an event or within 30 minutes after it. An alarm without end gets nothing."""
    recall = _ratio(sum(one.detected_on_time for one in tallies), sum(one.events for one in tallies))
    return _f1(_ratio(sum(one.true_on_time for one in tallies), sum(one.alarms for one in tallies)), recall)


def nab_score(known: Sequence[Facts], profile: str, costs: nab.Profiles, threshold: float) -> float:
    """Return NAB's score of a set at one threshold; NaN for a set without windows."""
    parts = [one.nab[profile][threshold] for one in known if one.nab.get(profile)]
    return nab.normalised(parts, costs[profile]) if parts else math.nan


def trained(known: Sequence[Facts]) -> tuple[float, float]:
    """Return the threshold with the best F1 on the first half of each series, and its F1 on the second.

    Both of alarms on time: by overlap alone the best threshold would be the one that is always exceeded.
    """
    first = {at: on_time_f1([one.halves[0][at] for one in known]) for at in GRID}
    chosen = max(GRID, key=lambda at: (np.nan_to_num(first[at], nan=-1.0), -abs(at - THRESHOLD)))
    return chosen, on_time_f1([one.halves[1][chosen] for one in known])


def bound(known: Sequence[Facts], costs: nab.Profiles) -> tuple[float, float]:
    """Return the best F1 on time and the best NAB standard score of any single threshold: none can be so lucky."""
    f1 = [on_time_f1([one.at[at] for one in known]) for at in GRID]
    scores = [nab_score(known, nab.PROFILES["nab_standard"], costs, at) for at in GRID]
    return _highest(f1), _highest(scores)


def calibration_ratio(known: Sequence[Facts]) -> float:
    """Return how many times as often as once in a thousand a sample away from events scores 0.3 or more."""
    return _ratio(sum(one.normal_above[LOW] for one in known), sum(one.normal for one in known)) / NOMINAL


def share_alarmed(known: Sequence[Facts]) -> float:
    """Return the share of the scored time in which an alarm is open: who always shouts has a good F1, and this."""
    tallies = [one.at[THRESHOLD] for one in known]
    return _ratio(sum(one.seconds_alarmed for one in tallies), episodes.DAY * sum(one.days for one in tallies))


def _f1(precision: float, recall: float) -> float:
    if math.isnan(recall):
        return math.nan
    if not precision or not recall or math.isnan(precision):
        return 0.0
    return 2 * precision * recall / (precision + recall)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def _highest(values: Sequence[float]) -> float:
    return max((value for value in values if not math.isnan(value)), default=math.nan)
