"""What a transition brings with it, in its own transaction: membership, lease, budget, evidence, and messages."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, insert, or_, select, update

from presagio.webhook.errors import ConflictError
from presagio.webhook.moves import Budget, Facts, Move
from presagio.webhook.page import Page
from presagio.webhook.records import PAUSE
from presagio.webhook.statements import HOUR
from presagio.webhook.states import TERMINAL, Outcome, State
from presagio.webhook.tables import Json, Lease, Member, Message, Remediation, Spending, Switch, Trial, table

_WAKES = (State.EVALUATING, State.BLOCKED, State.HOLDDOWN)
# Without the ORM, as all of a transition; see ledger.py.
_CASES, _LEASES, _MEMBERS, _OUTBOX, _SPENT, _SWITCHES, _TRIALS = (
    table(one) for one in (Remediation, Lease, Member, Message, Spending, Switch, Trial)
)
_LEASED = select(_LEASES.c.remediation_id).where(_LEASES.c.target == bindparam("known_target"))
_RELEASE = delete(_LEASES).where(_LEASES.c.remediation_id == bindparam("known_id"))
_JOIN, _LEASE, _SPEND, _POST, _JUDGE = (insert(one) for one in (_MEMBERS, _LEASES, _SPENT, _OUTBOX, _TRIALS))
_DISPROVE = update(_TRIALS).where(
    _TRIALS.c.remediation_id == bindparam("known_id"), _TRIALS.c.rung == bindparam("known_rung")
)
# not IN: a list of its own length is nothing for many rows at once
_WAKE = update(_CASES).where(
    _CASES.c.id == bindparam("known_id"), or_(*(_CASES.c.state == state for state in _WAKES))
)
_PAUSE = (
    select(_SWITCHES.c.on, _SWITCHES.c.who).where(_SWITCHES.c.name == bindparam("name")).with_for_update(read=True)
)
_RELEASES = TERMINAL | {State.HOLDDOWN}
_ACTS = (State.READY, State.INTENT)


def consequences(page: Page, case: Remediation, move: Move, now: float) -> None:
    """Write what a state brings with it, in the transaction of the move."""
    _membership(page, case, move, now)
    _permission(page, case, move, now)
    if "reward" in move.facts and case.choice is not None:
        trial = _trial(case, move.facts.get("choice", case.choice), move.facts["reward"], now)
        page.put(_JUDGE, trial)
    if case.outcome is Outcome.VERIFIED and move.to is State.NEXT_RUNG:
        _disprove(page, case)
    _tell(page, case, move, now)


def _membership(page: Page, case: Remediation, move: Move, now: float) -> None:
    if move.to is State.EVALUATING and case.state is State.RECEIVED:
        _join(page, case.id, case, now)
    if move.to is State.ATTACHED and move.concerns is not None:
        _join(page, move.concerns, case, now)
    if move.concerns is not None:
        _wake(page, move.concerns, now)


def _permission(page: Page, case: Remediation, move: Move, now: float) -> None:
    """Take what acting needs, or raise ConflictError; give the lease back once it is over."""
    if move.to in _ACTS:
        _check_switch(page)
    if move.to is State.READY:
        _take_lease(page, case, now)
    if move.budget is not None:
        _spend(page, case, move.budget, now)
    if move.to in _RELEASES:
        page.put(_RELEASE, {"known_id": case.id})


def _trial(case: Remediation, choice: Json, reward: float | None, now: float) -> Json:
    return {
        "remediation_id": case.id, "rung": choice["rung"], "judged_at": now, "policy": case.policy,
        "arm": choice["arm"], "reward": reward, "choice": choice,
    }  # fmt: skip


def _disprove(page: Page, case: Remediation) -> None:
    """Take back the reward of what was verified and did not last: the audit row of this move says so."""
    page.put(_DISPROVE, {"known_id": case.id, "known_rung": case.rung, "reward": 0.0})


def _tell(page: Page, case: Remediation, move: Move, now: float) -> None:
    """Put what people must know into the outbox; that somebody has decided, too."""
    about = {"reason": move.reason.value, "from": case.state.value}
    if case.state is State.AWAITING_APPROVAL:
        _post(page, case, State.AWAITING_APPROVAL, {**(case.request or {}), "ends": now}, now)
    if move.to is State.ESCALATED:
        _post(page, case, move.to, {**about, **move.facts}, now)
    elif move.message is not None:
        _post(page, case, move.to, {**about, **move.message}, now)


def _post(page: Page, case: Remediation, subject: State, body: Facts, now: float) -> None:
    cause = (case.alert or {}).get("annotations") or {}
    told = {**body, "answers": dict(cause)} if cause else dict(body)
    row = {"created_at": now, "remediation_id": case.id, "subject": subject.value, "body": told}
    page.put(_POST, row)


def _join(page: Page, remediation: int, case: Remediation, now: float) -> None:
    row = {"remediation_id": remediation, "alert_id": case.id, "fingerprint": case.fingerprint}
    page.put(_JOIN, {**row, "starts_at": case.starts_at, "joined_at": now})


def _wake(page: Page, remediation: int, now: float) -> None:
    """Let a remediation that only waits look again: no transition, so that its revision stays."""
    page.put(_WAKE, {"known_id": remediation, "not_before": now})


def _take_lease(page: Page, case: Remediation, now: float) -> None:
    holder = page.connection.scalar(_LEASED, {"known_target": case.owns})
    if holder is None:
        page.put(_LEASE, {"target": case.owns, "remediation_id": case.id, "taken_at": now})
    elif holder != case.id:
        raise ConflictError(f"target {case.owns!r} is leased to remediation {holder}")


def _check_switch(page: Page) -> None:
    """Raise ConflictError while acting is paused: said in the transaction, so that no attempt slips through."""
    if page.may_act:
        return
    # Locked, so that with PostgreSQL, too, a pause comes before an attempt or after it, never in between.
    pause = page.connection.execute(_PAUSE, {"name": PAUSE}).one_or_none()
    if pause is not None and pause.on:
        raise ConflictError(f"acting was paused by {pause.who!r}")
    page.may_act = True


def _spend(page: Page, case: Remediation, budget: Budget, now: float) -> None:
    """Take a place of the budget. The head of the chain is held, so that nobody else counts at the same time."""
    for policy, most in ((budget.policy, budget.max_per_hour), (None, budget.max_per_hour_in_all)):
        if page.spent(now - HOUR, policy) >= most:
            raise ConflictError(f"the budget of {policy or 'all policies'}, {most} an hour, was spent")
    page.spend(budget.policy)
    page.put(_SPEND, {"remediation_id": case.id, "policy": budget.policy, "spent_at": now})
