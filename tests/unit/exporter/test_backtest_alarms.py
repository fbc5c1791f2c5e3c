"""What an alarm is, what alarms are counted against, and how good they are."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from fake_source import STEP

from presagio.exporter.backtest.alarms import Alarm, Alarms, patience
from presagio.exporter.backtest.exposure import Exposure
from presagio.exporter.backtest.incidents import Incident
from presagio.exporter.backtest.measures import measure
from presagio.exporter.backtest.moments import Moment
from presagio.exporter.backtest.wording import band, measures, missed, table
from presagio.exporter.engine import Scores
from presagio.exporter.signals import Key

A, B = Key("shop/web", "load", (("pod", "web-1"), ("node", "n"))), Key("b", "memory", ())
NAN = math.nan
NOW = 1_700_000_000.0


def scores(step: int, *score: float, value: float = 7.0, expected: float = 5.0, keys: Sequence[Key] = ()) -> Scores:
    count = len(score)
    column = np.full(count, expected)
    chosen = keys or [A, B][:count]
    return Scores(
        step * STEP, chosen, np.full(count, value), np.array(score), column, column - 1, column + 1, np.ones(count)
    )


def alarms(*column: float, gap: int = 2) -> Alarms:
    found = Alarms(0.6, gap * STEP)
    for step, score in enumerate(column):
        found.add(scores(step, score))
    return found


class TestAlarms:
    @pytest.mark.parametrize(("interval", "seconds"), [(15.0, 300.0), (150.0, 300.0), (300.0, 600.0)])
    def test_it_ends_after_five_minutes_or_two_intervals(self, interval: float, seconds: float) -> None:
        assert patience(interval) == seconds

    def test_what_reaches_the_threshold_is_an_alarm_and_what_does_not_is_none(self) -> None:
        assert alarms(0.59, NAN, 0.0).found == []
        (alarm,) = alarms(0.0, 0.6, 0.0).found
        assert (alarm.begin, alarm.end, alarm.score) == (STEP, STEP, 0.6)

    def test_a_short_pause_does_not_end_an_alarm_and_a_longer_one_does(self) -> None:
        spans = [(one.begin / STEP, one.end / STEP) for one in alarms(0.7, 0.1, 0.7, NAN, NAN, 0.7, 0.7).found]
        assert spans == [(0, 2), (5, 6)]
        assert len(alarms(0.7, 0.1, 0.1, 0.7, gap=3).found) == 1

    def test_what_it_was_is_what_its_peak_was(self) -> None:
        found = Alarms(0.6, STEP)
        for step, (score, value) in enumerate([(0.7, 1.0), (0.9, 2.0), (0.9, 3.0), (0.8, 4.0)]):
            found.add(scores(step, score, value=value, expected=10 * value))
        (alarm,) = found.found
        assert (alarm.score, alarm.value, alarm.expected, alarm.lower, alarm.upper) == (0.9, 2.0, 20.0, 19.0, 21.0)

    def test_each_series_has_alarms_of_its_own(self) -> None:
        found = Alarms(0.6, STEP)
        for step in range(3):
            found.add(scores(step, 0.7, 0.8))
        assert [(one.key, one.score) for one in found.found] == [(A, 0.7), (B, 0.8)]

    def test_no_series_have_none(self) -> None:
        found = Alarms(0.0, STEP)
        found.add(scores(0))
        assert found.found == []


class TestExposure:
    def test_a_service_counts_once_by_the_signal_that_was_scored_longest(self) -> None:
        found = Exposure(interval=86400.0)
        one, two, other = Key("a", "load", ()), Key("a", "load", (("pod", "2"),)), Key("a", "memory", ())
        for step in range(7):
            load = scores(step, 0.1, NAN if step % 2 else 0.1, keys=[one, two])
            found.add(Moment(load.time, {"load": load, "memory": scores(step, NAN, keys=[other])}, None))
        assert (found.services, found.series) == (1, 2)
        assert found.service_weeks == pytest.approx(1.0)

    def test_services_add_up_and_count_only_while_they_are_scored(self) -> None:
        found = Exposure(interval=86400.0)
        for step in range(14):  # a new list of keys each time, as when series come and go
            found.add(Moment(step, {"load": scores(step, 0.1, 0.1 if step < 7 else NAN, keys=[A, B])}, None))
        assert found.service_weeks == pytest.approx(3.0)

    def test_what_never_had_a_score_is_not_known(self) -> None:
        found = Exposure(STEP)
        found.add(Moment(0, {"load": scores(0, 0.1, NAN)}, None))
        assert found.known("shop/web", "")
        assert found.known("shop/web", "load")
        assert not found.known("shop/web", "memory")
        assert not found.known("b", "")


FIRE, FLOOD = Incident("shop/web", "", 100, 200, "fire"), Incident("b", "memory", 300, 400, "flood")


def found(*spans: tuple[Key, float, float]) -> Alarms:
    made = Alarms(0.6, 300)
    made.found = [Alarm(key, begin, end, 0.7) for key, begin, end in spans]
    return made


class TestMeasures:
    def test_without_incidents_every_alarm_is_false(self) -> None:
        one = measure(found((A, 0, 10), (B, 350, 360)), None, service_weeks=0.5)
        assert (one.alarms, one.false, one.false_per_service_week) == (2, 2, 4.0)
        assert (one.recall, one.precision, one.median_delay, one.missed) == (None, None, None, [])

    def test_recall_precision_and_delay(self) -> None:
        alarms = found((A, 130, 140), (A, 150, 160), (A, 500, 510), (B, 50, 310))
        one = measure(alarms, [FIRE, FLOOD], service_weeks=2.0)
        assert (one.recall, one.precision, one.false, one.false_per_service_week) == (1.0, 0.75, 1, 0.5)
        assert one.median_delay == 15.0  # 30 s, and none for the alarm that was there before

    def test_what_is_missed_has_a_name(self) -> None:
        one = measure(found((A, 130, 140)), [FIRE, FLOOD], 1.0)
        assert (one.recall, one.precision, one.missed) == (0.5, 1.0, [FLOOD])
        assert measure(found(), [FIRE, FLOOD], 1.0).missed == [FIRE, FLOOD]

    def test_what_cannot_be_divided_is_not_known(self) -> None:
        none = measure(found(), [], service_weeks=0.0)
        assert (none.recall, none.precision, none.false_per_service_week) == (None, None, None)

    def test_in_words(self) -> None:
        low, high = measure(found((A, 130, 140)), [FIRE, FLOOD], 1.0), measure(found(), [FIRE, FLOOD], 1.0)
        assert measures([low, high], has_incidents=True).splitlines() == [
            "threshold  alarms  false  false per service-week  recall  precision  median delay",
            "0.6        1       0      0                       50%     100%       30s",
            "0.6        0       0      0                       0%      -          -",
        ]
        assert measures([measure(found((A, 1, 2)), None, 0.25)], has_incidents=False).splitlines() == [
            "threshold  alarms  false  false per service-week",
            "0.6        1       1      4",
        ]

    def test_an_incident_is_missed_from_some_threshold_on(self) -> None:
        low, high = found((A, 130, 140)), found()
        high.threshold = 0.8
        assert missed([measure(one, [FIRE, FLOOD], 1.0) for one in (low, high)]) == [
            "missed from 0.6 on: flood (b memory 1970-01-01 00:05:00)",
            "missed from 0.8 on: fire (shop/web 1970-01-01 00:01:40)",
        ]


class TestTable:
    def test_its_text(self) -> None:
        later = Alarm(A, NOW, NOW + 105, 0.734, NAN, 0.25, 0.125, 0.5)
        sooner = Alarm(B, NOW - 3600, NOW - 3600, 1.0, 3 * 2**20, 2**20, NAN, 2**21)
        assert table([later, sooner], {"load": "seconds", "memory": "bytes"}, None).splitlines() == [
            "service   signal  labels            begin (UTC)          end (UTC)            score  value   expected  "
            "band",
            "b         memory                    2023-11-14 21:13:20  2023-11-14 21:13:20  1.00   3 MiB   1 MiB     "
            "< 2 MiB",
            "shop/web  load    pod=web-1,node=n  2023-11-14 22:13:20  2023-11-14 22:15:05  0.73   absent  0.25s     "
            "0.125s .. 0.5s",
        ]

    def test_with_incidents_it_says_of_which_each_is(self) -> None:
        head, first, second = table([Alarm(A, 150, 160), Alarm(A, 0, 10)], {}, [FIRE]).splitlines()
        assert (head.split()[-1], first.split()[-1], second.split()[-1]) == ("incident", "-", "fire")

    @pytest.mark.parametrize(
        ("lower", "upper", "text"),
        [(1, 2, "1 .. 2"), (NAN, 2, "< 2"), (1, math.inf, "> 1"), (NAN, NAN, "unknown"), (-math.inf, 2, "< 2")],
    )
    def test_a_band_may_be_open(self, lower: float, upper: float, text: str) -> None:
        assert band(lower, upper, "") == text
