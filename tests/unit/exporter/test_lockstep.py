"""All signals side by side: live, catching up and history give a service the same scores."""

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from fake_source import STEP, FakeSource
from prometheus_client import CollectorRegistry

from presagio.exporter.cells import Seen
from presagio.exporter.config import FILE
from presagio.exporter.engine import Scores
from presagio.exporter.evaluation import Timing
from presagio.exporter.lockstep import Rendezvous, Turn, pauses, run
from presagio.exporter.loop import Loop
from presagio.exporter.publish import Page
from presagio.exporter.signals import configured
from presagio.exporter.store import Store
from presagio.exporter.together import ServiceScores
from presagio.exporter.wiring import evaluations, rendezvous
from presagio.toolkit import positions
from presagio.toolkit.clock import ManualClock
from presagio.toolkit.durable import write_snapshot
from presagio.toolkit.errors import SourceError, SourceReason
from presagio.toolkit.log import get_log
from presagio.toolkit.prometheus import Vector

CONFIG = """
evaluation: {concurrency: 2}
signals: [{name: load, query: load}, {name: cpu, query: cpu}, {name: aside, query: cpu, outputs: {service: false}}]
together: {combiner: robust_pca, params: {refit_every: 10m}}
"""
LAST = 500


def noise(seed: int, last: int = LAST + 1, first: int = 0) -> dict[int, float]:
    values = np.random.default_rng(seed).normal(100, 5, LAST + 1)
    return {step: float(values[step]) for step in range(first, last)}


class Source(FakeSource):
    """Two signals of two services, which come and go; fails for the queries told."""

    def __init__(self) -> None:
        load = {"a": noise(1), "b": noise(2, first=40), "c": noise(5, last=300)}
        super().__init__(load=load, cpu={"a": noise(3), "b": noise(4, last=350)})
        self.failing: set[str] = set()

    def instant(self, query: str, time: float) -> Vector:
        if query in self.failing:
            raise SourceError(SourceReason.TIMEOUT, "slow")
        return super().instant(query, time)


class House:
    def __init__(self, folder: Path, lookback: int = 0, text: str = CONFIG) -> None:
        config = FILE.validate(positions.parse(text), "exporter.yml")
        self.source, self.clock = Source(), ManualClock(0.0)
        when = Timing(STEP, lookback * STEP, "up")
        page = Page(configured(config), config.outputs, 300.0)
        self.meeting = rendezvous(config, when)
        self.store = Store(folder, self.clock, get_log("test"))
        self.loop = Loop(
            evaluations(config, self.source, when, CollectorRegistry()), when, config.evaluation, page, self.store,
            lambda: pytest.fail("not run"), self.clock, get_log("test"), self.meeting,
        )  # fmt: skip
        self.seen: dict[float, dict[str, str]] = {}
        if self.meeting:
            self.meeting.combine = self.watched(self.meeting)  # type: ignore[method-assign,assignment]

    def watched(self, meeting: Rendezvous) -> Callable[[float], Iterator[ServiceScores]]:
        combine = meeting.combine

        def watching(pause: float) -> Iterator[ServiceScores]:
            for scores in combine(pause):
                assert scores.time / STEP not in self.seen, "combined twice"
                self.seen[scores.time / STEP] = shown(scores)
                yield scores

        return watching

    def tick(self, step: int) -> None:
        self.clock.now = step * STEP + 5
        self.loop.tick(step * STEP)

    def page(self) -> str:
        return self.loop.page.text(self.clock.time()).decode()


def shown(scores: ServiceScores) -> dict[str, str]:
    """Return all numbers of a moment to the bit."""
    numbers = [scores.score, scores.confidence, *scores.contribution.T]
    names = ["score", "confidence", *scores.signals]
    return {
        f"{service} {name}": float(array[row]).hex()
        for row, service in enumerate(scores.services)
        for name, array in zip(names, numbers, strict=True)
        if not math.isnan(array[row]) and not math.isnan(scores.score[row])
    }


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> dict[float, dict[str, str]]:
    house = House(tmp_path_factory.mktemp("live"))
    for step in range(LAST + 1):
        house.tick(step)
    house.loop.pool.shutdown()
    return house.seen


def made(folder: Path, lookback: int = LAST, text: str = CONFIG) -> House:
    return House(folder, lookback, text)


def test_every_moment_is_combined(live: dict[float, dict[str, str]]) -> None:
    assert list(live) == list(range(LAST + 1))
    assert {name.split()[0] for one in live.values() for name in one} == {"a", "b", "c"}
    assert {name.split()[1] for one in live.values() for name in one} == {"score", "confidence", "load", "cpu"}


def test_history_gives_the_scores_of_live_to_the_bit(tmp_path: Path, live: dict[float, dict[str, str]]) -> None:
    house = made(tmp_path)
    house.tick(LAST)
    house.loop.pool.shutdown()
    assert house.seen == live


def test_a_past_span_gives_the_scores_of_live_to_the_bit(tmp_path: Path, live: dict[float, dict[str, str]]) -> None:
    house = made(tmp_path)
    house.loop.pool.shutdown()
    assert house.meeting
    found = list(run(house.loop.evaluations, house.meeting, LAST * STEP))
    assert {one.time / STEP: shown(one) for one in found if isinstance(one, ServiceScores)} == live
    assert sum(isinstance(one, Scores) for one in found) == len(house.loop.evaluations) * (LAST + 1)


def test_restarts_and_catching_up_give_the_scores_of_live_to_the_bit(
    tmp_path: Path, live: dict[float, dict[str, str]]
) -> None:
    found: dict[float, dict[str, str]] = {}
    for step in (120, 121, 290, 330, 499, LAST):
        house = made(tmp_path)
        house.store.load_profiles([one.engine for one in house.loop.evaluations])
        assert house.meeting
        house.store.load_services(house.meeting.together)
        house.tick(step)
        house.loop.save()
        house.loop.pool.shutdown()
        found |= house.seen
    assert found == live


def test_a_kill_between_the_two_snapshots_combines_no_moment_twice(tmp_path: Path) -> None:
    """The services are written first: they may be ahead of the profiles, and wait for them."""
    house = made(tmp_path)
    house.tick(300)
    house.loop.save()
    house.tick(310)
    assert house.meeting
    house.store.save_services(house.meeting.together)
    house.loop.pool.shutdown()
    again = made(tmp_path)
    again.store.load_profiles([one.engine for one in again.loop.evaluations])
    assert again.meeting
    again.store.load_services(again.meeting.together)
    again.tick(315)
    again.loop.pool.shutdown()
    assert list(again.seen) == [311, 312, 313, 314, 315]


def test_a_signal_that_fails_lowers_the_confidence_and_never_stops_the_score(tmp_path: Path) -> None:
    house = made(tmp_path)
    house.tick(100)
    house.source.failing.add("cpu")
    house.tick(101)
    house.source.failing.clear()
    house.tick(102)
    house.loop.pool.shutdown()
    sure = {step: float.fromhex(house.seen[step]["a confidence"]) for step in (100, 101, 102)}
    assert sure[101] == pytest.approx(sure[100] / 2, rel=0.1)
    assert sure[102] == pytest.approx(sure[100], rel=0.1)
    assert "a score" in house.seen[101]
    assert "a cpu" not in house.seen[101]


def test_a_mistake_of_ours_stops_no_signal(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    house = made(tmp_path)
    assert house.meeting

    def broken(time: float, results: Mapping[str, Seen]) -> ServiceScores:
        raise ZeroDivisionError("ours")

    house.meeting.together.step = broken  # type: ignore[method-assign]
    house.tick(100)
    house.loop.pool.shutdown()
    assert 'presagio_anomaly_score{service_id="a"' in house.page()
    assert "services not scored by a mistake of ours, please report it" in caplog.messages


def test_the_page_shows_services_beside_signals(tmp_path: Path) -> None:
    house = made(tmp_path)
    house.tick(200)
    house.loop.pool.shutdown()
    page = house.page()
    for line in (
        'presagio_service_anomaly_score{service_id="a"}',
        'presagio_service_anomaly_contribution{service_id="a",signal="cpu"}',
        'presagio_service_anomaly_confidence{service_id="b"}',
    ):
        assert f"\n{line} " in page
    assert "aside" in page
    assert 'contribution{service_id="a",signal="aside"}' not in page


def test_services_are_switched_off(tmp_path: Path) -> None:
    house = made(tmp_path, text="signals: [{name: load, query: load}]\noutputs: {service: false}")
    house.tick(200)
    house.loop.pool.shutdown()
    assert house.meeting is None
    assert "presagio_anomaly_score" in house.page()
    assert "presagio_service" not in house.page()


def test_a_snapshot_that_cannot_be_used_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    house = made(tmp_path)
    house.loop.pool.shutdown()
    assert house.meeting
    write_snapshot(tmp_path / "combined.snapshot", "combined", 1, b"no archive")
    house.store.load_services(house.meeting.together)
    assert "snapshot set aside, learning anew" in caplog.messages


class TestPauses:
    def turns(self, folder: Path) -> list[Turn]:
        house = made(folder)
        house.loop.pool.shutdown()
        return [Turn(one, LAST * STEP) for one in house.loop.evaluations]

    def test_few_series_take_many_moments_at_once_and_many_take_few(self, tmp_path: Path) -> None:
        turns = self.turns(tmp_path)
        for series, moments in ((0, 32), (10, 32), (20_000, 10), (150_000, 1), (10**9, 1)):
            found = [pause / STEP for pause in pauses(turns, lambda count=series: count)]  # type: ignore[misc]
            assert found == [*range(0, LAST, moments), LAST]

    def test_a_live_moment_is_one_pause(self, tmp_path: Path) -> None:
        turns = self.turns(tmp_path)
        for turn in turns:
            turn.next = LAST * STEP
        assert list(pauses(turns, lambda: 10)) == [LAST * STEP]
        assert list(pauses([], lambda: 10)) == []

    def test_no_more_is_held_than_between_two_pauses(self, tmp_path: Path) -> None:
        house = made(tmp_path)
        assert house.meeting
        held = []
        note = house.meeting.note

        def noting(name: str, scores: object) -> None:
            note(name, scores)  # type: ignore[arg-type]
            assert house.meeting
            held.append(len(house.meeting._noted))

        house.meeting.note = noting  # type: ignore[method-assign]
        house.tick(LAST)
        house.loop.pool.shutdown()
        assert max(held) == 32
        assert house.meeting._noted == {}


def test_all_signals_share_the_room_for_history(tmp_path: Path) -> None:
    """Four of them (one for what is submitted), two at a time: each chunk is half as long."""
    house = made(tmp_path)
    house.loop.pool.shutdown()
    assert [one.beside for one in house.loop.evaluations] == [2, 2, 2, 2]
