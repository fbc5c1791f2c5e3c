"""Failures predicted on a real Prometheus: `presagio train`, the exporter, its metrics, its API and its page."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import leaks
import pytest
from leaks import FAILED, HEALTHY, LEAKING
from prometheus_client.parser import text_string_to_metric_families
from servers import Process, Prometheus, answers_http, backfill, free_port, openmetrics, wait_until

PRESAGIO = Path(sys.executable).with_name("presagio")
CONFIG = """
prometheus: {{url: {url}}}
evaluation: {{interval: 15s, delay: 0s}}
warm_start: {{lookback: 2h}}
services: {{id: "{{service_id}}"}}
signals:
  - {{name: memory_ratio, query: memory_ratio, unit: ratio, range: {{min: 0, max: 1}}}}
forecasts: {{lookback: 2d}}
failures:
  - name: out_of_memory
    query: memory_ratio > 0.98
    horizons: [1h, 3h]
    predictor_params: {{members: [gradient_boosting, forecast]}}  # the sequence model takes its time, once is enough
  - {{name: told_by_alert, alert: OutOfMemory, horizons: [1h], predictor: gradient_boosting}}
  - {{name: told_by_file, csv: failures.csv, horizons: [1h]}}
  - {{name: never_seen, query: memory_ratio > 5, horizons: [1h]}}
training: {{lookback: 7d, step: 10m, enabled: {training}}}
predictions: {{every: 5s}}
api: {{authentication: none}}
"""


@dataclass(frozen=True)
class Place:
    """A folder with a configuration of a Prometheus that has a week of leaks."""

    folder: Path
    world: leaks.World

    def run(self, *flags: str) -> subprocess.CompletedProcess[str]:
        command = [
            str(PRESAGIO), "train", f"--config.file={self.folder / 'exporter.yml'}",
            f"--storage.path={self.folder / 'data'}", *flags,
        ]  # fmt: skip
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)

    def train(self, *flags: str) -> list[dict[str, Any]]:
        done = self.run("--json", *flags)
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found


@pytest.fixture(scope="module")
def place(prometheus_binary: Path, promtool: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("predictions")
    world = leaks.world(time.time())
    backfill(promtool, openmetrics(world.series()), folder / "data")
    _told(world, folder / "failures.csv")
    with Prometheus(prometheus_binary, folder) as server:
        (folder / "exporter.yml").write_text(CONFIG.format(url=server.url, training="false"))
        yield Place(folder, world)


def _told(world: leaks.World, path: Path) -> None:
    """Write as a CSV what people might have noted down: each time that one was at its limit."""
    lines = ["service_id,start,end"]
    for service, values in zip(world.services, world.memory, strict=True):
        down = values > leaks.LIMIT
        for number in range(1, len(down) - 15):
            if down[number] and not down[number - 1]:
                lines.append(f"{service},{world.times[number]:.0f},{world.times[number] + 600:.0f}")
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def outcomes(place: Place) -> dict[tuple[str, float], dict[str, Any]]:
    return {(one["failure"], one["horizon"]): one for one in place.train()}


@pytest.mark.parametrize("failure", ["out_of_memory", "told_by_alert", "told_by_file"])
def test_a_failure_is_learnt_from_each_kind_of_history(
    outcomes: dict[tuple[str, float], dict[str, Any]], failure: str
) -> None:
    one = outcomes[failure, 3600.0]
    assert one["result"] == "replaced", one
    assert one["failures"] >= 8
    assert one["new"]["brier_skill"] > 0.3, one
    assert one["new"]["average_precision"] > 5 * one["new"]["base_rate"]


def test_what_was_never_seen_is_not_learnt_and_that_is_said(
    place: Place, outcomes: dict[tuple[str, float], dict[str, Any]]
) -> None:
    one = outcomes["never_seen", 3600.0]
    assert (one["result"], one["new"]) == ("too_few", None)
    assert one["why"].startswith("0 failures are known and 8 are needed to learn from; until then the forecast")
    assert not list((place.folder / "data" / "models" / "never_seen").glob("**/*.model"))


def test_models_are_listed_with_their_quality(
    place: Place, outcomes: dict[tuple[str, float], dict[str, Any]]
) -> None:
    done = place.run("--list")
    lines = done.stdout.splitlines()
    assert done.returncode == 0
    assert lines[0].split()[:2] == ["FAILURE", "HORIZON"]
    assert len([line for line in lines if line.startswith("out_of_memory")]) == 2
    skill = f"{outcomes['out_of_memory', 3600.0]['new']['brier_skill']:.3f}"
    assert any(skill in line and "1h" in line for line in lines)


def test_a_dry_run_keeps_nothing_and_a_rollback_goes_back(
    place: Place, outcomes: dict[tuple[str, float], dict[str, Any]]
) -> None:
    """The same history again is no worse, so it replaces; back again is what was there before."""
    assert outcomes
    folder = place.folder / "data" / "models" / "told_by_alert" / "1h"
    first = (folder / "current").read_text()
    assert place.train("--failure", "told_by_alert", "--dry-run")[0]["result"] == "replaced"
    assert (folder / "current").read_text() == first
    again = place.train("--failure", "told_by_alert")[0]
    assert (again["result"], again["why"]) == ("replaced", "no worse on the newest time")
    assert again["old"]["brier_skill"] == pytest.approx(again["new"]["brier_skill"], abs=0.1)
    assert (folder / "current").read_text() != first
    back = place.run("--rollback", "told_by_alert")
    assert back.stdout == f"told_by_alert within 1h: {first} is in use now\n"
    assert (folder / "current").read_text() == first
    further = place.run("--rollback", "told_by_alert")
    assert further.returncode == 1
    assert "no model of 'told_by_alert' within 1h is older than the one in use" in further.stderr


def test_a_failure_that_is_none_is_named_with_those_there_are(place: Place) -> None:
    done = place.run("--failure", "oom")
    assert done.returncode == 1
    told = "there is no failure 'oom'; there are: out_of_memory, told_by_alert, told_by_file, never_seen"
    assert done.stderr == f"presagio: {told}\n"


def test_without_prometheus_training_fails_and_says_why(place: Place, tmp_path: Path) -> None:
    text = CONFIG.format(url=f"http://127.0.0.1:{free_port()}", training="false")
    (tmp_path / "exporter.yml").write_text(text)
    done = Place(tmp_path, place.world).run("--json", "--failure", "out_of_memory")
    assert done.returncode == 1
    assert {one["result"] for one in json.loads(done.stdout)} == {"failed"}
    assert "cannot be reached" in json.loads(done.stdout)[0]["why"]


class Exporter(Process):
    """`presagio exporter` as its users run it."""

    def __init__(self, place: Place, folder: Path, training: str = "false", models: Path | None = None) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        folder.mkdir()
        text = (place.folder / "exporter.yml").read_text().replace("enabled: false", f"enabled: {training}")
        (folder / "exporter.yml").write_text(text)
        (folder / "failures.csv").write_text((place.folder / "failures.csv").read_text())
        if models is not None:
            shutil.copytree(models, folder / "data" / "models")
        argv: list[str | Path] = [
            PRESAGIO, "exporter", f"--config.file={folder / 'exporter.yml'}",
            f"--web.listen-address=127.0.0.1:{port}", f"--storage.path={folder / 'data'}",
        ]  # fmt: skip
        super().__init__(argv, folder, name="exporter", ready=answers_http(f"{self.url}/-/healthy"))

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return str(answer.read().decode())

    def samples(self, name: str, **labels: str) -> dict[str, float]:
        """Return the values of a metric, by service or failure."""
        return {
            sample.labels.get("service_id", sample.labels.get("failure", "")): sample.value
            for family in text_string_to_metric_families(self.get("/metrics"))
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        }

    def wait_for(self, name: str, **labels: str) -> dict[str, float]:
        return wait_until(lambda: self.samples(name, **labels) or None, name, deadline=240)


PROBABILITY = "presagio_failure_probability"


def test_on_day_one_the_forecast_speaks_and_sees_the_leak(place: Place, tmp_path: Path) -> None:
    with Exporter(place, tmp_path / "new") as exporter:
        found = exporter.wait_for(PROBABILITY, failure="out_of_memory", horizon="1h")
        assert found[LEAKING] > 0.8
        assert found[HEALTHY] < 0.1
        assert FAILED not in found  # that it will is no question
        assert exporter.samples("presagio_model_in_use", failure="out_of_memory", horizon="1h", model="forecast")
        assert not exporter.samples(PROBABILITY, failure="told_by_alert")  # no limit, nothing learnt: nothing said
        sure = exporter.samples("presagio_failure_probability_confidence", failure="out_of_memory", horizon="1h")
        assert 0.25 < sure[LEAKING] <= 0.5


def test_models_predict_with_reasons_in_words(
    place: Place, outcomes: dict[tuple[str, float], dict[str, Any]], tmp_path: Path
) -> None:
    assert outcomes
    with Exporter(place, tmp_path / "new", models=place.folder / "data" / "models") as exporter:
        for failure in ("out_of_memory", "told_by_alert", "told_by_file"):
            found = exporter.wait_for(PROBABILITY, failure=failure, horizon="1h")
            assert found[LEAKING] > 0.7, failure
            assert found[HEALTHY] < 0.1, failure
        near = exporter.samples(PROBABILITY, failure="out_of_memory", horizon="1h")
        far = exporter.samples(PROBABILITY, failure="out_of_memory", horizon="3h")
        assert all(far[service] >= near[service] for service in near)
        told = json.loads(exporter.get(f"/api/v1/predictions/{LEAKING}"))["predictions"]
        first = told[0]
        assert (first["service_id"], len(first["reasons"])) == (LEAKING, 3)
        assert any("memory_ratio" in reason["text"] for reason in first["reasons"])
        with pytest.raises(urllib.error.HTTPError, match="404"):
            exporter.get("/api/v1/predictions/shop/unknown")
        page = exporter.get("/predictions")
        assert page.index(LEAKING) < page.index(HEALTHY)
        assert first["reasons"][0]["text"] in page
        assert 'href="predictions"' in exporter.get("/")
        skill = exporter.samples("presagio_model_brier_skill_score", failure="out_of_memory", horizon="1h")
        assert skill["out_of_memory"] == pytest.approx(outcomes["out_of_memory", 3600.0]["new"]["brier_skill"])
        before = exporter.samples(PROBABILITY, failure="out_of_memory", horizon="1h")
        exporter.restart()
        assert exporter.samples(PROBABILITY, failure="out_of_memory", horizon="1h").keys() == before.keys()


def test_the_exporter_trains_by_itself_in_a_process_that_ends_with_it(place: Place, tmp_path: Path) -> None:
    with Exporter(place, tmp_path / "new", training="true") as exporter:
        done = exporter.wait_for("presagio_model_failures", failure="told_by_alert")
        assert done["told_by_alert"] >= 8
        exporter.kill9()
        wait_until(lambda: not _trainings(tmp_path) or None, "the training ends with who started it", deadline=30)


def _trainings(folder: Path) -> list[str]:
    """Return the training processes that work in a folder."""
    found = []
    for one in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            text = one.read_text()
            if "training_process" in text and str(folder) in text:
                found.append(text)
    return found
