"""From EVALUATING to PLANNED: what will be done, how it was before, how success is told, and the hash of all that."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pydantic import ValidationError

from presagio.actions.base import Action, NotAppliedError, Plan, PlanError, Target
from presagio.toolkit.errors import PluginError
from presagio.webhook import verify
from presagio.webhook.chain import canonical
from presagio.webhook.criteria import Verification
from presagio.webhook.guards import Block
from presagio.webhook.moves import Move
from presagio.webhook.policy import Policy, PolicyError, Step, verification
from presagio.webhook.states import Reason, State
from presagio.webhook.tables import Remediation
from presagio.webhook.tools import Tools, escalate, target_of


def plan(case: Remediation, policy: Policy, seen: Mapping[str, Any], tools: Tools, now: float) -> Move | Block:
    """Return the move to PLANNED; a Block if target or Prometheus cannot be asked now; an escalation if never."""
    if case.rung >= len(policy.steps):
        return escalate(case, Reason.LADDER_USED, rungs=len(policy.steps))
    step, target = policy.steps[case.rung], target_of(case)
    try:
        judged = verification(policy, target)
        made = _made(tools.actions(step.action), step, target)
    except NotAppliedError as error:
        return Block(Reason.TARGET, {"error": str(error)})
    except (PlanError, PolicyError, PluginError, ValidationError) as error:
        return escalate(case, Reason.UNPLANNABLE, error=str(error), planned_action=step.action)
    baseline = verify.sample(judged, tools.questions, now)
    if "error" in baseline:
        return Block(Reason.PROMETHEUS, {"error": baseline["error"]})
    chosen = {"conditions": seen, "baseline": baseline, "rung": case.rung, "action": step.action}
    return _planned(case, policy, made, judged, chosen)


def _made(action: Action[Any], step: Step, target: Target) -> Plan:
    return action.plan(target, action.Params.model_validate(step.params))


def _planned(case: Remediation, policy: Policy, made: Plan, judged: Verification, facts: Mapping[str, Any]) -> Move:
    document = asdict(made)
    changes = {
        "policy": policy.name, "policy_revision": policy.revision, "mode": policy.mode.value,
        "action": facts["action"], "plan": document, "plan_hash": hash_of(case, policy, document),
        "verification": asdict(judged), "baseline": facts["baseline"], "samples": [], "evidence": None,
    }  # fmt: skip
    told = {
        name: changes[name] for name in ("policy", "policy_revision", "mode", "plan", "plan_hash", "verification")
    }
    return Move(State.PLANNED, Reason.CLEARED, {**facts, **told}, changes)


def hash_of(case: Remediation, policy: Policy, document: Mapping[str, Any]) -> str:
    """Return the hash that an approval is bound to: the whole plan for this target, under this revision."""
    whole = [case.service_id, case.labels, policy.name, policy.revision, document]
    return hashlib.sha256(canonical(whole).encode()).hexdigest()
