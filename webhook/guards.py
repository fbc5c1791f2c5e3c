"""What keeps a policy from acting now. Each guard is a function; all of GUARDS are asked, in order, before a plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from presagio.actions.base import Plan
from presagio.webhook import blast_radius, windows
from presagio.webhook.moves import Budget
from presagio.webhook.policy import Mode, Policy
from presagio.webhook.statements import HOUR
from presagio.webhook.states import Reason
from presagio.webhook.tables import Remediation
from presagio.webhook.tools import Tools


@dataclass(frozen=True)
class Block:
    """Why not, and when to look again (Unix seconds; None: when the timers say so)."""

    reason: Reason
    facts: Mapping[str, Any] = field(default_factory=dict)
    until: float | None = None


Guard = Callable[[Remediation, Policy, Tools, float], Block | None]


def pause(_: Remediation, policy: Policy, tools: Tools, now: float) -> Block | None:
    """Block while a person has paused all acting; a dry run does not act."""
    del now
    switch = None if policy.mode is Mode.DRY_RUN else tools.standing.paused()
    return Block(Reason.PAUSED, {"who": switch.who, "since": switch.since, "note": switch.note}) if switch else None


def silence(case: Remediation, _: Policy, tools: Tools, now: float) -> Block | None:
    """Block while the alert is silenced or inhibited. Raises AlertmanagerError if nobody can tell."""
    active = tools.questions.is_active(case, now)
    return None if active else Block(Reason.SILENCE)


def cooldown(case: Remediation, policy: Policy, tools: Tools, now: float) -> Block | None:
    """Block while the target rests from what another remediation did to it."""
    acted = tools.records.last_acted(case, dry_run=policy.mode is Mode.DRY_RUN)
    until = None if acted is None else acted + policy.guards.cooldown
    return Block(Reason.COOLDOWN, {"last_action": acted, "until": until}, until) if until and until > now else None


def window(_: Remediation, policy: Policy, tools: Tools, now: float) -> Block | None:
    """Block outside of the policy's own windows, and within those of maintenance."""
    own, maintenance = policy.guards.windows, tools.fleet.maintenance
    if own and not windows.within(own, now):
        until = windows.change(own, now)
        return Block(Reason.WINDOW, {"window": "outside of the policy's own", "until": until}, until)
    if windows.within(maintenance, now):
        until = windows.change(maintenance, now)
        return Block(Reason.WINDOW, {"window": "maintenance", "until": until}, until)
    return None


def storm(_: Remediation, __: Policy, tools: Tools, now: float) -> Block | None:
    """Block while too much is alerting at once. Raises SourceError if nobody can tell how many services there are."""
    limits, alerting = tools.fleet.storm, tools.standing.alerting()
    if alerting < limits.least:
        return None
    answer = tools.questions.instant(limits.services, now)
    known = float(np.nansum(answer.values)) if len(answer.values) else 0.0
    # Who alerts is a service, even if it has no score.
    services = max(known, float(alerting))
    if 100.0 * alerting <= limits.percent * services:
        return None
    return Block(Reason.STORM, {"alerting": alerting, "services": services, "percent": limits.percent})


def budget(_: Remediation, policy: Policy, tools: Tools, now: float) -> Block | None:
    """Block while the last hour has as many remediations as it may have. What acts takes its place when it is let."""
    if policy.mode is Mode.DRY_RUN:
        return None
    limits = allowance(policy, tools)
    for name, most in ((policy.name, limits.max_per_hour), (None, limits.max_per_hour_in_all)):
        oldest = tools.standing.spent_up(now - HOUR, name, most) if most else None
        if oldest is not None or not most:
            # A place is free when the oldest of the last `most` is an hour old; with none at all, never.
            until = None if oldest is None else oldest + HOUR
            facts = {"budget": name or "all policies", "max_per_hour": most, "until": until}
            return Block(Reason.BUDGET, facts, until)
    return None


GUARDS: tuple[Guard, ...] = (pause, silence, cooldown, window, storm, budget)


def blocked(case: Remediation, policy: Policy, tools: Tools, now: float) -> Block | None:
    """Return the first guard's objection, if there is one."""
    return _first(guard(case, policy, tools, now) for guard in GUARDS)


def spent(case: Remediation, policy: Policy, tools: Tools, now: float) -> Block | None:
    """Return the objection that may have come up between plan and lease: others were let to act, or a pause began."""
    return _first(guard(case, policy, tools, now) for guard in (pause, budget))


def allowance(policy: Policy, tools: Tools) -> Budget:
    """Return what a remediation must fit in."""
    return Budget(policy.name, policy.guards.max_per_hour, tools.fleet.max_per_hour)


def too_wide(plan: Plan, policy: Policy) -> Block | None:
    """Block a plan that would take away more of the service at once than may be missing."""
    limits, loss = policy.guards, plan.disruption
    if loss is None or blast_radius.fits(loss, limits.max_unavailable, limits.min_available):
        return None
    room = blast_radius.room(loss, limits.max_unavailable, limits.min_available)
    facts = {"replicas": loss.replicas, "available": loss.available, "unavailable": loss.unavailable, "room": room}
    return Block(Reason.BLAST_RADIUS, facts)


def _first(objections: Iterator[Block | None]) -> Block | None:
    return next((block for block in objections if block is not None), None)
