"""When signals are forecast: a clock moved by hand, a Prometheus that answers from a dictionary, real forecasters."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from fake_source import STEP, FakeSource, steady
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from presagio.exporter.config import FILE
from presagio.exporter.failures import configured_failures, forecast_signals
from presagio.exporter.forecast_metrics import ForecastMetrics
from presagio.exporter.forecast_worker import Task, Worker, WorkerError
from presagio.exporter.forecasting import Forecasting, Turn
from presagio.exporter.history import Reader
from presagio.exporter.signals import namings
from presagio.forecasters.base import Forecast
from presagio.toolkit import plugins, positions
from presagio.toolkit.clock import ManualClock
from presagio.toolkit.errors import SourceError, SourceReason
from presagio.toolkit.log import get_log
from presagio.toolkit.prometheus import Matrix

CONFIG = """
signals:
  - {name: load, query: load, forecast: true}
  - {name: disk, query: disk, range: {max: 120}, thresholds: [{name: full, query: size}]}
  - {name: cpu, query: cpu}
forecasts: {every: 2m, step: 15s, lookback: 10m, horizons: [1m, 5m], forecaster: naive, cpu: 0.5, series: 4}
"""
START = 100 * STEP


class Source(FakeSource):
    def __init__(self) -> None:
        super().__init__(load={"a": steady()}, disk={"a": steady(), "b": steady()}, size={"": steady()})
        self.failing: dict[str, Exception] = {}

    def _answer(self, kind: str, query: str, first: int, last: int, stride: int = 1) -> Matrix:
        if query in self.failing:
            raise self.failing[query]
        return super()._answer(kind, query, first, last, stride)


@dataclass
class Here(Worker):
    """The models without a process of their own, and at a price that is known."""

    clock: ManualClock
    price: float = 1.0
    tasks: list[tuple[float, Task]] = field(default_factory=list)
    error: Exception | None = None
    is_over: bool = False

    def run(self, task: Task) -> tuple[Forecast, float]:
        self.tasks.append((self.clock.now, task))
        if self.error:
            raise self.error
        kind = plugins.load(plugins.FORECASTERS, task.forecaster)
        params = kind.Params.model_validate(dict(task.params))
        return kind(params).forecast(task.history, task.step, task.horizons), self.price

    def stop(self) -> None:
        self.is_over = True


class House:
    def __init__(self, folder: Path, text: str = CONFIG, now: float = START + 5) -> None:
        config = FILE.validate(positions.parse(text), "exporter.yml")
        self.clock = ManualClock(now)
        self.source = Source()
        self.worker = Here(self.clock)
        self.registry = CollectorRegistry()
        how = config.forecasts
        wanted = forecast_signals(config, configured_failures(config))
        turns = [
            Turn(one.signal, Reader(self.source, one, one.signal.query, how.step, how.lookback))
            for one in namings(config, wanted)
        ]
        self.forecasting = Forecasting(
            turns, how, self.source, self.worker, folder, ForecastMetrics(self.registry), self.clock,
            get_log("test"), 30.0,
        )  # fmt: skip

    def run(self, seconds: float) -> None:
        """Run for so long; the clock does not wait."""
        wait, end = self.clock.wait, self.clock.now + seconds
        self.forecasting.stop = threading.Event()

        def until(seconds: float, stop: threading.Event) -> bool:
            if self.clock.now + seconds > end:
                stop.set()
                seconds = end - self.clock.now
            return wait(seconds, stop)

        self.clock.wait = until  # type: ignore[method-assign]
        self.forecasting.run()
        self.clock.wait = wait  # type: ignore[method-assign]

    def shown(self) -> set[str]:
        families = text_string_to_metric_families(self.forecasting.page(self.clock.now).decode())
        return {sample.labels["signal"] for family in families for sample in family.samples}

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"presagio_{name}", labels)

    def moments(self) -> list[tuple[float, str]]:
        """Return when what was forecast, in seconds since the start."""
        return [
            (time - START - 5, "disk" if "maximum" in task.params else "load") for time, task in self.worker.tasks
        ]


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_what_has_thresholds_or_is_to_be_is_forecast(house: House) -> None:
    house.run(10)
    assert house.shown() == {"load", "disk"}
    assert house.value("last_forecast_timestamp_seconds", signal="disk") == START
    assert house.value("forecast_series", signal="disk") == 2
    assert house.value("forecasts_total", signal="disk") == 1
    assert house.value("forecast_failures_total", signal="cpu", reason="timeout") is None


def test_the_forecaster_is_told_of_range_and_season_and_all_horizons(house: House) -> None:
    house.run(10)
    task = house.worker.tasks[1][1]
    assert task.params["maximum"] == 120
    assert "minimum" not in task.params
    assert task.params["season"] == "auto"
    assert {60.0, 300.0} <= set(task.horizons)
    assert task.history.shape == (2, 40)


def test_after_a_first_round_each_signal_has_its_own_moment(house: House) -> None:
    house.run(250)
    # 1505 is the start: load is due at multiples of 120, disk a minute after them
    assert house.moments() == [(0, "load"), (2, "disk"), (55, "load"), (115, "disk"), (175, "load"), (235, "disk")]


def test_the_budget_is_kept_by_waiting(house: House) -> None:
    house.worker.price = 40.0
    house.run(600)
    times = [time for time, _ in house.moments()]
    assert min(np.diff(times)) >= 80.0
    assert len(times) == 7


def test_many_series_are_forecast_in_parts_and_put_together_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = House(house.forecasting.store.path.parent / "other")
    monkeypatch.setattr("presagio.exporter.forecasting._ROWS", 1)
    house.run(10)
    assert [len(task.history) for _, task in house.worker.tasks] == [1, 1, 1]
    monkeypatch.undo()
    whole.run(10)
    assert house.forecasting.page(house.clock.now) == whole.forecasting.page(whole.clock.now)


def test_a_stop_between_two_parts_ends_at_once_and_ends_the_process(house: House) -> None:
    house.worker.price = 10_000.0
    house.run(10)
    assert len(house.worker.tasks) == 1
    assert house.shown() == set()
    assert house.worker.is_over


def test_no_more_series_than_the_cap_are_forecast(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    house = House(tmp_path, CONFIG.replace("series: 4", "series: 2"))
    house.run(10)
    assert house.value("forecast_series", signal="disk") == 1
    assert house.value("forecast_series_refused", signal="disk") == 1
    assert caplog.messages.count("forecasts.series is reached, further series are not forecast") == 1


class TestErrors:
    @pytest.mark.parametrize(
        ("error", "reason"),
        [(SourceError(SourceReason.TIMEOUT, "slow"), "timeout"), (ZeroDivisionError("ours"), "internal")],
    )
    def test_an_error_of_one_signal_never_stops_the_others(self, house: House, error: Exception, reason: str) -> None:
        house.source.failing["load"] = error
        house.run(10)
        assert house.shown() == {"disk"}
        assert house.value("forecast_failures_total", signal="load", reason=reason) == 1

    def test_what_failed_is_tried_again_after_a_minute_and_logged_once(
        self, house: House, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        house.source.failing["load"] = SourceError(SourceReason.UNREACHABLE, "down")
        house.run(130)
        assert (house.value("forecast_failures_total", signal="load", reason="unreachable") or 0) >= 2
        house.source.failing.clear()
        house.run(130)
        assert house.shown() == {"load", "disk"}
        assert caplog.messages == ["forecast failed, will be tried again", "forecast works again"]

    def test_the_process_of_the_models_failing_is_one(self, house: House, caplog: pytest.LogCaptureFixture) -> None:
        house.worker.error = WorkerError("forecaster 'naive' failed: ValueError: no")
        house.run(10)
        assert house.value("forecast_failures_total", signal="load", reason="worker") == 1
        assert caplog.messages == ["forecast failed, will be tried again"] * 2

    def test_a_threshold_whose_query_fails_costs_only_itself(
        self, house: House, caplog: pytest.LogCaptureFixture
    ) -> None:
        house.source.failing["size"] = SourceError(SourceReason.BAD_QUERY, "no such function")
        house.run(130)
        assert house.shown() == {"load", "disk"}
        assert b"presagio_time_to_threshold" not in house.forecasting.page(house.clock.now)
        assert (house.value("forecast_failures_total", signal="disk", reason="bad_query") or 0) >= 1
        assert caplog.messages == ["threshold 'full' has no limit for some"]

    def test_a_limit_that_is_missing_is_counted(self, house: House) -> None:
        house.source.data["size"] = {}
        house.run(10)
        assert house.value("forecast_failures_total", signal="disk", reason="limit") == 1


class TestWithdrawal:
    def test_what_is_too_old_is_not_shown(self, house: House) -> None:
        house.run(10)
        stale = house.forecasting.stale_after
        assert stale == 240
        house.clock.now = START + stale
        assert house.shown() == {"load", "disk"}
        house.clock.now = START + stale + 1
        assert house.forecasting.page(house.clock.now) == b""
        assert house.forecasting.outlooks(house.clock.now) == []

    def test_one_more_often_than_its_steps_stays_until_the_next_step(self, tmp_path: Path) -> None:
        house = House(tmp_path, CONFIG.replace("every: 2m, step: 15s", "every: 10s, step: 1m"))
        step = house.forecasting.settings.step
        assert house.forecasting.stale_after == step + 10
        house.run(step - 6)
        assert house.shown() == {"load", "disk"}

    def test_a_signal_that_fails_is_withdrawn_while_the_others_stay(self, house: House) -> None:
        house.run(10)
        house.source.failing["load"] = SourceError(SourceReason.TIMEOUT, "slow")
        house.run(400)
        assert house.shown() == {"disk"}

    def test_series_that_vanished_are_withdrawn_with_the_next_forecast(self, house: House) -> None:
        house.source.data["load"] = {"a": steady(102)}
        house.run(10)
        assert house.shown() == {"load", "disk"}
        house.run(120)
        assert house.shown() == {"disk"}
        assert house.value("forecast_series", signal="load") == 0


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


class TestRestart:
    def test_what_was_shown_is_shown_again_and_not_made_anew_at_once(self, tmp_path: Path) -> None:
        first = House(tmp_path)
        first.run(10)
        page = first.forecasting.page(first.clock.now)
        second = House(tmp_path, now=first.clock.now)
        second.run(1)
        assert second.forecasting.page(second.clock.now) == page
        assert second.worker.tasks == []
        assert second.value("last_forecast_timestamp_seconds", signal="disk") == START
        assert second.value("forecast_series", signal="disk") == 2
        second.run(120)
        assert {name for _, name in second.moments()} == {"load", "disk"}

    def test_one_signal_s_new_forecast_does_not_withdraw_what_the_others_said_before(self, tmp_path: Path) -> None:
        first = House(tmp_path)
        first.run(10)
        second = House(tmp_path, now=first.clock.now)
        second.run(60)
        assert [name for _, name in second.moments()] == ["load"]
        assert second.shown() == {"load", "disk"}

    def test_what_is_too_old_by_then_is_made_anew_at_once(self, tmp_path: Path) -> None:
        House(tmp_path).run(10)
        later = House(tmp_path, now=START + 500)
        later.run(10)
        assert len(later.worker.tasks) == 2

    @pytest.mark.parametrize(
        "change",
        [("max: 120", "max: 110"), ("horizons: [1m, 5m]", "horizons: [1m, 2m]"), ("query: disk", "query: load")],
    )
    def test_a_signal_that_is_forecast_otherwise_now_begins_anew(
        self, tmp_path: Path, change: tuple[str, str]
    ) -> None:
        House(tmp_path).run(10)
        other = House(tmp_path, CONFIG.replace(*change))
        other.run(5)
        assert "disk" in {name for _, name in other.moments()}

    @pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"broken"), folder_instead])
    def test_a_snapshot_that_cannot_be_read_is_a_first_start(
        self, tmp_path: Path, damage: Callable[[Path], None]
    ) -> None:
        first = House(tmp_path)
        first.run(10)
        damage(first.forecasting.store.path)
        second = House(tmp_path)
        second.run(10)
        assert second.shown() == {"load", "disk"}

    def test_a_folder_that_cannot_be_written_is_said_once(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        house = House(tmp_path / "nowhere")
        house.run(130)
        assert house.shown() == {"load", "disk"}
        assert caplog.messages == ["forecasts will not survive a restart"]


def test_without_anything_to_forecast_it_ends(tmp_path: Path) -> None:
    house = House(tmp_path, "signals: [{name: cpu, query: cpu}]")
    house.run(10)
    assert house.forecasting.page(house.clock.now) == b""
    assert house.source.asked == []
