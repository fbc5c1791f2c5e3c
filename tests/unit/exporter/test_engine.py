"""One step of time: what absence means, who is forgotten, how many rows there may be. The detector is the default."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from presagio.detectors.calendar import Calendar
from presagio.exporter.config import Signal
from presagio.exporter.engine import Engine, Scores
from presagio.exporter.signals import Key
from presagio.exporter.wiring import detector

STEP = 15.0
WARM = 200


def key(service: str, pod: str = "") -> Key:
    return Key(service, "load", (("pod", pod),) if pod else ())


A, B, POD1, POD2 = key("a"), key("b"), key("web", "1"), key("web", "2")


def build(missing: str = "anomalous", forget_after: float = 21600.0) -> Engine:
    signal = Signal.model_validate(
        {"name": "load", "query": "load", "missing": missing, "forget_after": forget_after}
    )
    return Engine(signal, detector(signal, Calendar()))


class Feed:
    """Steps an engine and reads scores by key."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.moment = 0
        self.rng = np.random.default_rng(3)

    def step(self, present: Sequence[Key], value: float | None = None, partial: bool = False) -> Scores:
        self.moment += 1
        values = self.rng.normal(100, 5, len(present)) if value is None else np.full(len(present), value)
        rows = self.engine.rows(present, 1000)
        return self.engine.step(self.moment * STEP, rows, values, partial)

    def steps(self, count: int, present: Sequence[Key], partial: bool = False) -> list[Scores]:
        return [self.step(present, partial=partial) for _ in range(count)]


def score(scores: Scores, of: Key) -> float:
    return float(scores.score[list(scores.keys).index(of)])


def warm(missing: str = "anomalous", present: Sequence[Key] = (A, B), forget_after: float = 21600.0) -> Feed:
    feed = Feed(build(missing, forget_after))
    feed.steps(WARM, present)
    return feed


class TestMissing:
    def test_anomalous_rises_while_the_series_is_absent_and_shows_no_value(self) -> None:
        feed = warm()
        gone = [score(scores, A) for scores in feed.steps(20, [B])]
        assert gone == sorted(gone)
        assert gone[0] < 0.6 < gone[-1]
        last = feed.step([B])
        assert np.isnan(last.value[last.keys.index(A)])
        assert score(last, B) < 0.6

    def test_anomalous_is_over_with_the_first_sample(self) -> None:
        feed = warm()
        feed.steps(20, [B])
        assert score(feed.step([A, B], 100.0), A) < 0.3

    def test_a_nan_is_an_absence(self) -> None:
        feed = warm(present=[A])
        found = [score(feed.step([A], np.nan), A) for _ in range(20)]
        assert found[-1] > 0.6

    def test_skip_says_nothing_of_an_absent_series(self) -> None:
        feed = warm("skip")
        assert all(np.isnan(score(scores, A)) for scores in feed.steps(20, [B]))

    def test_zero_takes_an_absent_series_for_0(self) -> None:
        absent, zero = warm("zero", [A]), warm("zero", [A])
        assert score(absent.step([]), A) == score(zero.step([A], 0.0), A) > 0.6
        assert score(absent.step([A], 100.0), A) == score(zero.step([A], 100.0), A)

    def test_previous_takes_an_absent_series_for_its_last_value(self) -> None:
        feed = warm("previous")
        feed.step([A, B], 103.0)
        assert score(feed.step([B], 100.0), A) < 0.3
        feed.step([A, B], 1000.0)
        assert score(feed.step([B], 100.0), A) > 0.6

    @pytest.mark.parametrize("missing", ["anomalous", "zero", "previous"])
    def test_while_warming_up_no_absence_is_remarkable(self, missing: str) -> None:
        feed = Feed(build(missing))
        feed.steps(20, [A, B])
        assert max(np.nan_to_num(score(scores, A)) for scores in feed.steps(9, [B])) <= 0.3

    @pytest.mark.parametrize("missing", ["anomalous", "skip", "zero", "previous"])
    def test_a_row_never_seen_has_no_score(self, missing: str) -> None:
        feed = warm(missing)
        feed.engine.rows([key("never")], 1)
        assert np.isnan(score(feed.step([A, B]), key("never")))


class TestSiblings:
    def test_a_pod_that_goes_while_another_stays_was_replaced(self) -> None:
        feed = warm(present=[POD1, POD2])
        assert all(np.isnan(score(scores, POD1)) for scores in feed.steps(50, [POD2]))

    def test_what_has_left_stays_out_when_the_rest_of_the_service_goes_too(self) -> None:
        feed = warm(present=[POD1, POD2])
        feed.steps(5, [POD2])
        last = feed.steps(30, [])[-1]
        assert np.isnan(score(last, POD1))
        assert score(last, POD2) > 0.6

    def test_when_all_go_at_once_all_are_anomalous(self) -> None:
        last = warm(present=[POD1, POD2]).steps(30, [])[-1]
        assert min(score(last, POD1), score(last, POD2)) > 0.6

    def test_what_comes_back_counts_again(self) -> None:
        feed = warm(present=[POD1, POD2])
        feed.steps(5, [POD2])
        feed.steps(5, [POD1, POD2])
        assert score(feed.steps(30, [])[-1], POD1) > 0.6

    @pytest.mark.parametrize("missing", ["zero", "previous"])
    def test_a_replaced_pod_is_not_filled_in(self, missing: str) -> None:
        feed = warm(missing, [POD1, POD2])
        assert np.isnan(score(feed.step([POD2]), POD1))


class TestForgetting:
    def test_after_forget_after_an_absent_series_has_no_score(self) -> None:
        feed = warm(forget_after=30 * STEP)
        last = feed.steps(31, [B])
        assert score(last[29], A) > 0.6
        assert np.isnan(score(last[30], A))

    def test_a_series_that_returns_after_it_was_forgotten_begins_anew(self) -> None:
        feed = warm(forget_after=30 * STEP)
        feed.steps(31, [B])
        back = feed.step([A, B], 1e6)
        row = back.keys.index(A)
        assert (back.score[row] <= 0.3, back.confidence[row]) == (True, 0.0)

    def test_sweep_drops_the_forgotten_rows_and_keeps_the_others(self) -> None:
        feed = warm(forget_after=30 * STEP)
        feed.steps(30, [B])
        assert feed.engine.sweep(feed.moment * STEP) == 0
        feed.steps(1, [B])
        assert feed.engine.sweep(feed.moment * STEP) == 1
        assert (feed.engine.keys, feed.engine.index) == ([B], {B: 0})
        assert {len(array) for array in feed.engine.state().values()} == {1}

    @settings(max_examples=40, deadline=None)
    @given(
        st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=120), st.integers(1, 9)
    )
    def test_sweep_changes_no_score(self, presence: list[tuple[bool, bool, bool]], every: int) -> None:
        swept, kept = Feed(build(forget_after=5 * STEP)), Feed(build(forget_after=5 * STEP))
        for moment, there in enumerate(presence):
            present = [one for one, is_there in zip((A, POD1, POD2), there, strict=True) if is_there]
            found = []
            for feed in (swept, kept):
                scores = feed.step(present, 50.0 + moment % 7)
                numbers = zip(scores.keys, scores.score.tolist(), strict=True)
                found.append({one: number for one, number in numbers if not np.isnan(number)})
            assert found[0] == found[1]
            if moment % every == 0:
                swept.engine.sweep(swept.moment * STEP)


class TestPartialAnswers:
    @pytest.mark.parametrize("missing", ["anomalous", "zero", "previous"])
    def test_absence_from_a_partial_answer_means_nothing(self, missing: str) -> None:
        feed = warm(missing)
        assert all(np.isnan(score(scores, A)) for scores in feed.steps(30, [B], partial=True))

    def test_it_teaches_nothing_of_absence(self) -> None:
        one, other = warm(), warm()
        one.steps(30, [B], partial=True)
        other.moment += 30
        assert [score(scores, A) for scores in one.steps(10, [B])] == [
            score(scores, A) for scores in other.steps(10, [B])
        ]

    def test_what_it_does_hold_is_scored(self) -> None:
        feed = warm()
        assert score(feed.step([B], 1e6, partial=True), B) > 0.6

    def test_a_pod_absent_from_it_has_not_left(self) -> None:
        feed = warm(present=[POD1, POD2])
        feed.step([POD2], partial=True)
        assert score(feed.steps(30, [])[-1], POD1) > 0.6


class TestRows:
    def test_new_rows_are_made_in_order_up_to_the_room_there_is(self) -> None:
        engine = build()
        assert engine.rows([A, B, POD1], 2).tolist() == [0, 1, -1]
        assert engine.rows([POD1, B, A], 0).tolist() == [-1, 1, 0]
        assert engine.rows([POD1], -5).tolist() == [-1]
        assert engine.rows([POD1], 1).tolist() == [2]

    def test_new_rows_leave_the_old_ones_their_profile(self) -> None:
        one, other = warm(), warm()
        other.engine.rows([key(f"new{number}") for number in range(50)], 50)
        assert score(one.step([A, B], 110.0), A) == score(other.step([A, B], 110.0), A)

    def test_no_rows_are_no_trouble(self) -> None:
        feed = Feed(build())
        assert feed.step([]).score.shape == (0,)
        assert feed.engine.sweep(1e9) == 0

    def test_the_detector_may_be_given_the_largest_numbers(self) -> None:
        feed = warm(present=[A])
        for value in (1e300, -1e300, 5e-324, 0.0):
            assert 0 <= score(feed.step([A], value), A) <= 1

    def test_a_state_that_does_not_fit_leaves_the_engine_as_new(self) -> None:
        whole = warm()
        state = whole.engine.state()
        state["last_seen"] = state["last_seen"][:1]
        engine = build()
        with pytest.raises(ValueError, match="another length"):
            engine.restore(99.0, [A, B], state)
        assert (engine.keys, engine.time) == ([], -np.inf)
        assert {len(array) for array in engine.state().values()} == {0}
        assert engine.rows([A], 1).tolist() == [0]
