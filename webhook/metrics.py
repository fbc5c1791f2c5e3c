"""The webhook's own metrics. Label sets that are known at the start begin at 0."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from presagio.toolkit.clock import Clock
from presagio.webhook.acts import Act, acts
from presagio.webhook.moves import Move
from presagio.webhook.observation import Found
from presagio.webhook.payload import Notification
from presagio.webhook.policy import Policy
from presagio.webhook.queues import Queue, Waiting
from presagio.webhook.queues import waiting as queues_of
from presagio.webhook.records import FREEZE, PAUSE, Records
from presagio.webhook.statements import HOUR
from presagio.webhook.states import BLOCKING, DROPPING, TERMINAL, Outcome, Reason, State
from presagio.webhook.tables import Remediation

NO_ACTION = "none"
"""The label `action` of a remediation that ended before one was chosen."""

_SWITCHES = (
    ("presagio_acting_paused", PAUSE, "Whether a person has paused all acting."),
    ("presagio_learning_frozen", FREEZE, "Whether a person has frozen the recommender."),
)

_BUCKETS = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 14400.0, 86400.0)


class Refused(StrEnum):
    """Why a notification was answered with 503."""

    FULL = "full"
    LEDGER = "ledger"


class Metrics:
    """Counts what is received and what moves; an Observer of the orchestrator."""

    def __init__(self, registry: CollectorRegistry, policies: Iterable[Policy] = ()) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"presagio_{name}", text, labels, registry=registry)

        self.notifications = counter("notifications_received", "Notifications stored.")
        self.repeated = counter("notifications_repeated", "Notifications that were waiting in the inbox already.")
        self.refusals = counter("notifications_refused", "Notifications that were not stored.", "reason")
        self.alerts = counter("alerts_received", "Alerts in stored notifications.", "status")
        self.truncated = counter("alerts_truncated", "Alerts that Alertmanager left out of notifications.")
        self.dropped = counter("alerts_dropped", "Alerts that started nothing.", "reason")
        self.planned = counter("remediations", "Remediations for which an action was chosen.", "policy", "action")
        self.finished = counter("remediations_finished", "Remediations that ended.", "policy", "action", "outcome")
        self.observed = counter(
            "dry_runs_observed", "Dry runs after which it was seen what became of the problem.", "policy", "found"
        )
        self.blocked = counter("remediations_blocked", "Times that a remediation had to wait.", "reason")
        self.duration = Histogram(
            "presagio_remediation_duration_seconds", "From the alert's arrival to the end of its remediation.",
            buckets=_BUCKETS, registry=registry,
        )  # fmt: skip
        self.stumbles = counter("orchestrator_failures", "Turns of the orchestrator that failed.")
        self.last_step = Gauge(
            "presagio_orchestrator_last_step_timestamp_seconds", "Unix time of its last turn that went well.",
            registry=registry,
        )  # fmt: skip
        self.whole = Gauge(
            "presagio_ledger_verified", "1 if the ledger is whole, 0 if it is broken, NaN until that is known.",
            registry=registry,
        )  # fmt: skip
        self.last_verified = Gauge(
            "presagio_ledger_last_verified_timestamp_seconds",
            "Unix time when the ledger was last found whole; 0 before that.", registry=registry,
        )  # fmt: skip
        self.whole.set(math.nan)
        self._know(policies)

    def _know(self, policies: Iterable[Policy]) -> None:
        known: tuple[tuple[Counter, Iterable[str]], ...] = (
            (self.refusals, Refused), (self.alerts, ("firing", "resolved")), (self.blocked, BLOCKING),
            (self.dropped, DROPPING),
        )  # fmt: skip
        for metric, values in known:
            for value in values:
                metric.labels(value)
        for policy in policies:
            self._know_policy(policy)

    def _know_policy(self, policy: Policy) -> None:
        for found in Found:
            self.observed.labels(policy.name, found.value)
        actions = {step.action for step in policy.steps}
        for action in actions:
            self.planned.labels(policy.name, action)
        for action in {NO_ACTION, *actions}:
            for outcome in Outcome:
                self.finished.labels(policy.name, action, outcome.value)

    def received(self, notification: Notification, repeated: bool = False) -> None:
        """Count a notification that was stored, or `repeated` while it waits there."""
        if repeated:
            self.repeated.inc()
            return
        self.notifications.inc()
        self.truncated.inc(notification.truncated_alerts)
        for alert in notification.alerts:
            self.alerts.labels(alert.status).inc()

    def refused(self, reason: Refused) -> None:
        """Count a notification that could not be stored."""
        self.refusals.labels(reason.value).inc()

    def moved(self, before: Remediation, move: Move, after: Remediation) -> None:
        """Count a transition."""
        del before
        if move.to is State.PLANNED:
            self.planned.labels(after.policy, after.action).inc()
        elif move.to is State.BLOCKED:
            self.blocked.labels(move.reason.value).inc()
        elif move.to is State.DROPPED:
            self.dropped.labels(move.reason.value).inc()
        if move.reason is Reason.OBSERVED:
            self.observed.labels(after.policy, move.facts["found"]).inc()
        elif move.to in TERMINAL and after.policy and after.outcome and after.finished_at is not None:
            self.finished.labels(after.policy, after.action or NO_ACTION, after.outcome.value).inc()
            self.duration.observe(after.finished_at - after.created_at)

    def stepped(self, now: float) -> None:
        """Note that the orchestrator lives."""
        self.last_step.set(now)

    def stumbled(self) -> None:
        """Count a turn that failed."""
        self.stumbles.inc()

    def verified(self, now: float) -> None:
        """Note that the ledger is whole."""
        self.whole.set(1)
        self.last_verified.set(now)

    def breached(self) -> None:
        """Note that the ledger is broken."""
        self.whole.set(0)


class LedgerCollector(Collector):
    """What the ledger says at the moment of the scrape: what is live, waits, was done, is left, is paused; its end.

    policies, max_per_hour: whose budgets are told of, and the budget of all of them together.
    """

    def __init__(self, records: Records, clock: Clock, policies: Iterable[Policy], max_per_hour: int) -> None:
        self.records = records
        self.clock = clock
        self.budgets = {policy.name: policy.guards.max_per_hour for policy in policies}
        self.max_per_hour = max_per_hour

    def describe(self) -> Iterable[Metric]:
        """Return nothing: registering must not ask the ledger."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics; none of them while the ledger cannot be read, so that the page stays."""
        now = self.clock.time()
        try:
            counts, head, switches = self.records.counts(), self.records.head(), self.records.switches()
            queues, done = queues_of(self.records.engine), acts(self.records.engine, now)
            spent = self.records.spent_each(now - HOUR)
        except SQLAlchemyError:
            return
        states = GaugeMetricFamily("presagio_remediations", "Live remediations by state.", labels=["state"])
        for state, count in counts.items():
            states.add_metric([state.value], count)
        yield states
        yield from _queues(queues, now)
        yield from _acts(done)
        yield from self._left(spent)
        for name, switch, text in _SWITCHES:
            yield GaugeMetricFamily(name, text, float(switch in switches))
        text = "The last row of the ledger: keep it elsewhere and nobody can shorten the ledger unseen."
        yield InfoMetricFamily("presagio_ledger_head", text, value={"seq": str(head.seq), "hash": head.hmac})

    def _left(self, spent: Mapping[str, int]) -> Iterator[Metric]:
        """Yield what the budgets leave. That of all is a metric of its own, so that a sum counts nothing twice."""
        each = GaugeMetricFamily(
            "presagio_remediation_budget_remaining",
            "Remediations that the policy may let act now, before its budget of an hour is spent.",
            labels=["policy"],
        )
        for name, most in self.budgets.items():
            each.add_metric([name], max(0, most - spent.get(name, 0)))
        yield each
        text = "Remediations that all policies together may let act now, before their budget of an hour is spent."
        left = max(0, self.max_per_hour - sum(spent.values()))
        yield GaugeMetricFamily("presagio_remediation_fleet_budget_remaining", text, left)


def _queues(queues: Mapping[Queue, Waiting], now: float) -> Iterator[Metric]:
    lengths = GaugeMetricFamily("presagio_queue_length", "Alerts or messages that wait.", labels=["queue"])
    waits = GaugeMetricFamily(
        "presagio_queue_wait_seconds", "How long the oldest of a queue has waited; 0 if none waits.", labels=["queue"]
    )
    for queue, found in queues.items():
        lengths.add_metric([queue.value], found.length)
        waits.add_metric([queue.value], found.seconds(now))
    yield from (lengths, waits)


def _acts(done: Mapping[Act, float]) -> Iterator[Metric]:
    labels = ["service_id", "policy", "action"]
    actions = GaugeMetricFamily(
        "presagio_remediation_last_action_timestamp_seconds",
        "Unix time when a remediation last did this to the service, of the last day; no dry run does.", labels=labels,
    )  # fmt: skip
    outcomes = GaugeMetricFamily(
        "presagio_remediation_last_outcome_timestamp_seconds",
        "Unix time when this last came of what a remediation had done to the service, of the last day.",
        labels=[*labels, "outcome"],
    )
    for act, moment in done.items():
        known = [act.service_id, act.policy, act.action]
        if act.outcome is None:
            actions.add_metric(known, moment)
        else:
            outcomes.add_metric([*known, act.outcome], moment)
    yield from (actions, outcomes)
