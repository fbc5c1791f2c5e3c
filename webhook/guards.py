"""What keeps a policy from acting now. Each guard is a function; all of GUARDS are asked, in order, before a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from presagio.webhook.policy import Mode, Policy
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


def silence(case: Remediation, _: Policy, tools: Tools, now: float) -> Block | None:
    """Block while the alert is silenced or inhibited. Raises AlertmanagerError if nobody can tell."""
    active = tools.questions.is_active(case.fingerprint, case.created_at, now)
    return None if active else Block(Reason.SILENCE)


def cooldown(case: Remediation, policy: Policy, tools: Tools, now: float) -> Block | None:
    """Block while the target rests from what another remediation did to it."""
    acted = tools.records.last_acted(case, dry_run=policy.mode is Mode.DRY_RUN)
    until = None if acted is None else acted + policy.guards.cooldown
    return Block(Reason.COOLDOWN, {"last_action": acted, "until": until}, until) if until and until > now else None


GUARDS: tuple[Guard, ...] = (silence, cooldown)


def blocked(case: Remediation, policy: Policy, tools: Tools, now: float) -> Block | None:
    """Return the first guard's objection, if there is one."""
    objections = (guard(case, policy, tools, now) for guard in GUARDS)
    return next((block for block in objections if block is not None), None)
