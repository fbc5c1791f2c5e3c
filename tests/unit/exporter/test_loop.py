"""When: a clock moved by hand, and a Prometheus that answers from a dictionary."""

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
from fake_source import STEP, FakeSource, steady
from prometheus_client import CollectorRegistry

from presagio.exporter.config import FILE
from presagio.exporter.engine import Scores
from presagio.exporter.evaluation import Evaluation, Timing
from presagio.exporter.loop import Loop, Progress
from presagio.exporter.publish import Page
from presagio.exporter.signals import configured
from presagio.exporter.store import Store
from presagio.exporter.wiring import evaluations
from presagio.toolkit import positions
from presagio.toolkit.clock import ManualClock
from presagio.toolkit.errors import SourceError, SourceReason
from presagio.toolkit.log import get_log
from presagio.toolkit.prometheus import Vector

CONFIG = "signals: [{name: load, query: load}, {name: cpu, query: cpu}]"
START = 100 * STEP


class Source(FakeSource):
    """Fails for the queries told, with the errors told."""

    def __init__(self) -> None:
        super().__init__(load={"a": steady()}, cpu={"a": steady()})
        self.failing: dict[str, Exception] = {}

    def instant(self, query: str, time: float) -> Vector:
        if query in self.failing:
            raise self.failing[query]
        return super().instant(query, time)


class House:
    """A loop with all its parts, whose clock stands 5 seconds, the delay, after a moment."""

    def __init__(self, folder: Path, lookback: int = 0) -> None:
        config = FILE.validate(positions.parse(CONFIG), "exporter.yml")
        self.clock = ManualClock(START + 5)
        self.source = Source()
        self.registry = CollectorRegistry()
        self.folder = folder
        when = Timing(STEP, lookback * STEP, "up")
        self.page = Page(configured(config), config.outputs, config.evaluation.stale_after)
        self.parts: Sequence[Evaluation] = evaluations(config, self.source, when, self.registry)
        store = Store(folder, self.clock, get_log("test"))
        self.loop = Loop(
            self.parts, when, config.evaluation, self.page, store, self.lock, self.clock, get_log("test")
        )

    def lock(self) -> AbstractContextManager[None]:
        return nullcontext()

    def tick(self, step: int) -> None:
        self.loop.tick(step * STEP)

    def run(self, waits: int) -> None:
        """Run the loop until it has waited so many times; the clock does not wait."""
        wait, left = self.clock.wait, iter(range(waits - 1))

        def counted(seconds: float, stop: threading.Event) -> bool:
            if next(left, None) is None:
                stop.set()
            return wait(seconds, stop)

        self.clock.wait = counted  # type: ignore[method-assign]
        self.loop.run()

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"presagio_{name}", labels)

    def shown(self) -> set[str]:
        text = self.page.text(self.clock.time()).decode()
        return {
            signal
            for signal in ("load", "cpu")
            if f'presagio_anomaly_score{{service_id="a",signal="{signal}"' in text
        }


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.loop.pool.shutdown()


def test_all_signals_are_evaluated_and_published(house: House) -> None:
    house.tick(100)
    assert house.shown() == {"load", "cpu"}
    assert house.value("last_evaluation_timestamp_seconds", signal="load") == START
    assert house.value("series", signal="load") == 1.0
    assert house.loop.series() == 2


def test_a_series_that_is_forgotten_has_no_profile_any_more(house: House) -> None:
    house.source.data |= {"load": {"a": steady(2000), "b": steady(90)}, "up": {"up": steady(2000)}}
    house.tick(80)
    assert house.value("series", signal="load") == 2.0
    house.tick(80 + 1440)
    assert house.value("series", signal="load") == 2.0
    house.tick(80 + 1441)
    assert house.value("series", signal="load") == 1.0
    assert [key.service_id for key in house.parts[0].engine.keys] == ["a"]


class TestErrors:
    @pytest.mark.parametrize("error", [SourceError(SourceReason.TIMEOUT, "slow"), ZeroDivisionError("ours")])
    def test_an_error_of_one_signal_never_stops_the_others(self, house: House, error: Exception) -> None:
        house.source.failing["load"] = error
        house.tick(100)
        assert house.shown() == {"cpu"}
        assert house.value("last_evaluation_timestamp_seconds", signal="cpu") == START

    def test_an_unexpected_exception_is_counted_as_internal_and_logged_with_its_traceback(
        self, house: House, caplog: pytest.LogCaptureFixture
    ) -> None:
        house.source.failing["load"] = ZeroDivisionError("ours")
        house.tick(100)
        assert house.value("evaluation_failures_total", signal="load", reason="internal") == 1
        assert house.value("evaluation_failures_total", signal="cpu", reason="internal") == 0
        (record,) = [record for record in caplog.records if "mistake of ours" in record.message]
        assert record.exc_info is not None

    def test_a_failure_that_lasts_is_logged_once_and_so_is_its_end(
        self, house: House, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        house.source.failing["load"] = SourceError(SourceReason.TIMEOUT, "slow")
        for step in (100, 101, 102):
            house.tick(step)
        house.source.failing.clear()
        house.tick(103)
        house.tick(104)
        assert caplog.messages == ["evaluation failed, will be made up for", "evaluation works again", "ready"]
        assert house.value("evaluation_failures_total", signal="load", reason="timeout") == 3

    def test_a_signal_s_last_results_stay_until_they_are_stale(self, house: House) -> None:
        house.tick(100)
        house.source.failing["load"] = SourceError(SourceReason.TIMEOUT, "slow")
        house.clock.now = START + 300
        house.tick(120)
        assert house.shown() == {"load", "cpu"}
        house.clock.now = START + 315
        house.tick(121)
        assert house.shown() == {"cpu"}


class TestReadiness:
    def test_a_mistake_of_ours_makes_nobody_ready(self, house: House) -> None:
        house.source.failing["load"] = ZeroDivisionError("ours")
        house.tick(100)
        assert not house.loop.ready

    def test_it_is_ready_when_all_signals_have_reached_the_present(self, house: House) -> None:
        house.source.failing["load"] = SourceError(SourceReason.UNREACHABLE, "gone")
        house.tick(100)
        assert not house.loop.ready
        house.source.failing.clear()
        house.tick(101)
        assert house.loop.ready

    def test_once_ready_it_stays_so(self, house: House) -> None:
        house.tick(100)
        house.source.failing["load"] = SourceError(SourceReason.UNREACHABLE, "gone")
        house.tick(101)
        assert house.loop.ready


class TestRun:
    def test_each_multiple_of_the_interval_is_evaluated_once(self, tmp_path: Path) -> None:
        house = House(tmp_path)
        house.run(10)
        assert house.value("evaluations_total", signal="load") == 10
        assert [first for kind, query, first, _ in house.source.asked if query == "load"] == list(range(100, 110))

    def test_a_moment_that_comes_while_another_is_evaluated_is_made_up_for(self, tmp_path: Path) -> None:
        """Each evaluation takes 12 of 15 seconds, and one takes 40."""
        house = House(tmp_path, lookback=10)
        tick, begun, took = house.loop.tick, [], iter([12, 12, 40, 12, 12, 12])

        def slowly(time: float) -> None:
            begun.append((time / STEP, house.clock.time() - time))
            tick(time)
            house.clock.advance(next(took))

        house.loop.tick = slowly  # type: ignore[method-assign]
        house.run(6)
        assert begun == [(100, 5), (101, 5), (102, 5), (105, 5), (106, 5), (107, 5)]
        assert house.value("evaluations_total", signal="load") == 107 - 90 + 1

    def test_it_saves_every_minute_and_at_the_end(self, tmp_path: Path) -> None:
        house = House(tmp_path)
        saved: list[float] = []
        house.loop.save = lambda: saved.append(house.clock.time())  # type: ignore[method-assign]
        house.run(10)
        assert saved == [START + 65, START + 125, START + 155]

    def test_a_clock_set_back_does_not_end_the_saving(self, tmp_path: Path) -> None:
        house = House(tmp_path)
        saved: list[float] = []
        house.loop.save = lambda: saved.append(house.clock.time())  # type: ignore[method-assign]
        tick = house.loop.tick

        def set_back(time: float) -> None:
            tick(time)
            house.clock.now = 1000.0
            house.loop.tick = tick  # type: ignore[method-assign]

        house.loop.tick = set_back  # type: ignore[method-assign]
        house.run(6)
        assert saved[0] == 1000.0
        assert len(saved) == 3

    def test_what_was_learnt_goes_on_after_a_restart(self, tmp_path: Path) -> None:
        House(tmp_path).run(10)
        again = House(tmp_path, lookback=50)
        again.clock.now = START + 12 * STEP
        again.run(1)
        counts = [part.engine.detector.state()["rows_count"].tolist() for part in again.parts[:2]]
        assert counts == [[12.0], [12.0]]
        assert again.value("evaluations_total", signal="load") == 2

    def test_stop_interrupts_history_and_keeps_what_was_read(self, tmp_path: Path) -> None:
        house = House(tmp_path, lookback=90)
        answer = house.source._answer

        def stopping(kind: str, query: str, first: int, last: int, stride: int = 1) -> object:
            if kind == "history" and first > 30:
                house.loop.stop.set()
            return answer(kind, query, first, last, stride)

        house.source._answer = stopping  # type: ignore[method-assign,assignment]
        house.loop.run()
        assert not house.loop.ready
        times = [part.engine.time / STEP for part in house.parts[:2]]
        assert all(10 <= time < 50 for time in times)
        assert (tmp_path / "profiles.snapshot").exists()


class TestStorage:
    def test_a_snapshot_that_cannot_be_written_is_only_logged(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "file").write_text("")
        house = House(tmp_path / "file" / "store")
        house.run(6)
        assert caplog.messages.count("snapshot not written") == 2
        assert house.value("evaluations_total", signal="load") == 6

    def test_a_storage_that_cannot_be_locked_is_only_logged(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        house = House(tmp_path)

        def refused() -> AbstractContextManager[None]:
            raise PermissionError("read-only")

        house.loop.lock = refused
        house.run(1)
        assert "storage cannot be locked, nothing will survive a restart" in caplog.messages
        assert house.loop.ready


def test_progress_is_told_every_five_seconds(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = ManualClock(0.0)
    progress = Progress(100, clock, get_log("test"))
    for _ in range(100):
        clock.advance(0.125)
        progress.advance()
    told = [record.__dict__["fields"] for record in caplog.records]
    assert told == [{"percent": 40.0, "moments": 40}, {"percent": 80.0, "moments": 80}]


def test_a_turn_that_fails_as_a_whole_is_logged_and_the_next_one_goes_well(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    publish, broken = house.page.publish, [True]

    def fragile(results: Mapping[str, Scores], now: float, services: object) -> None:
        if broken.pop() if broken else False:
            raise RuntimeError("page")
        publish(results, now)

    monkeypatch.setattr(house.page, "publish", fragile)
    with caplog.at_level(logging.ERROR):
        house.run(waits=2)
    assert "please report it" in caplog.text
    assert house.loop.ready
    assert house.shown() == {"load", "cpu"}
