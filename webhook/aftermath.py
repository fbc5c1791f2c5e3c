"""From a verdict to the end: roll back, climb the ladder, hold, close, or tell a person."""

from __future__ import annotations

from presagio.actions.base import ActionClass, Evidence
from presagio.toolkit.errors import SourceError
from presagio.webhook import evaluation
from presagio.webhook.errors import AlertmanagerError
from presagio.webhook.execution import action_class, evidence, failure
from presagio.webhook.moves import Move, Run, Stay
from presagio.webhook.states import Outcome, Reason, State
from presagio.webhook.tables import Remediation
from presagio.webhook.tools import Tools, escalate, plan_of


def ineffective(case: Remediation, tools: Tools, now: float) -> Move:
    """INEFFECTIVE: undo what did not help; without undo, try the next rung."""
    if plan_of(case).undo is not None:
        return Move(State.ROLLING_BACK, Reason.UNDO, deadline=now + tools.timers.attempt_deadline)
    return _climb(case, tools, Reason.LADDER, now)


def inconclusive(case: Remediation, tools: Tools, now: float) -> Move:
    """INCONCLUSIVE: nobody can tell whether it helped; a person looks."""
    del tools, now
    return escalate(case, Reason.NO_DATA)


def superseded(case: Remediation, tools: Tools, now: float) -> Move:
    """SUPERSEDED: what is there now is somebody else's: it is left alone, and proves nothing of our action."""
    del case, tools, now
    return Move(State.CLOSED, Reason.MEDDLED, outcome=Outcome.SUPERSEDED)


def resume(case: Remediation, tools: Tools, now: float) -> Move | Run:
    """ROLLING_BACK that nobody runs: we crashed. To restore is repeatable, but for class D."""
    del now
    if action_class(case, tools) is ActionClass.ONCE:
        return escalate(case, Reason.CRASH, note="whether it was undone is unknown")
    return Run()


def undo(case: Remediation, tools: Tools) -> Evidence:
    """Restore what was ours to restore. Runs in a worker."""
    return tools.actions(case.action or "").undo(plan_of(case))


def undone(case: Remediation, tools: Tools, result: object, now: float) -> Move:
    """ROLLING_BACK: what came of it."""
    if isinstance(result, Evidence):
        return Move(State.ROLLED_BACK, Reason.UNDONE, evidence(result), deadline=now + tools.timers.hold)
    return escalate(case, Reason.UNDO_FAILED, **failure(result))


def verified(case: Remediation, tools: Tools, now: float) -> Move:
    """VERIFIED: it helped; watch whether that lasts."""
    del case
    until = now + tools.timers.hold
    return Move(
        State.HOLDDOWN, Reason.HOLD, {"until": until}, not_before=until, deadline=until, outcome=Outcome.VERIFIED
    )


def rolled_back(case: Remediation, tools: Tools, now: float) -> Move:
    """ROLLED_BACK: all is as before, the problem likely too: look at once."""
    del case
    until = now + tools.timers.hold
    return Move(State.HOLDDOWN, Reason.HOLD, {"until": until}, deadline=until, outcome=Outcome.ROLLED_BACK)


def hold(case: Remediation, tools: Tools, now: float) -> Move | Stay:
    """HOLDDOWN: the same problem again is the next rung's; a quiet hold is the end."""
    suspect = case.outcome is Outcome.ROLLED_BACK or tools.records.joined_since(case.id, case.entered_at) is not None
    if suspect and _persists(case, tools, now):
        return _climb(case, tools, Reason.RECURRENCE, now)
    if now >= case.deadline:
        return Move(State.CLOSED, Reason.HOLD_OVER, {"outcome": case.outcome})
    return Stay(min(now + tools.timers.sample_interval, case.deadline) if suspect else case.deadline)


def next_rung(case: Remediation, tools: Tools, now: float) -> Move:
    """NEXT_RUNG: everything is asked again, for the next action of the ladder."""
    changes = {"rung": case.rung + 1, "attempts": 0, "samples": []}
    deadline = now + tools.timers.evaluation_deadline
    return Move(State.EVALUATING, Reason.LADDER, {"rung": case.rung + 1}, changes, deadline=deadline)


def _climb(case: Remediation, tools: Tools, reason: Reason, now: float) -> Move:
    policy = tools.policy(case.policy)
    rungs = len(policy.rungs) if policy else 0
    if case.rung + 1 >= rungs:
        return escalate(case, Reason.LADDER_USED, rungs=rungs, because=reason.value)
    # what helped and did not last has not helped: the ledger takes its reward back
    undone = {"reward_taken_back": True} if case.outcome is Outcome.VERIFIED else {}
    return Move(
        State.NEXT_RUNG, reason, {"rung": case.rung, **undone}, deadline=now + tools.timers.evaluation_deadline
    )


def _persists(case: Remediation, tools: Tools, now: float) -> bool:
    policy = tools.policy(case.policy)
    try:
        return policy is not None and evaluation.look(case, [policy], tools, now).policy is not None
    except (SourceError, AlertmanagerError):
        return False  # asked again before the hold is over
