"""`presagio feedback` in a terminal and `presagio exporter` as a process, which is killed."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from servers import Process, Prometheus, answers_http, free_port, scrape, wait_until

PRESAGIO = Path(sys.executable).with_name("presagio")
CONFIG = """
prometheus: {{url: {url}}}
evaluation: {{interval: 1s, delay: 1s, stale_after: 6s}}
warm_start: {{lookback: 10m}}
signals:
  - {{name: memory, query: 'process_resident_memory_bytes{{job="prometheus"}}'}}
api: {{api_key_file: {key}}}
"""


class Exporter(Process):
    """The exporter that users run, and what they type to tell it something."""

    def __init__(self, folder: Path, url: str) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.key = folder / "key"
        self.key.write_text("a-key-for-tests\n")
        config = folder / "exporter.yml"
        config.write_text(CONFIG.format(url=url, key=self.key))
        argv: list[str | Path] = [
            PRESAGIO, "exporter", f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}",
            f"--storage.path={folder / 'data'}",
        ]  # fmt: skip
        super().__init__(argv, folder, name="exporter", ready=answers_http(f"{self.url}/-/ready"))

    def type(self, *words: str) -> tuple[int, str]:
        """Run `presagio feedback`; return its exit code and what it says."""
        argv: list[str | Path] = [PRESAGIO, "feedback", *words, f"--url={self.url}", f"--api-key-file={self.key}"]
        answer = subprocess.run(argv, capture_output=True, text=True, check=False)
        return answer.returncode, answer.stdout or answer.stderr

    def value(self, name: str, **labels: str) -> float:
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=5) as answer:
            families = text_string_to_metric_families(answer.read().decode())
        samples = (sample for family in families for sample in family.samples)
        return sum(one.value for one in samples if one.name == name and labels.items() <= one.labels.items())


@pytest.fixture
def exporter(prometheus_binary: Path, workdir: Path) -> Iterator[Exporter]:
    port = free_port()
    jobs = [scrape("prometheus", f"127.0.0.1:{port}")]
    with Prometheus(prometheus_binary, workdir / "prometheus", jobs, port=port) as server:
        server.wait_for("up == 1")
        with Exporter(workdir, server.url) as process:
            wait_until(lambda: process.value("presagio_series", signal="memory"), "a first series", 60)
            yield process


def test_what_was_said_survives_a_kill_and_can_be_taken_back(exporter: Exporter) -> None:
    code, text = exporter.type("fault", "prometheus", "--from", "-3s", "--comment", "a test", "--author", "ana")
    assert (code, text) == (0, "feedback 1; take it back by: presagio feedback revert 1\n")
    exporter.kill9()
    exporter.start()
    exporter.wait_ready()
    (line,) = exporter.type("list")[1].splitlines()[1:]
    assert line.split()[:4] == ["1", "fault", "prometheus", "(all)"]
    assert line.endswith("ana     a test   in force")
    assert exporter.value("presagio_feedback", kind="fault") == 1

    assert exporter.type("revert", "1", "--author", "bob")[1].startswith("feedback 1 was reverted at ")
    assert exporter.type("list") == (0, "no feedback\n")
    (record,) = json.loads(exporter.type("list", "--all", "--json")[1])["feedback"]
    assert (record["id"], record["author"], record["reverted_by"]) == (1, "ana", "bob")
    exporter.kill9()
    exporter.start()
    exporter.wait_ready()
    assert " by bob\n" in exporter.type("list", "--all")[1]


def test_a_running_exporter_learns_anew_by_itself(exporter: Exporter) -> None:
    exporter.type("expected", "prometheus", "--signal", "memory", "--from", "-3s")
    wait_until(lambda: exporter.value("presagio_relearns_total", outcome="done"), "learning anew", 60)
    assert "mistake of ours" not in exporter.output()


def test_names_that_nobody_knows_are_answered_with_those_that_are_like_them(exporter: Exporter) -> None:
    assert exporter.type("fault", "promehteus", "--from", "-3s") == (
        1, "presagio: no service is scored by the name 'promehteus'; did you mean 'prometheus'?\n",
    )  # fmt: skip
    assert exporter.type("fault", "prometheus", "--signal", "memroy", "--from", "-3s") == (
        1, "presagio: no signal of 'prometheus' is scored by the name 'memroy'; did you mean 'memory'?\n",
    )  # fmt: skip
    assert exporter.type("revert", "7")[1].startswith("presagio: there is no feedback 7")
    exporter.key = exporter.key.with_name("other")
    exporter.key.write_text("wrong")
    assert "wrong API key" in exporter.type("list")[1]
