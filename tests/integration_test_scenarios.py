"""The five cases whole, on real servers under load: healthy, failing, seen, acted upon, verified.

And what does not help is rolled back, and a person is told.

All five happen at once, each to two patients, beside one Prometheus, one Alertmanager, one exporter and one webhook.
`-s` tells the story as it happens.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from scenarios.case import Binaries, Case, Place
from scenarios.cluster import Cluster
from scenarios.database import OverloadedDatabase
from scenarios.disk import FullDisk
from scenarios.latency import HighLatency
from scenarios.leak import MemoryLeak
from scenarios.redis import Fragmentation
from servers import (
    Alertmanager,
    PostgresBinaries,
    Process,
    Prometheus,
    ServerError,
    backfill,
    free_port,
    openmetrics,
    scrape,
)
from stack import RULES, alertmanager_of, presagio

pytestmark = [
    pytest.mark.servers,
    # the test's API server signs its own certificate
    pytest.mark.filterwarnings("ignore:Unverified HTTPS request"),
]

KINDS: Sequence[type[Case]] = (MemoryLeak, OverloadedDatabase, Fragmentation, HighLatency, FullDisk)
ENDS = ("closed", "escalated")
TIMERS = {"sample_interval": "1s", "retry": "2s", "hold": "10s"}
GUARDS = {"max_per_hour": 100, "storm": {"least": 100}}


class Hospital:
    """The running parts, and how each patient was treated."""

    def __init__(self, place: Place, cases: Sequence[Case]) -> None:
        self.place, self.cases = place, cases
        self.key = secrets.token_urlsafe(24)
        (place.folder / "api.key").write_text(self.key)
        self.begun = time.monotonic()
        self.prometheus: Prometheus
        self.alertmanager: Alertmanager
        self.webhook_url = ""
        self.seen: dict[str, str] = {}

    def open(self, programs: tuple[Path, Path, Path], cluster: Cluster) -> None:
        """Start Prometheus with its history, Alertmanager, exporter and webhook."""
        prometheus, alertmanager, promtool = programs
        folder, start = self.place.folder, self.place.stack.enter_context
        history = [series for case in self.cases for series in case.history()]
        backfill(promtool, openmetrics(history), folder / "prometheus" / "data")
        ports = free_port(), free_port()
        self.alertmanager = start(alertmanager_of(folder, ports[1], alertmanager))
        jobs = [*(job for case in self.cases for job in case.jobs()), cluster.kubelet.scrape("pods")]
        jobs.append(scrape("presagio", *(f"127.0.0.1:{port}" for port in ports), honor_labels=True))
        self.prometheus = start(
            Prometheus(prometheus, folder / "prometheus", jobs, [*RULES, self._rules()], self.alertmanager.url)
        )
        start(self._exporter(ports[0]))
        start(self._webhook(ports[1], cluster))
        self.webhook_url = f"http://127.0.0.1:{ports[1]}"

    def _rules(self) -> Path:
        path = self.place.folder / "cases.rules.yml"
        rules = [rule for case in self.cases for rule in case.rules()]
        path.write_text(yaml.safe_dump({"groups": [{"name": "cases", "rules": rules}]}))
        return path

    def _exporter(self, port: int) -> Process:
        config = {
            "prometheus": {"url": self.prometheus.url},
            "evaluation": {"interval": "1s", "delay": "1s", "stale_after": "15s"},
            "services": {"id": "{app}"},
            "forecasts": {"every": "10s"},
            "signals": [dict(signal) for case in self.cases for signal in case.signals()],
        }
        return presagio("exporter", yaml.safe_dump(config), port, self.place.folder)

    def _webhook(self, port: int, cluster: Cluster) -> Process:
        config = {
            "prometheus": {"url": self.prometheus.url},
            "alertmanager": {"url": self.alertmanager.url},
            "api": {"api_key_file": str(self.place.folder / "api.key")},
            "timers": TIMERS,
            "guards": GUARDS,
            "policies": [dict(policy) for case in self.cases for policy in case.policies()],
        }
        env = {"KUBECONFIG": str(cluster.plane.kubeconfig()), "PYTHONWARNINGS": "ignore"}
        return presagio("webhook", yaml.safe_dump(config), port, self.place.folder, env)

    def wait(self, condition: Any, what: str, deadline: float) -> Any:
        """Wait as `wait_until` does, and be the supervisor meanwhile."""
        end = time.monotonic() + deadline
        while not (answer := condition()):
            for case in self.cases:
                case.supervise()
            if time.monotonic() > end:
                raise ServerError(f"no {what} within {deadline:g} s; logs: {self.place.folder}")
            time.sleep(0.2)
        return answer

    def wait_for_both(self, query: str, what: str, deadline: float = 120) -> None:
        """Wait until a query has a series for both patients."""
        self.wait(lambda: len(self.prometheus.query(query)) >= 2, what, deadline)
        self.tell(what)

    def tell(self, what: str) -> None:
        """Tell what has happened."""
        print(f"{time.monotonic() - self.begun:6.1f} s  {what}", flush=True)  # noqa: T201 # seen with -s

    def follow(self) -> bool:
        """Tell of every transition; return whether each patient's remediation has ended."""
        ended = set()
        for case in self.ask("/api/v1/remediations?limit=500")["remediations"]:
            service, state = case["service_id"], case["state"]
            if case["policy"] and self.seen.get(f"{service} {case['id']}") != state:
                self.seen[f"{service} {case['id']}"] = state
                self.tell(f"{service:9} {case['action'] or '-':34} {state}: {case['reason']}")
            if case["policy"] and state in ENDS:
                ended.add(service)
        return ended >= {name for case in self.cases for name in (case.helped, case.unhelped)}

    def ask(self, path: str) -> Any:
        """Ask the webhook's API."""
        request = urllib.request.Request(self.webhook_url + path, headers={"X-API-Key": self.key})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def treatment(self, service: str) -> dict[str, Any]:
        """Return the first remediation of a service that a policy took on."""
        found = [one for one in self.ask("/api/v1/remediations?limit=500")["remediations"] if one["policy"]]
        first = min(one["id"] for one in found if one["service_id"] == service)
        detail: dict[str, Any] = self.ask(f"/api/v1/remediations/{first}")
        return detail

    def live(self) -> None:
        """Let all of it happen."""
        for case in self.cases:
            self.wait_for_both(case.healthy, f"{case.name}: both are healthy")
        for case in self.cases:
            self.wait_for_both(case.learnt, f"{case.name}: enough is known")
        for case in self.cases:
            case.fail()
        for case in self.cases:
            self.wait_for_both(case.failing, f"{case.name}: both fail")
        self.wait(self.follow, "end of every remediation", 400)


@pytest.fixture(scope="module")
def binaries(
    node_exporter_binary: Path, redis_server_binary: Path, redis_exporter_binary: Path,
    postgres_binaries: PostgresBinaries, postgres_exporter_binary: Path,
) -> Binaries:  # fmt: skip
    return Binaries(
        node_exporter_binary, redis_server_binary, redis_exporter_binary, postgres_binaries, postgres_exporter_binary
    )


@pytest.fixture(scope="module")
def hospital(
    prometheus_binary: Path, alertmanager_binary: Path, promtool: Path, binaries: Binaries,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Hospital]:  # fmt: skip
    with contextlib.ExitStack() as stack:
        place = Place(tmp_path_factory.mktemp("hospital"), binaries, stack)
        cluster = Cluster(place.within("cluster").folder, stack)
        cases: list[Case] = [
            MemoryLeak(cluster), OverloadedDatabase(place.within("database")), Fragmentation(place.within("redis")),
            HighLatency(cluster, stack), FullDisk(place.within("disk")),
        ]  # fmt: skip
        hospital = Hospital(place, cases)
        hospital.open((prometheus_binary, alertmanager_binary, promtool), cluster)
        hospital.live()
        yield hospital


def case_of(hospital: Hospital, kind: type[Case]) -> Case:
    return next(case for case in hospital.cases if isinstance(case, kind))


def trail(treatment: dict[str, Any]) -> list[str]:
    return [line["target"] for line in treatment["story"]]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_what_helps_is_verified(hospital: Hospital, kind: type[Case]) -> None:
    case = case_of(hospital, kind)
    treatment = hospital.treatment(case.helped)
    assert (treatment["state"], treatment["outcome"]) == ("closed", "verified")
    assert treatment["action"] == case.actions[-1]
    assert trail(treatment).count("intent") == len(case.actions)
    good = case.policies()[0]["verify"]["query"].replace("${service_id}", case.helped)
    assert hospital.prometheus.query(good), "verified, and not well"


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_what_does_not_help_is_rolled_back_and_a_person_is_told(hospital: Hospital, kind: type[Case]) -> None:
    case = case_of(hospital, kind)
    treatment = hospital.treatment(case.unhelped)
    assert (treatment["state"], treatment["action"]) == ("escalated", case.useless)
    walked = trail(treatment)
    assert walked.index("ineffective") < walked.index("rolling_back") < walked.index("rolled_back")
    assert case.is_undone()
    told = {alert["labels"].get("service_id") for alert in hospital.alertmanager.alerts() if escalation(alert)}
    assert case.unhelped in told


def escalation(alert: dict[str, Any]) -> bool:
    return bool(alert["labels"]["alertname"] == "PresagioRemediationEscalated")
