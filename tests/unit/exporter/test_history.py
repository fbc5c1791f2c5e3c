"""What is read of Prometheus for forecasts: all of it once, then only what is new."""

import numpy as np
import pytest
from fake_source import NAN, STEP, FakeSource, steady

from presagio.exporter.config import IDENTITY, Signal
from presagio.exporter.history import History, Reader
from presagio.exporter.signals import Naming
from presagio.toolkit.errors import SourceError
from presagio.toolkit.labels import Template
from presagio.toolkit.prometheus import Matrix

LENGTH = 20


def naming() -> Naming:
    return Naming(Signal(name="load", query="load"), Template.braces("{job}"), IDENTITY)


def reader(source: FakeSource) -> Reader:
    return Reader(source, naming(), "load", STEP, LENGTH * STEP)


def read(of: Reader, step: float, room: int | None = None) -> dict[str, list[float]]:
    history = of.read(step * STEP, room)
    return {key.service_id: row.tolist() for key, row in zip(history.keys, history.values, strict=True)}


def counting(first: int, last: int) -> dict[int, float]:
    return {step: float(step) for step in range(first, last)}


def asked(source: FakeSource) -> list[tuple[int, int]]:
    return [(first, last) for kind, _, first, last in source.asked if kind == "history"]


def test_a_first_reading_has_the_whole_lookback_up_to_the_newest_step() -> None:
    source = FakeSource(load={"a": counting(0, 1000)})
    of = reader(source)
    assert read(of, 100.9) == {"a": [float(step) for step in range(81, 101)]}
    assert of.read(100.9 * STEP).times.tolist() == [step * STEP for step in range(81, 101)]


def test_later_only_what_is_new_is_asked_for_and_the_last_sample_again() -> None:
    source = FakeSource(load={"a": counting(0, 1000)})
    of = reader(source)
    read(of, 100)
    source.asked.clear()
    assert read(of, 103) == {"a": [float(step) for step in range(84, 104)]}
    assert asked(source) == [(99, 102), (103, 103)]


def test_a_sample_that_came_late_is_made_up_for() -> None:
    late = counting(0, 100)
    source = FakeSource(load={"a": late})
    of = reader(source)
    assert np.isnan(read(of, 100)["a"][-1])
    late.update(counting(100, 103))
    assert read(of, 102)["a"] == [float(step) for step in range(83, 103)]


def test_within_the_same_step_nothing_is_asked() -> None:
    source = FakeSource(load={"a": steady()})
    of = reader(source)
    read(of, 100)
    source.asked.clear()
    read(of, 100.5)
    assert source.asked == []


@pytest.mark.parametrize("step", [500, 60])
def test_after_a_long_pause_or_a_clock_set_back_all_is_read_anew(step: int) -> None:
    source = FakeSource(load={"a": counting(0, 1000)})
    of = reader(source)
    read(of, 100)
    assert read(of, step) == {"a": [float(one) for one in range(step - 19, step + 1)]}


def test_holes_and_infinities_are_nan() -> None:
    source = FakeSource(load={"a": {**counting(0, 1000), 95: NAN, 96: float("inf")}})
    row = read(reader(source), 100)["a"]
    assert np.flatnonzero(np.isnan(row)).tolist() == [95 - 81, 96 - 81]


def test_a_new_series_joins_and_one_that_vanished_stays_until_nothing_of_it_is_left() -> None:
    source = FakeSource(load={"a": counting(0, 102), "b": counting(103, 1000)})
    of = reader(source)
    assert set(read(of, 100)) == {"a"}
    assert set(read(of, 105)) == {"a", "b"}
    assert np.isnan(read(of, 105)["b"][:17]).all()
    assert set(read(of, 120)) == {"a", "b"}
    assert set(read(of, 121)) == {"b"}


def test_a_failure_loses_nothing() -> None:
    source = FakeSource(load={"a": counting(0, 1000)})
    of = reader(source)
    read(of, 100)
    source.fails_at = {104}
    with pytest.raises(SourceError):
        of.read(104 * STEP)
    source.fails_at = set()
    assert read(of, 105) == {"a": [float(step) for step in range(86, 106)]}


class TestRoom:
    def test_a_series_that_is_gone_before_the_first_reading_is_not_read(self) -> None:
        source = FakeSource(load={"a": steady(), "gone": steady(95)})
        assert set(read(reader(source), 100, room=2)) == {"a"}
        assert set(read(reader(source), 100)) == {"a", "gone"}

    def test_a_hole_at_the_first_reading_does_not_cost_the_history(self) -> None:
        source = FakeSource(load={"a": counting(0, 99)})
        assert read(reader(source), 100, room=2)["a"][:18] == [float(step) for step in range(81, 99)]

    def test_what_has_no_room_is_refused_and_counted(self) -> None:
        of = reader(FakeSource(load={"a": steady(), "b": steady(), "c": steady()}))
        assert set(read(of, 100, room=2)) == {"a", "b"}
        assert of.refused == 1

    def test_where_there_is_no_room_at_all_nothing_is_kept(self) -> None:
        of = reader(FakeSource(load={"a": steady()}))
        assert read(of, 100, room=0) == {}
        assert of.refused == 1

    def test_a_series_that_vanished_gives_way_to_a_new_one(self) -> None:
        of = reader(FakeSource(load={"a": steady(102), "b": steady(), "c": steady(first=103)}))
        assert set(read(of, 100, room=2)) == {"a", "b"}
        assert set(read(of, 106, room=2)) == {"b"}
        assert set(read(of, 107, room=2)) == {"b", "c"}
        assert of.refused == 0

    def test_while_there_is_nothing_weeks_of_it_are_not_asked_for(self) -> None:
        source = FakeSource(load={"a": counting(103, 1000)})
        of = reader(source)
        assert read(of, 100, room=2) == {}
        assert asked(source) == []
        assert set(read(of, 103, room=2)) == {"a"}
        assert asked(source)[0][0] == 84

    def test_less_room_than_before_drops_the_last(self) -> None:
        of = reader(FakeSource(load={"a": steady(), "b": steady()}))
        read(of, 100)
        assert set(read(of, 101, room=1)) == {"a"}
        assert of.refused == 1


class Replaced(FakeSource):
    """A container that was replaced: another id, but the same job and pod."""

    def _answer(self, kind: str, query: str, first: int, last: int, stride: int = 1) -> Matrix:
        matrix = super()._answer(kind, query, first, last, stride)
        labels = [{"job": "shop", "pod": "web", "id": one["service_id"]} for one in matrix.labels]
        return Matrix(labels, matrix.times, matrix.values)


def test_of_a_replaced_container_both_lives_are_one_history() -> None:
    source = Replaced(load={"old": counting(0, 95), "new": counting(95, 1000)})
    source.chunk = 100
    assert read(reader(source), 100) == {"shop": [float(step) for step in range(81, 101)]}


def test_alive_is_who_has_a_sample_in_the_last_three_steps() -> None:
    values = np.array([[1.0, NAN, NAN, NAN], [1.0, 2.0, NAN, NAN], [NAN, NAN, NAN, 3.0], [1.0, 1.0, 1.0, 1.0]])
    history = History([], np.arange(4.0), values)
    assert history.alive.tolist() == [False, True, True, True]
