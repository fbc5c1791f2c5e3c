"""`presagio exporter` as a process: killed, reloaded, cut off from Prometheus, fed through its REST API."""

import json
import random
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from servers import Process, Prometheus, answers_http, free_port, scrape, wait_until

from presagio.exporter import wiring
from presagio.exporter.config import FILE
from presagio.toolkit.prometheus import Prometheus as Client

KEY = "a-key-for-tests"
CONFIG = """
prometheus: {{url: {url}}}
evaluation: {{interval: 1s, delay: 2s, stale_after: 6s}}
warm_start: {{lookback: 10m}}
signals:
  - {{name: memory, query: 'process_resident_memory_bytes{{job="prometheus"}}'}}
  - {{name: samples, query: 'rate(prometheus_tsdb_head_samples_appended_total[5s])'}}
api: {{api_key: {key}}}
"""


class Exporter(Process):
    """The command that users run, with requests to it."""

    def __init__(self, folder: Path, prometheus: Prometheus, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.config = folder / "exporter.yml"
        self.config.write_text(CONFIG.format(url=prometheus.url, key=KEY))
        argv: list[str | Path] = [
            Path(sys.executable).with_name("presagio"), "exporter", f"--config.file={self.config}",
            f"--web.listen-address=127.0.0.1:{port}", f"--storage.path={folder / 'data'}",
        ]  # fmt: skip
        super().__init__(argv, folder, name="exporter", ready=answers_http(f"{self.url}/-/ready"))

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=5) as answer:
            return str(answer.read().decode())

    def post(self, path: str, body: Any = None) -> tuple[int, str]:
        headers = {"Content-Type": "application/json", "X-API-Key": KEY}
        data = b"" if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(self.url + path, data, headers), timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def samples(self, name: str, **labels: str) -> list[tuple[dict[str, str], float]]:
        families = text_string_to_metric_families(self.get("/metrics"))
        return [
            (sample.labels, sample.value)
            for family in families
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]

    def value(self, name: str, **labels: str) -> float:
        return self.samples(name, **labels)[0][1]


@pytest.fixture
def prometheus(prometheus_binary: Path, workdir: Path) -> Iterator[Prometheus]:
    folder, port = workdir / "prometheus", free_port()
    jobs = [scrape("prometheus", f"127.0.0.1:{port}")]
    with Prometheus(prometheus_binary, folder, jobs, port=port) as server:
        server.wait_for("up == 1")
        yield server


@pytest.fixture
def exporter(prometheus: Prometheus, workdir: Path) -> Iterator[Exporter]:
    port = free_port()
    jobs = prometheus.config["scrape_configs"]
    jobs.append(scrape("presagio", f"127.0.0.1:{port}", honor_labels=True))
    prometheus.reload()
    with Exporter(workdir, prometheus, port) as process:
        yield process


def until(condition: Callable[[], object], what: str) -> None:
    wait_until(lambda: bool(condition()), what, deadline=60)


def test_killed_at_random_it_goes_on_as_if_it_had_never_been(exporter: Exporter) -> None:
    """After three kills the scores are those of one engine that saw all of history, to the bit."""
    until(lambda: exporter.samples("presagio_anomaly_score", signal="samples"), "first scores")
    rng = random.Random(0)  # when to kill is no secret
    for _ in range(3):
        time.sleep(rng.uniform(0.5, 4))
        exporter.kill9()
        exporter.start()
        exporter.wait_ready()
    config = FILE.load(exporter.config)
    names = ("value", "expected", "lower_bound", "upper_bound", "confidence")
    page, time_of_page = _one_page(exporter)
    parts = wiring.evaluations(config, Client(config.prometheus), wiring.timing(config), CollectorRegistry())
    for part in parts[:2]:
        *_, scores = part.advance(time_of_page)
        assert scores is not None
        whole = (scores.value, scores.expected, scores.lower, scores.upper, scores.confidence)
        for name, array in zip(names, whole, strict=True):
            assert page[f"presagio_signal_{name}", part.signal.name] == array[0], name
        assert page["presagio_anomaly_score", part.signal.name] == scores.score[0]


def _one_page(exporter: Exporter) -> tuple[dict[tuple[str, str], float], float]:
    """Return the scores by metric and signal, and their time; both from the same page."""
    found = {
        (sample.name, sample.labels.get("signal", "")): sample.value
        for family in text_string_to_metric_families(exporter.get("/metrics"))
        for sample in family.samples
    }
    return found, found["presagio_last_evaluation_timestamp_seconds", "samples"]


def test_without_prometheus_scores_are_withdrawn_and_come_back(exporter: Exporter, prometheus: Prometheus) -> None:
    until(lambda: exporter.samples("presagio_anomaly_score"), "first scores")
    prometheus.kill9()
    until(lambda: not exporter.samples("presagio_anomaly_score"), "withdrawal of old scores")
    assert exporter.get("/-/healthy")
    assert exporter.value("presagio_evaluation_failures_total", signal="memory", reason="unreachable") > 0
    prometheus.start()
    prometheus.wait_ready()
    until(lambda: exporter.samples("presagio_anomaly_score"), "scores after the failure")
    assert "evaluation works again" in exporter.output()


def test_a_good_file_is_taken_over_and_a_bad_one_is_not(exporter: Exporter) -> None:
    until(lambda: exporter.samples("presagio_anomaly_score"), "first scores")
    good = exporter.config.read_text()
    exporter.config.write_text(good.replace("name: memory", "nam: memory"))
    code, report = exporter.post("/-/reload")
    assert code == 500
    assert f"{exporter.config}:6: signals[0].nam: expected 'name', got unknown key 'nam'" in report
    assert exporter.value("presagio_config_last_reload_successful") == 0
    exporter.config.write_text(good.replace("name: memory", "name: resident"))
    assert exporter.post("/-/reload")[0] == 200
    until(lambda: exporter.samples("presagio_anomaly_score", signal="resident"), "scores of the new signal")
    assert not exporter.samples("presagio_anomaly_score", signal="memory")
    assert exporter.value("presagio_config_last_reload_successful") == 1


def test_a_pushed_value_comes_back_through_prometheus_and_is_scored(exporter: Exporter) -> None:
    service = {"service_id": "my-web-service", "service_name": "web", "service_type": "web", "description": "a shop"}
    assert exporter.post("/register-service", service)[0] == 201
    body = {"service_id": "my-web-service", "metrics": {"cpu_usage": 75.5}}

    def scored() -> bool:
        assert exporter.post("/submit-metrics", body)[0] in (200, 202)
        return bool(exporter.samples("presagio_anomaly_score", service_id="my-web-service", signal="cpu_usage"))

    until(scored, "a score of the pushed value")
    assert exporter.value("presagio_signal_value", service_id="my-web-service", signal="cpu_usage") == 75.5
    exporter.kill9()
    exporter.start()
    exporter.wait_ready()
    assert exporter.value("presagio_submitted_value", service_id="my-web-service", metric="cpu_usage") == 75.5
    assert exporter.post("/submit-metrics", body)[0] in (200, 202)
