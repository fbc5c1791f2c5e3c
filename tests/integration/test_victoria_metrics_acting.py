"""VictoriaMetrics in the place of Prometheus: vmalert raises the alert, the webhook acts, and verifies."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from servers import Process, VictoriaMetrics, answers_http, free_port, wait_until
from webhook_town import Town, town_around

from presagio.webhook.states import State

RULE = {
    "alert": "Leak",
    "expr": "memory > 5",
    "for": "2s",
    "annotations": {"summary": "{{ $labels.service_id }} leaks"},
}


@pytest.fixture
def here(victoria_metrics_binary: Path, alertmanager_binary: Path, workdir: Path) -> Iterator[Town]:
    def source(home: Path, jobs: Sequence[Mapping[str, Any]]) -> VictoriaMetrics:
        # vmalert would see what is half a minute old; the webhook asks for the newest, whatever the flag
        return VictoriaMetrics(victoria_metrics_binary, home, jobs, flags=["-search.latencyOffset=1s"])

    with ExitStack() as stack:
        yield town_around(source, stack, workdir, alertmanager_binary)


@pytest.fixture
def judge(vmalert: Path, here: Town, workdir: Path) -> Iterator[Process]:
    """Return a vmalert that evaluates the rule each second."""
    rules, port = workdir / "rules.yml", free_port()
    rules.write_text(json.dumps({"groups": [{"name": "leak", "interval": "1s", "rules": [RULE]}]}))
    argv: list[str | Path] = [
        vmalert, f"-rule={rules}", f"-datasource.url={here.prometheus.url}",
        f"-remoteWrite.url={here.prometheus.url}",
        f"-notifier.url={here.alertmanager.url}", f"-httpListenAddr=127.0.0.1:{port}", "-rule.evalDelay=0s",
    ]  # fmt: skip
    with Process(argv, workdir, name="vmalert", ready=answers_http(f"http://127.0.0.1:{port}/health")) as running:
        yield running


def test_from_an_alert_of_vmalert_to_verified_recovery(here: Town, judge: Process) -> None:
    here.leak("web", "shop")
    for service in ("web", "shop"):
        closed = wait_until(lambda: here.webhook.of(service, State.CLOSED), "closed remediation", 60)  # noqa: B023 # at once
        assert (closed["outcome"], closed["policy"]) == ("verified", "restart"), judge.output()
        assert here.prometheus.value(f'memory{{service_id="{service}"}}') == 1.0
    assert len(here.fleet.attempts()) == 2
    assert "3 good samples in a row: good, good, good" in here.webhook.audit("show", "1")
    firing = 'ALERTS{alertname="Leak",alertstate="firing"}'
    wait_until(lambda: not here.prometheus.query(firing), "end of the alerts", 30)
