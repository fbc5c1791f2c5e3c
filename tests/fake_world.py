"""A world in which the webhook's orchestrator can be driven by hand.

Fakes stand only where the machine ends: Prometheus, Alertmanager, an action, the pool of threads. The ledger is real.
"""

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
from prometheus_client import CollectorRegistry
from pydantic import BaseModel, ConfigDict
from sqlalchemy import Engine

from presagio.actions.base import Action, ActionClass, Disruption, Evidence, Permission, Plan, Probe, Target
from presagio.toolkit.clock import ManualClock
from presagio.toolkit.errors import SourceError, SourceReason
from presagio.toolkit.log import get_log
from presagio.toolkit.prometheus import Vector
from presagio.webhook.approval import Answer, decide
from presagio.webhook.courier import Courier
from presagio.webhook.database import open_sqlite
from presagio.webhook.errors import AlertmanagerError
from presagio.webhook.guard_config import FleetGuards
from presagio.webhook.inbox import Inbox
from presagio.webhook.ledger import Ledger, verify
from presagio.webhook.metrics import LedgerCollector, Metrics
from presagio.webhook.orchestrator import Orchestrator
from presagio.webhook.policy import Policy
from presagio.webhook.questions import Questions
from presagio.webhook.records import Records
from presagio.webhook.replica import Claims
from presagio.webhook.standing import Standing
from presagio.webhook.states import State
from presagio.webhook.tables import Remediation
from presagio.webhook.timers import Timers
from presagio.webhook.tools import Tools

KEY = b"k" * 32
URL = "https://presagio.test"
START = 1_700_000_000.0

GUARDED = {
    (State.PLANNED, State.AWAITING_APPROVAL),
    (State.PLANNED, State.EVALUATING),
    (State.AWAITING_APPROVAL, State.READY),
    (State.AWAITING_APPROVAL, State.EVALUATING),
    (State.AWAITING_APPROVAL, State.CANCELLED),
    (State.SETTLING, State.ROLLING_BACK),
    (State.VERIFYING, State.SUPERSEDED),
    (State.SUPERSEDED, State.CLOSED),
}
"""Ways that people and guards make a remediation go: test_guarded.py walks them, test_orchestrator.py all others."""


class FakePrometheus:
    """Knows one problem: `holds` answers conditions, `good` the verification (None: no data, NaN: not a number)."""

    def __init__(self) -> None:
        self.holds = True
        self.good: bool | float | None = False
        self.down = False
        self.partial = False
        self.harms = False
        self.services = 100.0
        self.asked: list[tuple[str, float]] = []

    def instant(self, query: str, time: float) -> Vector:
        self.asked.append((query, time))
        if self.down:
            raise SourceError(SourceReason.UNREACHABLE, "prometheus is down")
        warnings = ("a store did not answer",) if self.partial else ()
        if query.startswith("count"):
            return vector(self.services, warnings=warnings)
        if query.startswith("harm"):
            return vector(*([1.0] if self.harms else []), warnings=warnings)
        if query.startswith("problem"):
            return vector(*([1.0] if self.holds else []), warnings=warnings)
        if self.good is None:
            return vector(warnings=warnings)
        if self.good is not True and self.good is not False:
            return vector(self.good, warnings=warnings)
        return vector(3.0 if self.good else 7.0, warnings=warnings)  # good is what is below 5


def vector(*values: float, warnings: tuple[str, ...] = ()) -> Vector:
    return Vector([{"service_id": "shop"}] * len(values), np.array(values, dtype=np.float64), warnings)


class FakeAlertmanager:
    def __init__(self) -> None:
        self.firing: set[str] = set()
        self.down = False
        self.sent: list[Mapping[str, Any]] = []

    def active(self, labels: Mapping[str, str] | None = None) -> frozenset[str]:
        del labels
        if self.down:
            raise AlertmanagerError("alertmanager is down")
        return frozenset(self.firing)

    def send(self, alerts: Sequence[Mapping[str, Any]]) -> None:
        if self.down:
            raise AlertmanagerError("alertmanager is down")
        self.sent.extend(alerts)


class Size(BaseModel):
    model_config = ConfigDict(extra="forbid")

    size: int = 1


class FakeAction:
    """Does nothing to the world but remember it: `effects` are the attempt ids whose effect took place."""

    Params: ClassVar[type[BaseModel]] = Size
    action_class = ActionClass.ONCE
    settle_seconds: ClassVar[float] = 60.0
    permissions: ClassVar[tuple[Permission, ...]] = ()

    def __init__(self, name: str) -> None:
        self.name = name
        self.effects: list[str] = []
        self.undone: list[str] = []
        self.script: list[Exception | Callable[[], None]] = []
        self.says = Probe.UNKNOWN
        self.undo_facts: dict[str, Any] | None = None
        self.plan_error: Exception | None = None
        self.undo_error: Exception | None = None
        self.meddled: str | None = None
        self.disruption: Disruption | None = None
        self.message: dict[str, Any] | None = None

    def plan(self, target: Target, params: BaseModel) -> Plan:
        if self.plan_error:
            raise self.plan_error
        summary = f"{self.name} {target.service_id}"
        return Plan(
            self.name, summary, params.model_dump(), {"size": 0}, self.undo_facts, disruption=self.disruption
        )  # fmt: skip

    def apply(self, plan: Plan, attempt_id: str) -> Evidence:
        """Take the next of the script: an exception with `effect` set happens after the effect."""
        turn = self.script.pop(0) if self.script else None
        if isinstance(turn, Exception) and not getattr(turn, "effect", False):
            raise turn
        self.effects.append(attempt_id)
        if isinstance(turn, Exception):
            raise turn
        return Evidence("done", {"attempt_id": attempt_id}, self.message)

    def probe(self, plan: Plan, attempt_id: str) -> Probe:
        return self.says

    def undo(self, plan: Plan) -> Evidence:
        if self.undo_error:
            raise self.undo_error
        self.undone.append(plan.summary)
        return Evidence("undone")

    def changed(self, plan: Plan) -> str | None:
        return self.meddled


def after_the_effect(error: Exception) -> Exception:
    error.effect = True  # type: ignore[attr-defined]
    return error


class Inline:
    """Workers that have finished as soon as they are asked."""

    def submit(self, call: Callable[..., object], /, *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(call(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future


class Slow:
    """Workers that do their work when `work` is called; with `lose` they die with it."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Future[Any], Callable[..., object], Sequence[Any]]] = []

    def submit(self, call: Callable[..., object], /, *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.waiting.append((future, call, arguments))
        return future

    def work(self, count: int | None = None) -> None:
        for future, call, arguments in self.waiting[:count]:
            try:
                future.set_result(call(*arguments))
            except Exception as error:
                future.set_exception(error)
        del self.waiting[:count]


def policy(name: str = "restart", **changes: Any) -> Policy:
    base: dict[str, Any] = {
        "match": {"alertname": "Leak"},
        "when": ['problem{service_id="${service_id}"} > 0'],
        "mode": "auto",
        "actions": [{"fix": {}}],
        "verify": {
            "query": 'memory{service_id="${service_id}"} < 5', "samples": 3, "interval": "30s", "deadline": "5m",
        },
        "guards": {"cooldown": "30m"},
    }  # fmt: skip
    return Policy.model_validate({"name": name, **base, **changes})


class World:
    """The whole machine, on a ledger in `folder`. `restart` is a kill -9 and a new process."""

    def __init__(
        self, folder: Path, *policies: Policy, timers: Timers | None = None, workers: Any = None,
        database: Callable[[], Engine] | None = None,
    ) -> None:  # fmt: skip
        self.clock = ManualClock(START)
        self.path = folder / "ledger.db"
        self.database = database or (lambda: open_sqlite(self.path))
        self.policies = policies or (policy(),)
        self.timers = timers or Timers()
        self.fleet = FleetGuards()
        self.prometheus = FakePrometheus()
        self.alertmanager = FakeAlertmanager()
        self.actions = {name: FakeAction(name) for name in ("fix", "other")}
        self.counter = itertools.count(1)
        self.engine: Engine = self.database()
        self.restart(workers or Inline())

    def restart(self, workers: Any = None) -> None:
        self.engine.dispose()
        self.workers: Any = workers or self.workers
        self.engine = self.database()
        self.ledger = Ledger(self.engine, KEY)
        self.inbox = Inbox(self.engine)
        self.records = Records(self.engine)
        self.claims: Claims = self.records
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry, self.policies)
        self.registry.register(LedgerCollector(self.records, self.clock, self.policies, self.fleet.max_per_hour))
        self.use(*self.policies)
        self.courier = Courier(self.ledger, self.records, self.alertmanager, get_log("courier"), URL)

    def use(self, *policies: Policy) -> None:
        """Put other policies in force, as a reload does."""
        self.policies = policies
        questions = Questions(self.prometheus, self.alertmanager)
        tools = Tools(
            policies,
            self.records,
            Standing(self.records),
            questions,
            self._action,
            self.timers,
            self._token,
            self.fleet,
        )
        self.machine = Orchestrator(
            self.ledger, self.inbox, tools, self.claims, self.workers, self.metrics, get_log("test")
        )

    def _action(self, name: str) -> Action[Any]:
        # A cast, since the class of ours can be changed by a test.
        return cast(Action[Any], self.actions[name])

    def _token(self) -> str:
        return f"{next(self.counter):08x}"

    @property
    def fix(self) -> FakeAction:
        return self.actions["fix"]

    def fire(self, fingerprint: str = "f", starts: float = START - 60, active: bool = True, **labels: str) -> None:
        """Let an alert fire, and Alertmanager tell of it."""
        if active:
            self.alertmanager.firing.add(fingerprint)
        self.notify(alert(fingerprint, "firing", starts, **labels))

    def resolve(self, fingerprint: str = "f", starts: float = START - 60, **labels: str) -> None:
        self.alertmanager.firing.discard(fingerprint)
        self.notify(alert(fingerprint, "resolved", starts, **labels))

    def notify(self, *alerts: Mapping[str, Any]) -> None:
        document = {"version": "4", "status": "firing", "alerts": alerts, "groupKey": str(next(self.counter))}
        self.inbox.store(json.dumps(document), len(alerts), "test", self.clock.time())

    def run(self, seconds: float = 0.0, every: float = 10.0) -> None:
        """Let time pass, stepping until nothing is due at each moment."""
        end = self.clock.now + seconds
        while True:
            steps = 0
            while self.machine.step(self.clock.now) + self.courier.deliver(self.clock.now):
                steps += 1
                assert steps < 500, "the machine does not come to rest"
            if self.clock.now >= end:
                return
            self.clock.now = min(end, self.clock.now + every)

    def rest(self, limit: float = 48 * 3600.0) -> None:
        """Let time pass until nothing is live, from one timer to the next."""
        end = self.clock.now + limit
        while True:
            self.run()
            due = self.machine.next_due()
            if due is None and not self.machine.busy:
                return
            self.clock.now = max(self.clock.now + 1.0, due if due is not None else 0.0)
            assert self.clock.now < end, f"still live: {self.records.counts()}"

    def walked(self) -> set[tuple[State, State]]:
        """Return the ways that were taken."""
        rows = self.records.audit(limit=100_000)
        return {(State(row.source), State(row.target)) for row in rows if row.source}

    def answer(self, approved: bool, plan_hash: str | None = None, case: Remediation | None = None) -> Remediation:
        """Let a person approve or refuse, at this moment, the plan that is there unless another is named."""
        case = case or self.case()
        answer = Answer(approved, case.plan_hash or "" if plan_hash is None else plan_hash, "alice")
        return decide(case, answer, self.machine.tools, self.ledger, self.clock.now)

    def case(self, number: int = 1) -> Remediation:
        found = self.records.get(number)
        assert found is not None, f"there is no remediation {number}"
        return found

    def samples(self, number: int = 1) -> list[dict[str, Any]]:
        return self.case(number).samples or []

    def states(self, number: int = 1) -> list[State]:
        return [State(row.target) for row in self.records.story(number)]

    def trail(self, number: int = 1) -> str:
        """Return the states that a remediation went through, as one line."""
        return " ".join(state.value for state in self.states(number))

    def verified_chain(self) -> int:
        return verify(self.engine, KEY)

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"presagio_{name}", labels)


def alert(fingerprint: str, status: str, starts: float, **labels: str) -> dict[str, Any]:
    named = {"alertname": "Leak", "service_id": "shop", **labels}
    return {
        "fingerprint": fingerprint, "status": status, "labels": named, "annotations": {"summary": "it leaks"},
        "startsAt": datetime.fromtimestamp(starts, UTC).isoformat(),
    }  # fmt: skip
