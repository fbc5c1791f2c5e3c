"""One signal up to a moment, with a Prometheus that answers from a dictionary."""

import logging
import math

import numpy as np
import pytest
from fake_source import STEP, FakeSource, steady
from prometheus_client import CollectorRegistry

from presagio.exporter.config import FILE
from presagio.exporter.evaluation import Evaluation, Timing
from presagio.exporter.wiring import evaluations
from presagio.toolkit import positions
from presagio.toolkit.errors import SourceError


class World:
    """Evaluations of the given signals, whose queries are their names, over one fake source."""

    def __init__(
        self, source: FakeSource, *names: str, lookback: int = 0, limit: int = 1000, soft: int | None = None
    ) -> None:
        signals = "".join(f"\n  - {{name: {name}, query: {name}}}" for name in names)
        text = f"limits: {{series: {limit}, soft_series: {soft or limit}}}\nsignals: {signals}"
        self.source = source
        self.registry = CollectorRegistry()
        when = Timing(STEP, lookback * STEP, "up")
        self.all = evaluations(FILE.validate(positions.parse(text), "x.yml"), source, when, self.registry)

    @property
    def one(self) -> Evaluation:
        return self.all[0]

    def to(self, step: int, which: int = 0) -> list[int | None]:
        """Advance; return the steps scored, None where blind."""
        found = self.all[which].advance(step * STEP)
        return [None if scores is None else round(scores.time / STEP) for scores in found]

    def count(self, name: str, signal: str = "load", **labels: str) -> float:
        value = self.registry.get_sample_value(f"presagio_{name}", {"signal": signal, **labels})
        assert value is not None, f"{name} does not begin at 0"
        return value


def kinds(source: FakeSource) -> list[str]:
    return [kind for kind, *_ in source.asked]


class TestInstantOrHistory:
    def test_when_nothing_was_missed_one_instant_query_is_enough(self) -> None:
        world = World(FakeSource(load={"a": steady()}), "load")
        assert (world.to(10), world.to(11)) == ([10], [11])
        assert world.source.asked == [("instant", "load", 10, 10), ("instant", "load", 11, 11)]
        assert world.count("evaluations_total") == 2

    def test_a_first_start_reads_the_lookback(self) -> None:
        world = World(FakeSource(load={"a": steady()}), "load", lookback=10)
        assert world.one.missed(20 * STEP) == 11
        assert world.to(20) == list(range(10, 21))
        assert kinds(world.source) == ["instant", "history", "history", "history"]

    def test_what_was_missed_is_read_from_history(self) -> None:
        world = World(FakeSource(load={"a": steady()}), "load", lookback=100)
        world.one.engine.time = 15 * STEP
        assert world.to(20) == [16, 17, 18, 19, 20]
        assert world.one.missed(20 * STEP) == 0

    def test_no_more_than_the_lookback_is_made_up_for(self) -> None:
        world = World(FakeSource(load={"a": steady()}), "load", lookback=3)
        world.one.engine.time = 1 * STEP
        assert world.to(20) == [17, 18, 19, 20]

    def test_the_same_moment_is_never_scored_twice(self) -> None:
        world = World(FakeSource(load={"a": steady()}), "load")
        assert (world.to(10), world.to(10), world.to(9)) == ([10], [], [])
        assert world.one.missed(9 * STEP) == 0

    def test_after_a_clock_that_was_years_ahead_it_goes_on_from_now(self) -> None:
        world = World(FakeSource(load={"a": steady()}), "load", lookback=10)
        world.one.engine.time = 1e9
        assert (world.to(20), world.to(21)) == ([20], [21])


class TestTiming:
    @pytest.mark.parametrize("interval", [0.1, 0.3, 1.0, 7.0, 15.0, 60.0, 86400.0])
    def test_every_moment_follows_the_one_before_whatever_the_interval(self, interval: float) -> None:
        when = Timing(interval, 1000 * interval, "")
        time = when.at_or_before(1_700_000_000.0)
        for _ in range(1000):
            following = when.first(time, time + 500 * interval)
            assert 0.99 * interval < following - time < 1.01 * interval
            assert when.at_or_before(following) == following
            time = following

    def test_a_lookback_that_the_interval_does_not_divide_is_cut(self) -> None:
        assert Timing(15.0, 100.0, "").first(-math.inf, 300.0) == 210.0
        assert Timing(60.0, 30.0, "").first(-math.inf, 300.0) == 300.0

    @pytest.mark.parametrize("interval", [7.0, 10.0, 15.0, 60.0])
    def test_an_interval_changed_between_restarts_goes_on_after_the_last_moment(self, interval: float) -> None:
        first = Timing(interval, 1000.0, "").first(95.0, 300.0)
        assert 95.0 < first <= 95.0 + interval
        assert first % interval == 0


class TestCoarse:
    WHEN = Timing(STEP, 900 * STEP, "up", fine=10 * STEP, coarse=20 * STEP)

    def world(self) -> World:
        world = World(FakeSource(load={"a": steady()}), "load")
        world.one.timing = self.WHEN
        return world

    def test_older_history_is_read_at_coarse_moments_and_the_rest_at_each(self) -> None:
        world = self.world()
        due = [*range(100, 981, 20), *range(981, 1000)]
        assert world.one.missed(999 * STEP) == len(due)
        assert world.to(999) == due

    def test_a_short_gap_is_made_up_for_at_each_moment_and_a_long_one_is_not(self) -> None:
        world = self.world()
        world.one.engine.time = 985 * STEP
        assert world.to(995) == list(range(986, 996))
        world.one.engine.time = 911 * STEP
        assert world.to(999) == [920, 940, 960, 980, *range(981, 1000)]

    def test_a_failure_among_coarse_moments_resumes_where_it_stopped(self) -> None:
        world = self.world()
        world.source.fails_at = {420}
        with pytest.raises(SourceError):
            world.to(999)
        world.source.fails_at = set()
        assert world.to(999)[:2] == [420, 440]

    def test_nothing_is_coarse_if_the_interval_is_as_long(self) -> None:
        when = Timing(20 * STEP, 900 * STEP, "up", fine=0.0, coarse=39 * STEP)
        assert [len(span) for span in when.spans(0.0, 900 * STEP)] == [46]

    def test_a_pause_among_coarse_moments_does_not_run_into_the_fine_ones(self) -> None:
        end = 999 * STEP
        assert self.WHEN.ahead(900 * STEP, 2, end) == 940 * STEP
        assert self.WHEN.ahead(900 * STEP, 32, end) == 980 * STEP
        assert self.WHEN.ahead(980 * STEP, 2, end) == 982 * STEP


class TestFailures:
    def test_a_failure_in_mid_history_keeps_what_came_and_resumes_where_it_stopped(self) -> None:
        world = World(FakeSource(load={"a": steady()}), "load", lookback=10)
        world.source.fails_at = {19}
        found = []
        with pytest.raises(SourceError):
            found += [round(scores.time / STEP) for scores in world.one.advance(20 * STEP) if scores]
        assert world.count("evaluation_failures_total", reason="timeout") == 1
        assert world.count("evaluations_total") == 8
        world.source.fails_at = set()
        assert world.to(21) == [18, 19, 20, 21]

    def test_an_instant_query_that_fails_is_made_up_for_from_history(self) -> None:
        world = World(FakeSource(load={"a": steady()}), "load", lookback=10)
        world.one.engine.time = 19 * STEP
        world.source.fails_at = {20}
        with pytest.raises(SourceError):
            world.to(20)
        world.source.fails_at = set()
        assert world.to(21) == [20, 21]


class TestBlindMoments:
    def silent(self) -> FakeSource:
        """The signal is gone from step 10 on; all of Prometheus is from 12 to 14."""
        source = FakeSource(load={"a": steady(10)})
        source.data["up"] = {"up": {step: 1.0 for step in range(100) if not 12 <= step <= 14}}
        return source

    def test_live_and_from_history_are_blind_at_the_same_moments(self) -> None:
        live, past = World(self.silent(), "load"), World(self.silent(), "load", lookback=17)
        found = [step for at in range(18) for step in live.to(at)]
        assert found == past.to(17) == [*range(12), None, None, None, 15, 16, 17]
        for name, array in live.one.engine.state().items():
            np.testing.assert_array_equal(array, past.one.engine.state()[name], err_msg=name)

    def test_a_blind_moment_is_counted_and_not_asked_for_again(self) -> None:
        world = World(self.silent(), "load")
        world.to(11)
        assert world.to(12) == [None]
        assert world.to(12) == []
        assert world.count("evaluation_failures_total", reason="blind") == 1

    def test_a_signal_that_has_data_needs_no_control(self) -> None:
        world = World(FakeSource(load={"a": steady()}), "load", lookback=5)
        world.to(20)
        world.to(21)
        assert {query for _, query, *_ in world.source.asked} == {"load"}


class TestAnswers:
    def test_a_partial_answer_teaches_nothing_of_absence(self) -> None:
        whole, partial = (World(FakeSource(load={"a": steady(200)}), "load", lookback=199) for _ in range(2))
        whole.to(199)
        partial.to(199)
        partial.source.warnings = ("store x did not answer",)
        for step in range(200, 230):
            whole.to(step)
            (scores,) = partial.one.advance(step * STEP)
            assert scores is not None
            assert np.isnan(scores.score).all()
        (scores,) = whole.one.advance(230 * STEP)
        assert scores is not None
        assert scores.score[0] > 0.6

    def test_warnings_are_counted_each_time_and_logged_once(self, caplog: pytest.LogCaptureFixture) -> None:
        world = World(FakeSource(load={"a": steady()}), "load")
        world.source.warnings = ("PromQL info: x",)
        with caplog.at_level(logging.WARNING):
            world.to(10)
            world.to(11)
        assert world.count("evaluation_warnings_total") == 2
        assert caplog.messages == ["prometheus warned"]

    def test_refusals_are_counted_by_reason_and_logged_once(self, caplog: pytest.LogCaptureFixture) -> None:
        world = World(FakeSource(load={"a": steady(), "": steady()}), "load")
        with caplog.at_level(logging.WARNING):
            world.to(10)
            world.to(11)
        assert world.count("series_refused_total", reason="no_service_id") == 2
        assert world.count("series_refused_total", reason="duplicate") == 0
        assert caplog.messages == ["series refused"]

    def test_the_limit_is_one_for_all_signals(self) -> None:
        many = {f"s{number}": steady() for number in range(5)}
        world = World(FakeSource(load=dict(many), cpu=dict(many)), "load", "cpu", limit=7)
        world.to(10, which=0)
        world.to(10, which=1)
        assert [len(one.engine.keys) for one in world.all] == [5, 2, 0]
        assert world.count("series_refused_total", "load", reason="limit") == 0
        assert world.count("series_refused_total", "cpu", reason="limit") == 3

    def test_at_the_soft_limit_one_warning_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        many = {f"s{number}": steady(first=number) for number in range(12)}
        world = World(FakeSource(load=many), "load", soft=5)
        for step in range(4):
            world.to(step)
        assert caplog.messages == []
        for step in range(4, 12):
            world.to(step)
        assert caplog.messages == ["limits.soft_series is reached"]
        assert caplog.records[0].__dict__["fields"] == {"series": 5, "limit": 1000}

    def test_room_that_is_freed_is_given_again(self) -> None:
        world = World(FakeSource(load={"a": steady()}, cpu={"b": steady()}), "load", "cpu", limit=1)
        world.to(10, which=0)
        world.to(10, which=1)
        assert world.one.engine.sweep(1e9) == 1
        world.to(11, which=1)
        assert [len(one.engine.keys) for one in world.all] == [0, 1, 0]

    def test_what_is_forgotten_in_one_chunk_of_history_makes_room_in_the_next(self) -> None:
        world = World(FakeSource(load={"old": steady(2), "new": steady(40, first=20)}), "load", lookback=30, limit=1)
        object.__setattr__(world.one.signal, "forget_after", 10 * STEP)
        world.to(30)
        assert [key.service_id for key in world.one.engine.keys] == ["new"]
        assert world.count("series_refused_total", reason="limit") == 0

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    @pytest.mark.parametrize("lookback", [0, 6])
    def test_a_series_that_never_had_a_number_takes_no_room(self, value: float, lookback: int) -> None:
        """An idle pod's quantile is NaN; if each such pod took a row, churn would use up the limit."""
        idle = dict.fromkeys(range(100), value)
        world = World(FakeSource(load={"idle": idle, "a": steady()}), "load", limit=1, lookback=lookback)
        world.to(10)
        assert [key.service_id for key in world.one.engine.keys] == ["a"]
        assert world.count("series_refused_total", reason="limit") == 0

    def test_an_empty_answer_is_an_answer(self) -> None:
        world = World(FakeSource(), "load", lookback=5)
        assert world.to(10) == [5, 6, 7, 8, 9, 10]
        assert world.count("evaluations_total") == 6
