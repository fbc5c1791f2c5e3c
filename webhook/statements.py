"""What the ledger is asked most: statements that are made once, since to make one costs more than to execute it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Double, Integer, Select, bindparam, func, literal, or_, select
from sqlalchemy.orm import Session, aliased, outerjoin

from presagio.webhook.policy import Mode
from presagio.webhook.states import Outcome, State
from presagio.webhook.tables import Member, Remediation, Spending

HOUR = 3600.0
"""What a budget is for."""


@dataclass(frozen=True)
class Without:
    """Live remediations that nobody asks for now: those being worked on, and states for which no worker is free."""

    ids: Collection[int] = ()
    states: Collection[State] = ()

    def clauses(self) -> tuple[ColumnElement[bool], ...]:
        """Return the conditions for all the others."""
        return (
            Remediation.finished_at.is_(None),
            Remediation.id.not_in(self.ids),
            Remediation.state.not_in(self.states),
        )


NOTHING = Without()


def select_due(now: float, without: Without, limit: int = 100) -> Select[Remediation]:
    """Select what is live and whose timer or deadline has come: work in flight, then news, the oldest first."""
    come = or_(Remediation.not_before <= now, Remediation.deadline <= now)
    live = select(Remediation).where(come, *without.clauses())
    return live.order_by(Remediation.owns.is_(None), Remediation.not_before, Remediation.id).limit(limit)


def first_due(session: Session, *clauses: ColumnElement[bool]) -> float | None:
    """Return when the next timer or deadline comes among some remediations, in Unix seconds."""
    first = select(func.min(Remediation.not_before), func.min(Remediation.deadline)).where(*clauses)
    return min((moment for moment in session.execute(first).one() if moment is not None), default=None)


def spent_since(moment: float, policy: str | None) -> Select[float]:
    """Select when remediations, of one policy or of all, were let to act later than `moment`."""
    spent = select(Spending.spent_at).where(Spending.spent_at > moment)
    return spent if policy is None else spent.where(Spending.policy == policy)


_SINCE, _SPENT = bindparam("since", type_=Double), bindparam("place", type_=Integer)
_PLACE = select(Spending.spent_at).where(Spending.spent_at > _SINCE).order_by(Spending.spent_at.desc())
_PLACES = {
    False: _PLACE.offset(_SPENT).limit(1),
    True: _PLACE.where(Spending.policy == bindparam("policy")).offset(_SPENT).limit(1),
}
_COUNT = select(func.count()).where(Spending.spent_at > _SINCE)
_COUNTS = {False: _COUNT, True: _COUNT.where(Spending.policy == bindparam("policy"))}
SPENT = select(Spending.policy, func.count()).where(Spending.spent_at > _SINCE).group_by(Spending.policy)
"""A row for each policy that let one act."""

_LAST_ACTED = select(func.max(Remediation.acted_at)).where(
    Remediation.service_id == bindparam("service_id"), Remediation.id != bindparam("but")
)
LAST_ACTS = {True: _LAST_ACTED, False: _LAST_ACTED.where(Remediation.mode != Mode.DRY_RUN)}
_SAME = (Member.fingerprint == bindparam("fingerprint"), Member.starts_at == bindparam("starts_at"))
_WITH_A_PERSON = (
    select(Member.remediation_id)
    .join(Remediation, Remediation.id == Member.remediation_id)
    .where(*_SAME, or_(Remediation.state == State.ESCALATED, Remediation.outcome == Outcome.REFUSED))
    .limit(1)
)
_OWNER = aliased(Remediation)
_MEMBER = select(Member.id).where(*_SAME, Member.remediation_id == _OWNER.id)
_ALWAYS = select(literal(1).label("one")).subquery()
OWNERSHIP = select(
    _OWNER.id, _OWNER.state, _OWNER.policy, _OWNER.deadline, _MEMBER.exists(), _WITH_A_PERSON.scalar_subquery()
).select_from(outerjoin(_ALWAYS, _OWNER, _OWNER.owns == bindparam("target")))
"""One row, whether or not somebody owns the target."""

ALERTING = select(func.count(func.distinct(Remediation.service_id))).where(Remediation.finished_at.is_(None))


def count_spent(connection: Connection, since: float, policy: str | None) -> int:
    """Return how many remediations, of one policy or of all, were let to act later than `since`."""
    known = {} if policy is None else {"policy": policy}
    return connection.scalar(_COUNTS[policy is not None], {"since": since, **known}) or 0


def place_taken(connection: Connection, since: float, policy: str | None, most: int) -> float | None:
    """Return when the `most`-th newest remediation was let to act: with it, a budget of `most` is used up."""
    known = {} if policy is None else {"policy": policy}
    return connection.scalar(_PLACES[policy is not None], {"since": since, "place": most - 1, **known})
