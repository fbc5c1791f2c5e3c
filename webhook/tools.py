"""What every stage has at hand. Stages only ask: what they decide is written by the orchestrator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from presagio.actions.base import Action, Plan, Target, restored
from presagio.webhook.guard_config import FleetGuards
from presagio.webhook.moves import Facts, Move
from presagio.webhook.payload import Alert
from presagio.webhook.policy import Policy
from presagio.webhook.questions import Questions
from presagio.webhook.records import Records
from presagio.webhook.standing import Standing
from presagio.webhook.states import Outcome, Reason, State
from presagio.webhook.tables import Remediation
from presagio.webhook.timers import Timers


@dataclass(frozen=True)
class Tools:
    """The policies in force, whom to ask, and how long things may take.

    actions: returns a registered action by its name; PluginError if there is none. token: returns a few random hex
    digits, so that an attempt's id is never used twice, not even by another ledger.
    """

    policies: Sequence[Policy]
    records: Records
    standing: Standing
    questions: Questions
    actions: Callable[[str], Action]  # type: ignore[type-arg] # of any parameters
    timers: Timers
    token: Callable[[], str]
    fleet: FleetGuards = field(default_factory=FleetGuards)
    random: np.random.Generator = field(default_factory=np.random.default_rng)

    def policy(self, name: str | None) -> Policy | None:
        """Return the policy of that name, if it is still there."""
        return next((policy for policy in self.policies if policy.name == name), None)


def alert_of(case: Remediation) -> Alert:
    """Return the alert that began a remediation."""
    return Alert.model_validate(case.alert)


def target_of(case: Remediation) -> Target:
    """Return what a remediation acts upon."""
    return Target(case.service_id or "", case.labels or {})


def plan_of(case: Remediation) -> Plan:
    """Return the plan that is stored with a remediation."""
    return restored(case.plan or {})


def escalate(case: Remediation, reason: Reason, **facts: object) -> Move:
    """Return the move to a person, with what the page must say."""
    return Move(State.ESCALATED, reason, {**about(case), **facts}, outcome=Outcome.ESCALATED)


def about(case: Remediation) -> Facts:
    """Return what people who are told of a remediation must know."""
    known = {
        "service_id": case.service_id, "policy": case.policy, "action": case.action, "attempt_id": case.attempt_id,
        "alertname": case.alert.get("labels", {}).get("alertname"),
    }  # fmt: skip
    return {name: value for name, value in known.items() if value is not None}
