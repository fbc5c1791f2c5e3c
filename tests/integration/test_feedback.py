"""Feedback against real Prometheus servers: what was judged otherwise is learnt anew from their history."""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from servers import Prometheus, backfill, openmetrics

from presagio.exporter import wiring
from presagio.exporter.config import FILE
from presagio.exporter.engine import Scores
from presagio.exporter.feedback import Feedback, Judged
from presagio.toolkit import positions
from presagio.toolkit.clock import ManualClock

STEP = 300.0
DAY = 288
DAYS = 4
BEGIN = 1_699_920_000.0  # a midnight
NOW = 2 * DAY + 240
"""When people speak: the evening of the third day."""

USUAL = slice(2 * DAY + 168, 2 * DAY + 180)
"""The hour after two in the afternoon of the third day."""

Points = list[tuple[float, float]]


def moment(step: int) -> float:
    return BEGIN + step * STEP


def day_after(part: slice, later: int = 0) -> slice:
    return slice(part.start + DAY + later, part.stop + DAY + later)


def history() -> dict[str, Points]:
    """Return services that all had the same hour on the third day, and another one each on the fourth."""
    noise = np.random.default_rng(5).normal(100, 3, (7, DAYS * DAY))
    noise[:, USUAL] *= 4
    repeats, evening, wild, fault, masked, gone, pods = noise
    repeats[day_after(USUAL, 1)] *= 4
    evening[day_after(USUAL, 48)] *= 4
    wild[day_after(USUAL)] *= 20
    masked[:] = fault
    found = {f'load{{service_id="{name}"}}': points(values) for name, values in
             {"repeats": repeats, "evening": evening, "wild": wild, "fault": fault}.items()}  # fmt: skip
    found['load{service_id="masked"}'] = without(points(masked), USUAL)
    gone[USUAL] /= 4
    found['load{service_id="gone"}'] = without(without(points(gone), USUAL), day_after(USUAL))
    pods[day_after(USUAL)] *= 4
    found['pods{namespace="shop",pod="one"}'] = points(pods)[: 3 * DAY]
    found['pods{namespace="shop",pod="two"}'] = points(pods)[3 * DAY :]
    found['up{job="a"}'] = points(np.ones(DAYS * DAY))
    return found


def points(values: np.ndarray) -> Points:
    return [(moment(step), float(value)) for step, value in enumerate(values)]


def without(all_points: Points, part: slice) -> Points:
    return [one for one in all_points if not moment(part.start) <= one[0] < moment(part.stop)]


CONFIG = """
prometheus: {url: %s}
evaluation: {interval: 5m, stale_after: 15m}
warm_start: {lookback: 6d}
services: {id: "{namespace}"}
signals:
  - {name: load, query: load}
  - {name: pods, query: "sum by (namespace, pod) (pods)"}
"""


@pytest.fixture(scope="module")
def prometheus(
    prometheus_binary: Path, promtool: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("prometheus")
    backfill(promtool, openmetrics(history().items()), folder / "data")
    with Prometheus(prometheus_binary, folder, flags=("--query.lookback-delta=30s",)) as server:
        yield server


class House:
    """The exporter without its threads: whose turn it is, the test says."""

    def __init__(self, url: str, folder: Path) -> None:
        config = FILE.validate(positions.parse(CONFIG % url), "exporter.yml")
        self.clock = ManualClock(moment(NOW) + 5)
        self.registry = CollectorRegistry()
        _, self.loop = wiring.loop(config, folder, self.registry, self.clock)
        assert self.loop.relearning
        self.relearning = self.loop.relearning
        self.book = self.relearning.force.book
        self.part = self.relearning.evaluations["load"]

    def tick(self, step: int = NOW) -> None:
        self.clock.now = moment(step) + 5
        self.loop.tick(moment(step))

    def give(self, service: str, kind: str, part: slice = USUAL) -> Feedback:
        body = {"service_id": service, "kind": kind, "from": moment(part.start), "to": moment(part.stop - 1)}
        given = self.book.give(Judged.model_validate(body))
        self.relearn()
        return given

    def relearn(self) -> None:
        self.tick()
        while self.relearning.work(threading.Event()):
            pass
        self.tick()

    def worst(self, service: str, part: slice, signal: str = "load") -> float:
        """Return the highest score of a service within a later part of history, which is stepped through."""
        found = []
        evaluation = self.relearning.evaluations[signal]
        for scores in evaluation.advance(moment(part.stop - 1)):
            if scores is not None and scores.time >= moment(part.start):
                found += of(scores, service)
        return max(found)

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"presagio_{name}", labels)


def of(scores: Scores, service: str) -> list[float]:
    rows = [row for row, key in enumerate(scores.keys) if key.service_id == service]
    return [float(score) for score in scores.score[rows] if not np.isnan(score)]


@pytest.fixture
def house(prometheus: Prometheus, tmp_path: Path) -> House:
    made = House(prometheus.url, tmp_path)
    made.tick()
    return made


def test_expected_stops_the_same_pattern_at_the_same_hour(house: House) -> None:
    house.give("repeats", "expected")
    assert house.value("relearns_total", signal="load", outcome="done") == 1
    assert house.worst("repeats", day_after(USUAL, 1)) < 0.3


def test_when_what_was_expected_is_over_nothing_alarms(house: House) -> None:
    house.give("repeats", "expected")
    assert house.worst("repeats", day_after(slice(USUAL.start - 72, 4 * DAY - DAY))) < 0.6


def test_without_feedback_it_alarms(house: House) -> None:
    assert house.worst("repeats", day_after(USUAL, 1)) >= 0.6


def test_expected_at_one_hour_is_not_expected_at_another(house: House) -> None:
    house.give("evening", "expected")
    assert house.worst("evening", day_after(USUAL, 48)) >= 0.6


def test_five_times_the_size_is_not_expected(house: House) -> None:
    house.give("wild", "expected")
    assert house.worst("wild", day_after(USUAL)) >= 0.6


def test_an_expected_absence_is_one_at_that_hour(house: House) -> None:
    house.give("gone", "expected")
    assert house.worst("gone", day_after(USUAL)) < 0.3


def test_an_absence_that_nobody_expects_alarms(house: House) -> None:
    assert house.worst("gone", day_after(USUAL)) > 0.3


def test_a_pod_that_is_new_inherits_what_is_expected(house: House) -> None:
    house.give("shop", "expected")
    assert house.worst("shop", day_after(USUAL), "pods") < 0.3


def test_reverting_brings_the_alarm_back(house: House) -> None:
    before = {name: array.tobytes() for name, array in house.part.engine.state().items()}
    given = house.give("repeats", "expected")
    assert house.part.engine.state()["marks"].any()
    house.book.revert(given.id, "ana")
    house.relearn()
    assert {name: array.tobytes() for name, array in house.part.engine.state().items()} == before
    assert house.worst("repeats", day_after(USUAL, 1)) >= 0.6


def learnt(house: House, service: str) -> dict[str, bytes]:
    """Return what the detector knows of a service, to the bit."""
    engine = house.part.engine
    row = next(row for row, key in enumerate(engine.keys) if key.service_id == service)
    return {name: np.array(array[row]).tobytes() for name, array in engine.detector.state().items()}


def test_a_fault_is_unlearnt_to_the_bit(house: House) -> None:
    assert learnt(house, "fault") != learnt(house, "masked")
    house.give("fault", "fault")
    assert learnt(house, "fault") == learnt(house, "masked")


def test_of_two_that_overlap_the_later_one_counts(house: House) -> None:
    house.give("fault", "fault")
    expected = house.give("fault", "expected")
    assert learnt(house, "fault") != learnt(house, "masked")
    house.book.revert(expected.id)
    house.relearn()
    assert learnt(house, "fault") == learnt(house, "masked")


def test_live_after_relearning_is_a_warm_start_under_the_same_feedback(
    house: House, prometheus: Prometheus, tmp_path: Path
) -> None:
    """One house hears of it at once, the other starts later from history: the same to the bit."""
    house.give("repeats", "expected")
    house.give("fault", "fault")
    later = House(prometheus.url, tmp_path)
    later.tick()
    for service in ("repeats", "fault", "masked"):
        assert learnt(house, service) == learnt(later, service)


def test_what_was_due_when_it_was_killed_is_done_after_the_restart(prometheus: Prometheus, tmp_path: Path) -> None:
    first = House(prometheus.url, tmp_path)
    first.tick()
    first.loop.save()
    body = {"service_id": "fault", "kind": "fault", "from": moment(USUAL.start), "to": moment(USUAL.stop - 1)}
    first.book.give(Judged.model_validate(body))
    second = House(prometheus.url, tmp_path)
    second.loop.store.load_profiles([one.engine for one in second.loop.evaluations])
    assert learnt(second, "fault") == learnt(first, "fault")
    second.tick(NOW + 1)
    second.tick(NOW + 2)
    assert second.relearning.work(threading.Event())
    second.tick(NOW + 3)
    assert learnt(second, "fault") == learnt(second, "masked")
    assert second.value("feedback", kind="fault") == 1
