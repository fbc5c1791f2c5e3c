"""Learning anew when Prometheus fails, knows too little, or people change their minds meanwhile."""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fake_source import STEP, FakeSource, steady
from prometheus_client import CollectorRegistry

from presagio.exporter import wiring
from presagio.exporter.config import FILE
from presagio.exporter.engine import Engine, Scores
from presagio.exporter.evaluation import Evaluation, Timing
from presagio.exporter.feedback import Judged
from presagio.toolkit import positions
from presagio.toolkit.clock import ManualClock
from presagio.toolkit.prometheus import Matrix, Vector

NOW = 300
SPIKE = range(200, 240)


class Source(FakeSource):
    """Knows nothing of PromQL: of a narrowed query it answers the part before; `forgets` what is older."""

    forgets = 0

    def instant(self, query: str, time: float) -> Vector:
        return super().instant(plain(query), time)

    def range(self, query: str, start: float, end: float, step: float) -> Matrix:
        return super().range(plain(query), start, end, step)

    def history(self, query: str, start: float, end: float, step: float, series: int = 1) -> Iterator[Matrix]:
        for matrix in super().history(plain(query), start, end, step, series):
            matrix.values[:, matrix.times < self.forgets * STEP] = np.nan
            yield matrix


def plain(query: str) -> str:
    return query.partition("\n) and on")[0].lstrip("(")


def spiky() -> dict[int, float]:
    return {step: value * (4 if step in SPIKE else 1) for step, value in steady().items()}


class House:
    newest: Scores | None = None

    def __init__(self, folder: Path) -> None:
        config = FILE.validate(positions.parse("signals: [{name: load, query: load}]"), "exporter.yml")
        self.source = Source(load={"a": spiky(), "b": spiky()})
        self.registry, self.clock = CollectorRegistry(), ManualClock(NOW * STEP)
        parts = wiring.evaluations(config, self.source, Timing(STEP, 2 * NOW * STEP, "up"), self.registry)
        self.part: Evaluation = parts[0]
        self.relearning = wiring.relearning(config, parts[:1], folder, self.registry, self.clock)
        self.book = self.relearning.force.book
        self.stop = threading.Event()
        self.turn(NOW)

    @property
    def engine(self) -> Engine:
        return self.part.engine

    def turn(self, step: int) -> None:
        """One turn of the loop."""
        self.prepare()
        for scores in self.part.advance(step * STEP):
            self.newest = scores or self.newest

    def prepare(self) -> None:
        self.relearning.prepare({"load": self.newest} if self.newest else {})

    def fault(self, service: str = "a") -> None:
        body = {"service_id": service, "kind": "fault", "from": SPIKE[0] * STEP, "to": SPIKE[-1] * STEP}
        self.book.give(Judged.model_validate(body))
        self.prepare()

    def work(self) -> bool:
        return self.relearning.work(self.stop)

    def learnt(self, service: str) -> dict[str, bytes]:
        row = next(row for row, key in enumerate(self.engine.keys) if key.service_id == service)
        return {name: np.array(array[row]).tobytes() for name, array in self.engine.detector.state().items()}

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"presagio_{name}", labels)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_only_the_rows_concerned_learn_anew(house: House) -> None:
    before = house.learnt("a")
    assert before == house.learnt("b")
    house.fault()
    assert house.work()
    assert not house.work()
    house.turn(NOW)
    assert house.learnt("a") != before == house.learnt("b")
    assert house.value("relearns_total", signal="load", outcome="done") == 1
    assert not house.work()


def test_no_moment_is_scored_twice_nor_left_out(house: House, tmp_path: Path) -> None:
    """The live engine goes on while history is read, and again before the rows are handed over."""
    house.fault()
    house.work()
    for step in (NOW + 1, NOW + 2):
        house.turn(step)
    other = House(tmp_path / "other")
    other.source.data["load"]["c"] = spiky()
    other.fault()
    for step in (NOW + 1, NOW + 2):
        other.turn(step)
    other.work()
    other.turn(NOW + 2)
    assert house.learnt("a") == other.learnt("a")


def test_while_prometheus_fails_the_old_profile_stays_and_it_is_tried_again(house: House) -> None:
    before = house.learnt("a")
    house.fault()
    house.source.fails_at = {250}
    assert house.work()
    assert not house.work()  # not at once
    house.prepare()
    assert house.learnt("a") == before
    assert house.value("relearns_total", signal="load", outcome="failed") == 1
    house.source.fails_at = set()
    house.clock.advance(61)
    assert house.work()
    house.turn(NOW)
    assert house.learnt("a") != before


def test_it_may_fail_at_the_very_end_too(house: House) -> None:
    house.fault()
    house.work()
    for scores in house.part.advance((NOW + 1) * STEP):
        house.newest = scores or house.newest
    before = house.learnt("a")
    house.source.fails_at = {NOW + 1}
    house.prepare()
    assert house.learnt("a") == before
    house.source.fails_at = set()
    house.prepare()
    assert house.learnt("a") != before


def test_a_history_that_knows_too_little_leaves_the_old_profile(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    before = house.learnt("a")
    house.source.forgets = NOW - 3
    house.fault()
    house.work()
    house.turn(NOW)
    assert house.learnt("a") == before
    assert house.value("relearns_total", signal="load", outcome="short") == 1
    assert "history too short to relearn, the old profile stays; raise warm_start.lookback" in caplog.text
    assert not house.work()


def test_what_is_judged_otherwise_meanwhile_is_learnt_once_more(house: House) -> None:
    before = house.learnt("a")
    house.fault()
    house.work()
    house.book.revert(1)
    house.turn(NOW)
    assert house.learnt("a") == before
    assert not house.work()  # what was learnt first is still what counts
    assert not house.engine.marks.any()


def test_told_to_stop_it_stops(house: House) -> None:
    house.fault()
    house.stop.set()
    before = house.learnt("a")
    house.work()
    house.turn(NOW)
    assert house.learnt("a") == before


def test_a_period_that_is_not_evaluated_yet_waits(house: House) -> None:
    body = {"service_id": "a", "kind": "fault", "from": NOW * STEP, "to": (NOW + 1) * STEP}
    house.book.give(Judged.model_validate(body))
    house.prepare()
    assert not house.work()
    house.turn(NOW + 1)
    house.turn(NOW + 1)
    assert house.work()


def test_feedback_in_force_is_counted(house: House) -> None:
    house.fault()
    house.fault("b")
    house.prepare()
    assert house.value("feedback", kind="fault") == 2
    assert house.value("feedback", kind="expected") == 0
