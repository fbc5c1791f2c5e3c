"""RECEIVED: a notification is opened, and of each alert in it is told whether it starts anything."""

from __future__ import annotations

from collections.abc import Sequence

from presagio.webhook import payload
from presagio.webhook.errors import AlertmanagerError
from presagio.webhook.moves import Arrival, Changes, Facts, Move, Stay
from presagio.webhook.payload import Alert
from presagio.webhook.policy import Mode, Policy, matching, target
from presagio.webhook.records import Owner, Ownership
from presagio.webhook.states import Reason, State
from presagio.webhook.tables import Notification, Remediation
from presagio.webhook.tools import Tools, alert_of

OUR_ALERTS = "PresagioRemediation"
"""How the names of the alerts begin that we raise ourselves."""

_WAITING = (State.EVALUATING, State.BLOCKED)


def arrivals(notification: Notification) -> list[Arrival]:
    """Return the alerts of a stored notification. It was checked before it was stored."""
    return [
        Arrival(alert.fingerprint, alert.starts_at, alert.model_dump(mode="json"))
        for alert in payload.parse(notification.payload.encode()).alerts
    ]


def admit(case: Remediation, tools: Tools, now: float) -> Move | Stay:
    """Drop the alert, attach it to the remediation that owns its target, or begin one."""
    alert = alert_of(case)
    policies = matching(tools.policies, alert)
    known = tools.records.ownership(case, owned(alert, policies))
    dropped = _dropped(alert, policies, known) or _ghost(case, tools, now)
    if dropped:
        return dropped
    if known.owner:
        return _owned(known.owner, policies)
    return _begin(alert, policies, now + tools.timers.evaluation_deadline)


def owned(alert: Alert, policies: Sequence[Policy]) -> str:
    """Return what a remediation owns: its target, or where nothing can be done to it, the right to think about it.

    Without that difference a dry run that waits out its cooldown would keep the policies that act from the target.
    """
    service = target(alert).service_id
    return service if any(policy.mode is not Mode.DRY_RUN for policy in policies) else f"dry run of {service}"


def _dropped(alert: Alert, policies: tuple[Policy, ...], known: Ownership) -> Move | None:
    owner = known.owner
    if not alert.firing:
        woken = owner.id if owner and owner.state in _WAITING else None
        return Move(State.DROPPED, Reason.RESOLVED, concerns=woken)
    if alert.name.startswith(OUR_ALERTS):
        return Move(State.DROPPED, Reason.OURS)
    if owner and known.is_member:
        return Move(State.DROPPED, Reason.DUPLICATE, {"remediation": owner.id})
    if known.escalated:
        return Move(State.DROPPED, Reason.WITH_A_PERSON, {"remediation": known.escalated})
    return None if policies else Move(State.DROPPED, Reason.NO_POLICY)


def _ghost(case: Remediation, tools: Tools, now: float) -> Move | None:
    try:
        active = tools.questions.is_active(case, now)
    except AlertmanagerError:
        return None  # asked again before anything is done
    return None if active else Move(State.DROPPED, Reason.GHOST)


def _owned(owner: Owner, policies: tuple[Policy, ...]) -> Move | Stay:
    if owner.state is State.HOLDDOWN and owner.policy not in {policy.name for policy in policies}:
        return Stay(owner.deadline)  # another problem: its turn comes when the hold is over
    return Move(State.ATTACHED, Reason.OWNED, {"remediation": owner.id}, concerns=owner.id)


def _begin(alert: Alert, policies: tuple[Policy, ...], deadline: float) -> Move:
    first, about = policies[0], target(alert)
    facts: Facts = {
        "service_id": about.service_id,
        "policies": {policy.name: policy.revision for policy in policies},
    }
    changes: Changes = {
        "policy": first.name, "policy_revision": first.revision, "mode": first.mode.value,
        "service_id": about.service_id, "labels": dict(about.labels), "owns": owned(alert, policies), "samples": [],
    }  # fmt: skip
    return Move(State.EVALUATING, Reason.MATCHED, facts, changes, deadline=deadline)
