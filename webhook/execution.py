"""From PLANNED to APPLIED: the one place where something is done to the world, at most once for each attempt.

INTENT is committed, then the action runs in a worker, then its outcome is committed. An INTENT that no worker of ours
runs was left by a crash: its outcome is unknown, its probe may tell, and an action of class D goes to a person.
"""

from __future__ import annotations

from typing import Any

from presagio.actions.base import ActionClass, Evidence, NotAppliedError, OutcomeError, Probe
from presagio.toolkit.errors import PluginError
from presagio.webhook import approval, guards, observation
from presagio.webhook.moves import Facts, Move, Run, Stay
from presagio.webhook.policy import Mode
from presagio.webhook.states import Reason, State
from presagio.webhook.tables import Remediation
from presagio.webhook.tools import Tools, about, escalate, plan_of


def release(case: Remediation, tools: Tools, now: float) -> Move:
    """PLANNED: a dry run ends here; a person is asked; or lease and budget are taken, to act."""
    if case.mode == Mode.DRY_RUN:
        return observation.close(case, tools, now)
    if case.mode == Mode.APPROVAL:
        return approval.request(case, tools, now)
    policy = tools.policy(case.policy)
    if policy is None:
        return Move(State.EVALUATING, Reason.STALE)
    objection = guards.spent(case, policy, tools, now)
    if objection:
        return Move(State.EVALUATING, objection.reason, objection.facts)
    facts = {"lease": case.owns, "plan_hash": case.plan_hash}
    return Move(State.READY, Reason.AUTO, facts, budget=guards.allowance(policy, tools))


def begin(case: Remediation, tools: Tools, now: float) -> Move:
    """READY: name the attempt, and with the commit of that name, act. A plan that waited too long is made again."""
    timers = tools.timers
    if tools.standing.paused():
        return Move(State.EVALUATING, Reason.PAUSED)
    if now - case.entered_at > timers.ready_patience:
        return Move(State.EVALUATING, Reason.STALE)
    attempt, deadline = case.attempts + 1, now + timers.attempt_deadline
    attempt_id = f"presagio-{case.id}-{case.rung}-{attempt}-{tools.token()}"
    facts = {"attempt_id": attempt_id, "attempt": attempt, "action": case.action, "plan_hash": case.plan_hash}
    changes = {"attempt_id": attempt_id, "attempts": attempt, "acted_at": now}
    return Move(State.INTENT, Reason.ATTEMPT, facts, changes, deadline=deadline)


def apply(case: Remediation, tools: Tools) -> Evidence:
    """Do it. Runs in a worker."""
    return tools.actions(case.action or "").apply(plan_of(case), case.attempt_id or "")


def applied(case: Remediation, tools: Tools, result: object, now: float) -> Move:
    """INTENT: what came of it."""
    if isinstance(result, Evidence):
        facts, message = evidence(result), None
        if result.message is not None:
            message = {**about(case), **result.message}
        return Move(
            State.APPLIED, Reason.POSITIVE_ANSWER, facts, {"evidence": facts}, deadline=_deadline(tools, now),
            message=message,
        )  # fmt: skip
    if isinstance(result, NotAppliedError):
        return _not_applied(case, tools, Reason.BEFORE_THE_EFFECT, failure(result), now)
    return _unknown(tools, Reason.NO_ANSWER, failure(result), now)


def recover(case: Remediation, tools: Tools, now: float) -> Move:
    """INTENT that nobody runs: we crashed between the commit and the outcome."""
    return _unknown(tools, Reason.CRASH, {"attempt_id": case.attempt_id}, now)


def overdue(case: Remediation, tools: Tools, now: float) -> Move:
    """INTENT whose worker does not answer."""
    del case
    return _unknown(tools, Reason.NO_ANSWER, {"error": "no answer before the deadline"}, now)


def ask(case: Remediation, tools: Tools, now: float) -> Run:
    """UNKNOWN: the action's probe is due."""
    del case, tools, now
    return Run()


def probe(case: Remediation, tools: Tools) -> Probe:
    """Ask the world whether the attempt's effect is in it. Runs in a worker."""
    return tools.actions(case.action or "").probe(plan_of(case), case.attempt_id or "")


def probed(case: Remediation, tools: Tools, result: object, now: float) -> Move:
    """UNKNOWN: what the probe says. Class D is never tried again, whatever the probe says."""
    facts: Facts = {"probe": result.value} if isinstance(result, Probe) else failure(result)
    if result is Probe.APPLIED:
        return Move(State.APPLIED, Reason.PROBED, facts, {"evidence": facts}, deadline=_deadline(tools, now))
    if result is Probe.NOT_APPLIED and action_class(case, tools) is not ActionClass.ONCE:
        return _not_applied(case, tools, Reason.PROBED, facts, now)
    return escalate(case, Reason.CANNOT_SAY, **facts)


def back_off(case: Remediation, tools: Tools, now: float) -> Move | Stay:
    """NOT_APPLIED: everything is asked again, or a person is told."""
    if case.attempts > tools.timers.back_offs:
        return escalate(case, Reason.ATTEMPTS_USED, attempts=case.attempts, evidence=case.evidence)
    return Move(State.EVALUATING, Reason.BACKED_OFF, deadline=now + tools.timers.evaluation_deadline)


def action_class(case: Remediation, tools: Tools) -> ActionClass:
    """Return how the remediation's action may be repeated; one that is no longer installed may not be."""
    try:
        return tools.actions(case.action or "").action_class
    except PluginError:
        return ActionClass.ONCE


def evidence(seen: Evidence) -> dict[str, Any]:
    """Return evidence as facts."""
    return {"summary": seen.summary, "facts": dict(seen.facts)}


def failure(result: object) -> dict[str, Any]:
    """Return what an action raised as facts."""
    seen = evidence(result.evidence) if isinstance(result, OutcomeError) else {}
    return {**seen, "error": str(result) or type(result).__name__}


def _not_applied(case: Remediation, tools: Tools, reason: Reason, facts: Facts, now: float) -> Move:
    timers = tools.timers
    wait = timers.backed_off(case.attempts) if case.attempts <= timers.back_offs else 0.0
    deadline = now + wait + timers.evaluation_deadline
    told = {**facts, "attempt": case.attempts, "not_before": now + wait}
    return Move(State.NOT_APPLIED, reason, told, {"evidence": dict(facts)}, now + wait, deadline)


def _unknown(tools: Tools, reason: Reason, facts: Facts, now: float) -> Move:
    return Move(State.UNKNOWN, reason, facts, {"evidence": dict(facts)}, deadline=now + tools.timers.attempt_deadline)


def _deadline(tools: Tools, now: float) -> float:
    return now + tools.timers.evaluation_deadline
