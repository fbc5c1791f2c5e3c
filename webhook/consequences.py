"""What a transition brings with it, in its own transaction: membership, lease, budget, evidence, and messages."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from presagio.webhook.errors import ConflictError
from presagio.webhook.moves import Budget, Facts, Move
from presagio.webhook.records import PAUSE
from presagio.webhook.statements import HOUR, place_taken
from presagio.webhook.states import TERMINAL, Outcome, State
from presagio.webhook.tables import Json, Lease, Member, Message, Remediation, Spending, Switch, Trial, table

# Without the ORM, as all of a transition; see ledger.py.
_CASES, _LEASES, _MEMBERS, _OUTBOX, _SPENT, _SWITCHES, _TRIALS = (
    table(one) for one in (Remediation, Lease, Member, Message, Spending, Switch, Trial)
)
_LEASED = select(_LEASES.c.remediation_id).where(_LEASES.c.target == bindparam("known_target"))
_RELEASE = delete(_LEASES).where(_LEASES.c.remediation_id == bindparam("known_id"))
_JOIN, _LEASE, _SPEND, _POST = (insert(one) for one in (_MEMBERS, _LEASES, _SPENT, _OUTBOX))
_PAUSE = (
    select(_SWITCHES.c.on, _SWITCHES.c.who).where(_SWITCHES.c.name == bindparam("name")).with_for_update(read=True)
)
_RELEASES = TERMINAL | {State.HOLDDOWN}
_ACTS = (State.READY, State.INTENT)
_WAKES = (State.EVALUATING, State.BLOCKED, State.HOLDDOWN)


def consequences(connection: Connection, case: Remediation, move: Move, now: float) -> None:
    """Write what a state brings with it, in the transaction of the move."""
    _membership(connection, case, move, now)
    _permission(connection, case, move, now)
    if "reward" in move.facts and case.choice is not None:
        trial = _trial(case, move.facts.get("choice", case.choice), move.facts["reward"], now)
        connection.execute(insert(_TRIALS), trial)
    if case.outcome is Outcome.VERIFIED and move.to is State.NEXT_RUNG:
        _disprove(connection, case)
    _tell(connection, case, move, now)


def _membership(connection: Connection, case: Remediation, move: Move, now: float) -> None:
    if move.to is State.EVALUATING and case.state is State.RECEIVED:
        _join(connection, case.id, case, now)
    if move.to is State.ATTACHED and move.concerns is not None:
        _join(connection, move.concerns, case, now)
    if move.concerns is not None:
        _wake(connection, move.concerns, now)


def _permission(connection: Connection, case: Remediation, move: Move, now: float) -> None:
    """Take what acting needs, or raise ConflictError; give the lease back once it is over."""
    if move.to in _ACTS:
        _check_switch(connection)
    if move.to is State.READY:
        _take_lease(connection, case, now)
    if move.budget is not None:
        _spend(connection, case, move.budget, now)
    if move.to in _RELEASES:
        connection.execute(_RELEASE, {"known_id": case.id})


def _trial(case: Remediation, choice: Json, reward: float | None, now: float) -> Json:
    return {
        "remediation_id": case.id, "rung": choice["rung"], "judged_at": now, "policy": case.policy,
        "arm": choice["arm"], "reward": reward, "choice": choice,
    }  # fmt: skip


def _disprove(connection: Connection, case: Remediation) -> None:
    """Take back the reward of what was verified and did not last: the audit row of this move says so."""
    same = update(_TRIALS).where(_TRIALS.c.remediation_id == case.id, _TRIALS.c.rung == case.rung)
    connection.execute(same, {"reward": 0.0})


def _tell(connection: Connection, case: Remediation, move: Move, now: float) -> None:
    """Put what people must know into the outbox; that somebody has decided, too."""
    about = {"reason": move.reason.value, "from": case.state.value}
    if case.state is State.AWAITING_APPROVAL:
        _post(connection, case, State.AWAITING_APPROVAL, {**(case.request or {}), "ends": now}, now)
    if move.to is State.ESCALATED:
        _post(connection, case, move.to, {**about, **move.facts}, now)
    elif move.message is not None:
        _post(connection, case, move.to, {**about, **move.message}, now)


def _post(connection: Connection, case: Remediation, subject: State, body: Facts, now: float) -> None:
    cause = (case.alert or {}).get("annotations") or {}
    told = {**body, "answers": dict(cause)} if cause else dict(body)
    row = {"created_at": now, "remediation_id": case.id, "subject": subject.value, "body": told}
    connection.execute(_POST, row)


def _join(connection: Connection, remediation: int, case: Remediation, now: float) -> None:
    row = {"remediation_id": remediation, "alert_id": case.id, "fingerprint": case.fingerprint}
    connection.execute(_JOIN, {**row, "starts_at": case.starts_at, "joined_at": now})


def _wake(connection: Connection, remediation: int, now: float) -> None:
    """Let a remediation that only waits look again: no transition, so that its revision stays."""
    waits = update(_CASES).where(_CASES.c.id == remediation, _CASES.c.state.in_(_WAKES))
    connection.execute(waits, {"not_before": now})


def _take_lease(connection: Connection, case: Remediation, now: float) -> None:
    holder = connection.scalar(_LEASED, {"known_target": case.owns})
    if holder is None:
        connection.execute(_LEASE, {"target": case.owns, "remediation_id": case.id, "taken_at": now})
    elif holder != case.id:
        raise ConflictError(f"target {case.owns!r} is leased to remediation {holder}")


def _check_switch(connection: Connection) -> None:
    """Raise ConflictError while acting is paused: said in the transaction, so that no attempt slips through."""
    # Locked, so that with PostgreSQL, too, a pause comes before an attempt or after it, never in between.
    pause = connection.execute(_PAUSE, {"name": PAUSE}).one_or_none()
    if pause is not None and pause.on:
        raise ConflictError(f"acting was paused by {pause.who!r}")


def _spend(connection: Connection, case: Remediation, budget: Budget, now: float) -> None:
    """Take a place of the budget. The head of the chain is held, so that nobody else counts at the same time."""
    for policy, most in ((budget.policy, budget.max_per_hour), (None, budget.max_per_hour_in_all)):
        if not most or place_taken(connection, now - HOUR, policy, most) is not None:
            raise ConflictError(f"the budget of {policy or 'all policies'}, {most} an hour, was spent")
    connection.execute(_SPEND, {"remediation_id": case.id, "policy": budget.policy, "spent_at": now})
