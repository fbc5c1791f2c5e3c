"""From EVALUATING to PLANNED: what will be done, how it was before, how success is told, and the hash of all that."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import ValidationError

from presagio.actions.base import Action, NotAppliedError, Plan, PlanError, Target
from presagio.toolkit.errors import PluginError
from presagio.webhook import verify
from presagio.webhook.chain import canonical
from presagio.webhook.choosing import Choice, choices
from presagio.webhook.criteria import Verification
from presagio.webhook.guards import Block, too_wide
from presagio.webhook.moves import Move
from presagio.webhook.policy import Policy, PolicyError, Step, harms, verification
from presagio.webhook.states import Reason, State
from presagio.webhook.tables import Remediation
from presagio.webhook.tools import Tools, escalate, target_of


def plan(case: Remediation, policy: Policy, seen: Mapping[str, Any], tools: Tools, now: float) -> Move | Block:
    """Return the move to PLANNED; a Block if target or Prometheus cannot be asked now; an escalation if never."""
    if case.rung >= len(policy.rungs):
        return escalate(case, Reason.LADDER_USED, rungs=len(policy.rungs))
    target = target_of(case)
    try:
        judged = verification(policy, target)
        harms(policy, target)
        found = _first(case, policy, tools, target, now)
    except NotAppliedError as error:
        return Block(Reason.TARGET, {"error": str(error)})
    except PolicyError as error:
        return escalate(case, Reason.UNPLANNABLE, error=str(error))
    if found.plan is None or found.choice is None:
        return escalate(case, Reason.UNPLANNABLE, errors=dict(found.impossible))
    baseline = verify.sample(judged, tools.questions, now)
    if "error" in baseline:
        return Block(Reason.PROMETHEUS, {"error": baseline["error"]})
    chosen = {"conditions": seen, "baseline": baseline, "choice": found.choice.document()}
    told = {"impossible": found.impossible} if found.impossible else {}
    return too_wide(found.plan, policy) or _planned(case, policy, found.plan, judged, {**chosen, **told})


@dataclass(frozen=True)
class _Found:
    """The first rung that can be planned, and why those before it cannot."""

    choice: Choice | None
    plan: Plan | None
    impossible: Mapping[str, str]


def _first(case: Remediation, policy: Policy, tools: Tools, target: Target, now: float) -> _Found:
    """Plan the rung or, if a bound or the target itself forbids it, the next one. Raises NotAppliedError."""
    impossible: dict[str, str] = {}
    for choice in choices(case, policy, tools, now):
        step = policy.rungs[choice.step]
        try:
            return _Found(choice, _made(tools.actions(step.action), step, target), impossible)
        except (PlanError, PluginError, ValidationError) as error:
            impossible[f"{choice.step + 1}. {step.action}"] = str(error)
    return _Found(None, None, impossible)


def _made(action: Action[Any], step: Step, target: Target) -> Plan:
    return action.plan(target, action.Params.model_validate(step.params))


def _planned(case: Remediation, policy: Policy, made: Plan, judged: Verification, facts: Mapping[str, Any]) -> Move:
    document, choice = asdict(made), facts["choice"]
    changes = {
        "policy": policy.name, "policy_revision": policy.revision, "mode": policy.mode.value,
        "action": policy.rungs[choice["step"]].action, "rung": choice["rung"], "choice": choice, "plan": document,
        "plan_hash": hash_of(case, policy, document), "verification": asdict(judged),
        "baseline": facts["baseline"], "samples": [], "evidence": None,
    }  # fmt: skip
    told = {
        name: changes[name]
        for name in ("policy", "policy_revision", "mode", "action", "rung", "plan", "plan_hash", "verification")
    }
    return Move(State.PLANNED, Reason.CLEARED, {**facts, **told}, changes)


def hash_of(case: Remediation, policy: Policy, document: Mapping[str, Any]) -> str:
    """Return the hash that an approval is bound to: the whole plan for this target, under this revision."""
    whole = [case.service_id, case.labels, policy.name, policy.revision, document]
    return hashlib.sha256(canonical(whole).encode()).hexdigest()
