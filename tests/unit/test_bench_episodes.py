"""Alarms, events and what is counted of them, by hand."""

import math

import numpy as np
import pytest
from detection import episodes, measures
from detection.data import Series
from detection.episodes import Spans, Tally

from presagio.detectors.base import Floats

MINUTE = 60.0
CLOCK = np.arange(0.0, 2000 * MINUTE, MINUTE)


def spans(*pairs: tuple[float, float]) -> Spans:
    return Spans(np.array([begin for begin, _ in pairs]), np.array([end for _, end in pairs]))


def pairs(found: Spans) -> list[tuple[float, float]]:
    return list(zip(found.begin.tolist(), found.end.tolist(), strict=True))


def minutes(*hits: int, length: int = 200) -> tuple[Floats, Floats]:
    """Return times and scores of one sample a minute, 0.7 at the given ones."""
    score = np.zeros(length)
    score[list(hits)] = 0.7
    return CLOCK[:length], score


def test_a_pause_of_thirty_minutes_does_not_raise_the_alarm_again() -> None:
    times, score = minutes(10, 40, 70)
    assert pairs(episodes.alarms(times, score, 0.6)) == [(600, 4200)]


def test_a_longer_pause_does() -> None:
    times, score = minutes(10, 41)
    assert pairs(episodes.alarms(times, score, 0.6)) == [(600, 600), (2460, 2460)]


def test_the_threshold_itself_is_an_alarm_and_no_score_is_none() -> None:
    times, score = minutes(10)
    score[10], score[100] = 0.6, np.nan
    assert pairs(episodes.alarms(times, score, 0.6)) == [(600, 600)]
    assert pairs(episodes.alarms(times, np.full(200, np.nan), 0.6)) == []


def test_events_stay_apart_however_short_the_pause() -> None:
    labels = np.array([0, 1, 1, 0, 1, 0, 1.0])
    assert pairs(episodes.events(CLOCK[:7], labels, MINUTE)) == [(60, 120), (240, 240), (360, 360)]


def test_an_event_may_be_found_until_thirty_minutes_after_its_end() -> None:
    event = spans((6000, 6600))
    in_time, late = spans((8400, 8400)), spans((8401, 8401))
    assert episodes.tally(in_time, event, 86400).detected == 1
    assert episodes.tally(late, event, 86400).detected == 0
    assert episodes.tally(late, event, 86400).true_alarms == 0


def test_an_alarm_before_an_event_has_no_credit_unless_it_is_still_open() -> None:
    event = spans((6000, 6600))
    assert episodes.tally(spans((5000, 5999)), event, 86400).true_alarms == 0
    open_still = episodes.tally(spans((5000, 6000)), event, 86400)
    assert (open_still.true_alarms, open_still.detected, open_still.delays) == (1, 1, (0.0,))
    assert (open_still.true_on_time, open_still.detected_on_time) == (0, 0)


def test_an_alarm_without_end_is_worth_nothing_on_time() -> None:
    """By overlap it would be one true alarm that finds all events: an F1 of 1 for a detector that only shouts."""
    always = episodes.tally(spans((0, 86400)), spans((6000, 6600), (50000, 51000)), 86400)
    assert measures.events([always])["event_f1"] == 1.0
    assert measures.on_time_f1([always]) == 0.0
    assert always.seconds_alarmed == 86400


def test_the_delay_is_that_of_the_first_alarm() -> None:
    found = episodes.tally(spans((6300, 6300), (9000, 9000)), spans((6000, 9600)), 86400)
    assert (found.events, found.detected, found.alarms, found.true_alarms) == (1, 1, 2, 2)
    assert found.delays == (300.0,)


def test_neither_alarms_nor_events() -> None:
    none = spans()
    assert episodes.tally(none, none, 86400) == Tally(0, 0, 0, 0, 0, 0, 1.0, (), 0.0)
    assert episodes.tally(none, spans((1, 2)), 86400).events == 1
    assert episodes.tally(spans((1, 2)), none, 86400).alarms == 1


def test_samples_near_an_event_are_not_normal() -> None:
    times = CLOCK[:100]
    near = episodes.near_events(times, spans((50 * MINUTE, 52 * MINUTE)))
    assert np.flatnonzero(near).tolist() == list(range(20, 83))


def test_figures_are_pooled_over_series() -> None:
    one = Tally(3, 2, 4, 3, 2, 3, 2.0, (60.0, 120.0), 0.0)
    other = Tally(1, 1, 1, 1, 1, 1, 2.0, (600.0,), 0.0)
    assert measures.events([one, other]) == pytest.approx(
        {
            "event_precision": 4 / 5,
            "event_recall": 3 / 4,
            "event_f1": 2 * 0.8 * 0.75 / 1.55,
            "false_alarms_per_series_day": 1 / 4,
            "delay_seconds": 120.0,
        }
    )


def test_silence_where_there_are_events_is_an_f1_of_zero_and_has_no_precision() -> None:
    silent = measures.events([Tally(3, 0, 0, 0, 0, 0, 2.0, (), 0.0)])
    assert silent["event_f1"] == 0.0
    assert math.isnan(silent["event_precision"])
    assert math.isnan(silent["delay_seconds"])


def series(labels: Floats) -> Series:
    times = CLOCK[: len(labels)]
    chosen = ~np.isnan(labels)
    return Series("one", MINUTE, times, np.zeros((len(labels), 1)), labels, chosen, np.arange(len(labels)))


def test_calibration_leaves_out_events_and_what_is_near_them() -> None:
    labels, score = np.zeros(1000), np.zeros(1000)
    labels[500:510], score[480:530] = 1, 0.9  # all of it within 30 minutes
    score[[10, 900]], score[20] = 0.3, np.nan
    known = [measures.facts(series(labels), score, {})]
    normal = 1000 - 70 - 1
    assert known[0].normal == normal
    assert measures.calibration_ratio(known) == pytest.approx(2 / normal / 0.001)


def test_what_is_not_scored_does_not_count() -> None:
    labels, score = np.zeros(1000), np.zeros(1000)
    labels[:500], score[100:110], score[700] = np.nan, 1.0, 1.0
    tally = measures.facts(series(labels), score, {}).at[0.6]
    assert (tally.alarms, tally.days) == (1, 500 / 1440)


def test_the_threshold_is_chosen_on_the_first_half_and_judged_on_the_second() -> None:
    labels, score = np.zeros(2000), np.zeros(2000)
    labels[[300, 1300, 1800]] = 1
    score[[300, 1300]], score[[700, 1600]] = 0.8, 0.5  # true ones at 0.8, false ones at 0.5
    chosen, f1 = measures.trained([measures.facts(series(labels), score, {})])
    assert 0.5 < chosen <= 0.8
    assert f1 == pytest.approx(2 / 3)  # one of two events, no false alarm
