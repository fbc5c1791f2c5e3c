"""The preset presagio: the exporter watches itself and a webhook at work, both as processes, through Prometheus."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from preset_answers import Answers, names, sensible
from servers import Alertmanager, Process, Prometheus, answers_http, free_port, scrape, wait_until

EXPORTER = """
prometheus: {{url: "{prometheus}"}}
evaluation: {{interval: 1s, delay: 1s, stale_after: 60s}}
warm_start: {{lookback: 0s}}
presets: [presagio]
"""
WEBHOOK = """
prometheus: {{url: "{prometheus}"}}
alertmanager: {{url: "{alertmanager}"}}
api: {{authentication: none}}
timers: {{sample_interval: 1s, retry: 1s, hold: 1s}}
policies:
  - name: touch
    match: {{alertname: Leak}}
    mode: auto
    actions: [{{command: {{argv: [/bin/true]}}}}]
    verify: {{query: up == 1, samples: 1, interval: 1s, deadline: 30s}}
    guards: {{cooldown: "0"}}
"""


def presagio(folder: Path, command: str, config: str, port: int) -> Process:
    """Return the command that users run."""
    file = folder / f"{command}.yml"
    file.write_text(config)
    argv: list[str | Path] = [
        Path(sys.executable).with_name("presagio"), command, f"--config.file={file}",
        f"--web.listen-address=127.0.0.1:{port}", f"--storage.path={folder / command}",
    ]  # fmt: skip
    return Process(argv, folder, name=command, ready=answers_http(f"http://127.0.0.1:{port}/-/ready"))


@pytest.fixture
def town(
    prometheus_binary: Path, alertmanager_binary: Path, workdir: Path
) -> Iterator[tuple[Prometheus, Alertmanager]]:
    """Both servers of ours, Prometheus that scrapes them, and Alertmanager that notifies the webhook."""
    exporter, webhook = free_port(), free_port()
    receiver = {"url": f"http://127.0.0.1:{webhook}/api/v1/alerts"}
    route = {"receiver": "presagio", "group_by": ["..."], "group_wait": "0s", "group_interval": "1s"}
    notifying = {"route": route, "receivers": [{"name": "presagio", "webhook_configs": [receiver]}]}
    targets = [f"127.0.0.1:{port}" for port in (exporter, webhook)]
    jobs = [scrape("presagio", *targets, honor_labels=True)]
    with ExitStack() as stack:
        alertmanager = stack.enter_context(Alertmanager(alertmanager_binary, workdir / "alertmanager", notifying))
        prometheus = stack.enter_context(Prometheus(prometheus_binary, workdir / "prometheus", jobs))
        urls = {"prometheus": prometheus.url, "alertmanager": alertmanager.url}
        stack.enter_context(presagio(workdir, "exporter", EXPORTER.format(**urls), exporter))
        stack.enter_context(presagio(workdir, "webhook", WEBHOOK.format(**urls), webhook))
        yield prometheus, alertmanager


RANGES = {
    "presagio_evaluation_duration": (1e-4, 10),
    "presagio_evaluation_lag": (0, 30),
    "presagio_evaluation_failure_ratio": (0, 0),
    "presagio_series": (1, 100),
    "presagio_series_refused": (0, 0),
    "presagio_orchestrator_lag": (0, 30),
    "presagio_remediations_live": (0, 10),
    "presagio_remediations_failed": (0, 0),
    "presagio_remediations_verified": (0.5, 20),
    "presagio_remediations_blocked": (0, 20),
    "presagio_remediation_duration": (0.1, 60),
}


@pytest.mark.timeout(180)
def test_every_signal_of_presagio_is_sensible(town: tuple[Prometheus, Alertmanager]) -> None:
    prometheus, alertmanager = town
    assert RANGES.keys() == names("presagio")
    # twice, since a counter that appears with 1 has not been seen to rise
    for number in (1, 2):
        alertmanager.send([{"labels": {"alertname": "Leak", "service_id": f"shop{number}"}}])
        verified = f'presagio_remediations_finished_total{{outcome="verified"}} >= {number}'
        wait_until(lambda query=verified: prometheus.query(query), "verified remediation", 60)  # type: ignore[misc]
    found = sensible(prometheus, "presagio", RANGES)
    assert {name: len(series) for name, series in found.items()} == dict.fromkeys(RANGES, 1)
    scored(prometheus, found)


def scored(prometheus: Prometheus, found: Answers) -> None:
    """The exporter itself has scores of them all, under the names that it gives them here."""
    for name, [series] in found.items():
        prometheus.wait_for(f'presagio_signal_value{{signal="{name}", service_id="{series.service_id}"}}')
