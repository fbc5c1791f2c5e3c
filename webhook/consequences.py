"""What a transition brings with it, in its own transaction: membership, lease, budget, evidence, and messages."""

from __future__ import annotations

from sqlalchemy import delete, insert, update
from sqlalchemy.orm import Session

from presagio.webhook.errors import ConflictError
from presagio.webhook.moves import Budget, Facts, Move
from presagio.webhook.records import HOUR, PAUSE, place_taken
from presagio.webhook.states import TERMINAL, Outcome, State
from presagio.webhook.tables import Json, Lease, Member, Message, Remediation, Spending, Switch, Trial

_RELEASES = TERMINAL | {State.HOLDDOWN}
_ACTS = (State.READY, State.INTENT)
_WAKES = (State.EVALUATING, State.BLOCKED, State.HOLDDOWN)


def consequences(session: Session, case: Remediation, move: Move, now: float) -> None:
    """Write what a state brings with it, in the transaction of the move."""
    _membership(session, case, move, now)
    _permission(session, case, move, now)
    if "reward" in move.facts and case.choice is not None:
        session.add(_trial(case, move.facts.get("choice", case.choice), move.facts["reward"], now))
    if case.outcome is Outcome.VERIFIED and move.to is State.NEXT_RUNG:
        _disprove(session, case)
    _tell(session, case, move, now)


def _membership(session: Session, case: Remediation, move: Move, now: float) -> None:
    if move.to is State.EVALUATING and case.state is State.RECEIVED:
        _join(session, case.id, case, now)
    if move.to is State.ATTACHED and move.concerns is not None:
        _join(session, move.concerns, case, now)
    if move.concerns is not None:
        _wake(session, move.concerns, now)


def _permission(session: Session, case: Remediation, move: Move, now: float) -> None:
    """Take what acting needs, or raise ConflictError; give the lease back once it is over."""
    if move.to in _ACTS:
        _check_switch(session)
    if move.to is State.READY:
        _take_lease(session, case, now)
    if move.budget is not None:
        _spend(session, case, move.budget, now)
    if move.to in _RELEASES:
        session.execute(delete(Lease).where(Lease.remediation_id == case.id))


def _trial(case: Remediation, choice: Json, reward: float | None, now: float) -> Trial:
    return Trial(
        remediation_id=case.id, rung=choice["rung"], judged_at=now, policy=case.policy, arm=choice["arm"],
        reward=reward, choice=choice,
    )  # fmt: skip


def _disprove(session: Session, case: Remediation) -> None:
    """Take back the reward of what was verified and did not last: the audit row of this move says so."""
    same = update(Trial).where(Trial.remediation_id == case.id, Trial.rung == case.rung)
    session.execute(same.values(reward=0.0))


def _tell(session: Session, case: Remediation, move: Move, now: float) -> None:
    """Put what people must know into the outbox; that somebody has decided, too."""
    about = {"reason": move.reason.value, "from": case.state.value}
    if case.state is State.AWAITING_APPROVAL:
        session.add(_message(case, State.AWAITING_APPROVAL, {**(case.request or {}), "ends": now}, now))
    if move.to is State.ESCALATED:
        session.add(_message(case, move.to, {**about, **move.facts}, now))
    elif move.message is not None:
        session.add(_message(case, move.to, {**about, **move.message}, now))


def _message(case: Remediation, subject: State, body: Facts, now: float) -> Message:
    cause = (case.alert or {}).get("annotations") or {}
    told = {**body, "answers": dict(cause)} if cause else dict(body)
    return Message(created_at=now, remediation_id=case.id, subject=subject.value, body=told)


def _join(session: Session, remediation: int, case: Remediation, now: float) -> None:
    row = {"remediation_id": remediation, "alert_id": case.id, "fingerprint": case.fingerprint}
    session.execute(insert(Member).values(**row, starts_at=case.starts_at, joined_at=now))


def _wake(session: Session, remediation: int, now: float) -> None:
    """Let a remediation that only waits look again: no transition, so that its revision stays."""
    waits = update(Remediation).where(Remediation.id == remediation, Remediation.state.in_(_WAKES))
    session.execute(waits.values(not_before=now))


def _take_lease(session: Session, case: Remediation, now: float) -> None:
    held = session.get(Lease, case.owns)
    if held is None:
        session.add(Lease(target=case.owns, remediation_id=case.id, taken_at=now))
    elif held.remediation_id != case.id:
        raise ConflictError(f"target {case.owns!r} is leased to remediation {held.remediation_id}")


def _check_switch(session: Session) -> None:
    """Raise ConflictError while acting is paused: said in the transaction, so that no attempt slips through."""
    # Locked, so that with PostgreSQL, too, a pause comes before an attempt or after it, never in between.
    pause = session.get(Switch, PAUSE, with_for_update={"read": True})
    if pause is not None and pause.on:
        raise ConflictError(f"acting was paused by {pause.who!r}")


def _spend(session: Session, case: Remediation, budget: Budget, now: float) -> None:
    """Take a place of the budget. The head of the chain is held, so that nobody else counts at the same time."""
    for policy, most in ((budget.policy, budget.max_per_hour), (None, budget.max_per_hour_in_all)):
        if not most or session.scalar(place_taken(now - HOUR, policy, most)) is not None:
            raise ConflictError(f"the budget of {policy or 'all policies'}, {most} an hour, was spent")
    session.add(Spending(remediation_id=case.id, policy=budget.policy, spent_at=now))
