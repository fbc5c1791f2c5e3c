"""AWAITING_APPROVAL: a person is asked, and answers for exactly the plan that was shown, or the answer is no."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, replace

from presagio.toolkit.errors import SourceError
from presagio.webhook import evaluation, guards
from presagio.webhook.errors import AlertmanagerError, ApprovalError
from presagio.webhook.ledger import Ledger
from presagio.webhook.moves import Move, Stay
from presagio.webhook.standing import Standing
from presagio.webhook.states import Outcome, Reason, State
from presagio.webhook.tables import Remediation
from presagio.webhook.tools import Tools, about, plan_of


@dataclass(frozen=True)
class Answer:
    """What a person says of a plan. who: as the API knows them, with the name of their key."""

    approved: bool
    plan_hash: str
    who: str
    note: str = ""


def request(case: Remediation, tools: Tools, now: float) -> Move:
    """Return the move by which a person is asked; the request is in the outbox with it."""
    until = now + tools.timers.approval
    facts = {"plan_hash": case.plan_hash, "until": until}
    body = {**about(case), **facts, "plan": plan_of(case).summary, "begins": now, "reason": Reason.APPROVAL.value}
    again = min(now + tools.timers.sample_interval, until)
    return Move(
        State.AWAITING_APPROVAL, Reason.APPROVAL, facts, {"request": body},
        again, until, message=body,
    )  # fmt: skip


def wait(case: Remediation, tools: Tools, now: float) -> Move | Stay:
    """AWAITING_APPROVAL: no answer in time is a no; a plan whose policy or conditions changed is made anew."""
    if now >= case.deadline:
        return Move(State.CANCELLED, Reason.EXPIRED, {"plan_hash": case.plan_hash}, outcome=Outcome.EXPIRED)
    policy = tools.policy(case.policy)
    deadline = now + tools.timers.evaluation_deadline
    if policy is None or policy.revision != case.policy_revision:
        return Move(State.EVALUATING, Reason.STALE, {"because": "the policy was changed"}, deadline=deadline)
    try:
        holds = evaluation.look(case, [policy], tools, now).policy is not None
    except (SourceError, AlertmanagerError):
        holds = True  # asked again before anything is done
    if not holds:
        return Move(State.EVALUATING, Reason.STALE, {"because": "its conditions hold no more"}, deadline=deadline)
    return Stay(min(now + tools.timers.sample_interval, case.deadline))


def decide(case: Remediation, answer: Answer, tools: Tools, ledger: Ledger, now: float) -> Remediation:
    """Write a person's answer and return the remediation as it is then.

    Raises ApprovalError if it is not the moment or not the plan, ConflictError if somebody else was faster.
    """
    _check(case, answer, now)
    facts = {"plan_hash": case.plan_hash, "note": answer.note}
    if not answer.approved:
        move = Move(State.CANCELLED, Reason.REFUSED, facts, outcome=Outcome.REFUSED)
        return ledger.move(case, move, now, answer.who)
    policy = tools.policy(case.policy)
    if policy is None or policy.revision != case.policy_revision:
        raise ApprovalError(f"the policy {case.policy!r} was changed since; the plan will be made anew, look again")
    # what stands now, not what the orchestrator saw at its last step
    objection = guards.spent(case, policy, replace(tools, standing=Standing(tools.records)), now)
    if objection:
        raise ApprovalError(
            f"it may not act now ({objection.reason.value}: {dict(objection.facts)}); approve it later"
        )
    deadline = now + tools.timers.evaluation_deadline
    move = Move(State.READY, Reason.APPROVED, facts, deadline=deadline, budget=guards.allowance(policy, tools))
    return ledger.move(case, move, now, answer.who)


def _check(case: Remediation, answer: Answer, now: float) -> None:
    if case.state is not State.AWAITING_APPROVAL:
        raise ApprovalError(f"remediation {case.id} does not wait for approval, it is {case.state.value!r}")
    if now >= case.deadline:
        raise ApprovalError(f"the time to approve remediation {case.id} is over, and no answer means no")
    if not hmac.compare_digest(answer.plan_hash.encode(), (case.plan_hash or "").encode()):
        raise ApprovalError(
            f"the answer is for the plan {answer.plan_hash[:16]!r}, remediation {case.id} has another one by now; "
            "read it, and answer for that"
        )
