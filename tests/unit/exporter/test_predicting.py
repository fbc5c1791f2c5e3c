"""The thread of the predictions: what goes wrong with one failure is counted, logged once, and ends nothing."""

import argparse
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from servers import free_port

from presagio.exporter import wiring
from presagio.exporter.config import ExporterConfig
from presagio.exporter.failure_config import TrainingConfig
from presagio.exporter.models import MODELS
from presagio.exporter.predicting import Predicting
from presagio.exporter.prediction_metrics import PredictionMetrics
from presagio.exporter.training_process import Training
from presagio.toolkit.clock import ManualClock
from presagio.toolkit.log import get_log
from presagio.toolkit.prometheus import Prometheus

FAILURES = [{"name": "full", "query": "disk > 0.9"}, {"name": "down", "alert": "Down"}]


def made(tmp_path: Path, clock: ManualClock) -> tuple[Predicting, Training, CollectorRegistry]:
    """Return it with a Prometheus that is not there."""
    config = ExporterConfig.model_validate(
        {
            "prometheus": {"url": f"http://127.0.0.1:{free_port()}"},
            "signals": [{"name": "disk", "query": "disk"}], "failures": FAILURES,
        }
    )  # fmt: skip
    registry = CollectorRegistry()
    arguments = argparse.Namespace(
        storage_path=tmp_path, config_file=tmp_path / "absent.yml", log_level="error", log_format="logfmt"
    )
    predicting, training = wiring.predicting(config, Prometheus(config.prometheus), arguments, registry, clock)
    return predicting, training, registry


def turns(predicting: Predicting, count: int) -> None:
    """Let it run so many rounds: the clock moves on at once."""
    left = [count]

    class Stopping(ManualClock):
        def wait(self, seconds: float, stop: object) -> bool:
            self.now += max(0.0, seconds)
            left[0] -= 1
            return left[0] == 0

    predicting.clock = Stopping(predicting.clock.time())
    predicting.run()


def test_a_prometheus_that_is_not_there_is_counted_each_time_and_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    predicting, _, registry = made(tmp_path, ManualClock(1_700_000_000.0))
    turns(predicting, 3)
    labels = {"failure": "full", "reason": "unreachable"}
    assert registry.get_sample_value("presagio_prediction_failures_total", labels) == 3
    assert len([one for one in caplog.records if "prediction failed" in one.message]) == 1
    assert predicting.page.text(predicting.clock.time()) == b""


def test_what_nothing_can_predict_is_not_asked_for(tmp_path: Path) -> None:
    """No limit and no model: Prometheus is not asked, so nothing fails, and nothing is said."""
    predicting, _, registry = made(tmp_path, ManualClock(1_700_000_000.0))
    turns(predicting, 2)
    labels = {"failure": "down", "reason": "unreachable"}
    assert registry.get_sample_value("presagio_prediction_failures_total", labels) == 0
    assert registry.get_sample_value("presagio_last_prediction_timestamp_seconds", {"failure": "down"}) is None


def test_a_model_that_is_damaged_is_not_used_and_the_forecast_takes_its_place(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / MODELS / "full" / "1h"
    folder.mkdir(parents=True)
    (folder / "20261123T000000.model").write_bytes(b"nonsense")
    (folder / "current").write_text("20261123T000000.model")
    predicting, _, registry = made(tmp_path, ManualClock(1_700_000_000.0))
    turns(predicting, 2)
    (told,) = [one for one in caplog.records if one.message == "model is not used"]
    assert "presagio train makes a new one" in str(told.fields["error"])  # type: ignore[attr-defined] # of our log
    in_use = {"failure": "full", "horizon": "1h", "model": "forecast"}
    assert registry.get_sample_value("presagio_model_in_use", in_use) == 1


def test_a_training_that_cannot_begin_is_counted_for_each_failure(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its configuration is not there: the process says so on its own, and all failures stay as they were."""
    clock = ManualClock(1_700_000_000.0)
    _, training, registry = made(tmp_path, clock)
    training._train()
    for failure in ("full", "down"):
        labels = {"failure": failure, "outcome": "failed"}
        assert registry.get_sample_value("presagio_trainings_total", labels) == 1
    assert "training ended before it was done" in caplog.text
    assert "training failed, will be tried again" in caplog.text
    assert training.schedule.due() == clock.time() + 300.0


def test_a_training_that_is_broken_off_is_as_due_as_before(tmp_path: Path) -> None:
    _, training, registry = made(tmp_path, ManualClock(1_700_000_000.0))
    training.end()
    training._train()
    assert training.schedule.due() <= 1_700_000_000.0
    labels = {"failure": "full", "outcome": "failed"}
    assert registry.get_sample_value("presagio_trainings_total", labels) == 0


def test_without_failures_or_disabled_nothing_is_trained(tmp_path: Path) -> None:
    metrics, clock, log = PredictionMetrics(CollectorRegistry()), ManualClock(), get_log("test")
    for failures, settings in (([], TrainingConfig()), (["full"], TrainingConfig(enabled=False))):
        Training(failures, settings, argparse.Namespace(), tmp_path, metrics, clock, log).run(lambda: True)
    assert not list(tmp_path.iterdir())
