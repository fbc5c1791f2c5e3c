"""What the ledger says: every question that is asked of it, none of which changes anything."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Engine, Select, func, select
from sqlalchemy.orm import Session

from presagio.webhook.database import single
from presagio.webhook.recommender import Judged, Situation
from presagio.webhook.statements import (
    ALERTING,
    LAST_ACTS,
    NOTHING,
    OWNERSHIP,
    SPENT,
    Without,
    count_spent,
    first_due,
    place_taken,
    select_due,
    spent_since,
)
from presagio.webhook.states import LIVE, Outcome, Reason, State
from presagio.webhook.tables import Audit, Head, Lease, Member, Message, Remediation, Spending, Switch, Trial

RowT = TypeVar("RowT")


PAUSE = "pause"
"""The switch that keeps everything from acting."""

FREEZE = "freeze"
"""The switch that keeps the recommender from learning and exploring."""

_EVIDENCE = 20_000


@dataclass(frozen=True)
class Owner:
    """The live remediation of a target; its deadline in Unix seconds."""

    id: int
    state: State
    policy: str | None
    deadline: float


@dataclass(frozen=True)
class Ownership:
    """Who has dealt with an alert before: the live remediation of its target, or one that a person has now."""

    owner: Owner | None
    is_member: bool
    escalated: int | None


class Records:
    """Reads. Any number of threads may share one; what is returned is a copy that nobody changes."""

    def __init__(self, engine: Engine) -> None:
        self.engine = single(engine)  # each question is one statement

    def due(self, now: float, without: Without = NOTHING, limit: int = 100) -> list[Remediation]:
        """Return live remediations whose timer or deadline has come: work in flight, then news, the oldest first."""
        return self._all(select_due(now, without, limit))

    def observable(self, now: float, limit: int = 100) -> list[Remediation]:
        """Return dry runs that are over and of which a sample is due: what became of the problem?"""
        ended = Remediation.outcome == Outcome.DRY_RUN, Remediation.deadline > Remediation.finished_at
        due = select(Remediation).where(*ended, Remediation.not_before <= now)
        return self._all(due.order_by(Remediation.not_before).limit(limit))

    def next_due(self, without: Without = NOTHING) -> float | None:
        """Return when the next timer or deadline comes, in Unix seconds; None if nothing is live."""
        with Session(self.engine) as session:
            return first_due(session, *without.clauses())

    def give_back(self, cases: Sequence[Remediation]) -> None:
        """Do nothing: nobody else works on this ledger, see loop.py."""

    def holds(self) -> bool:
        """Return that nobody else works on this ledger."""
        return True

    def get(self, remediation: int) -> Remediation | None:
        """Return one remediation."""
        with Session(self.engine) as session:
            return session.get(Remediation, remediation)

    def recent(self, limit: int = 50, states: Sequence[State] = (), before: int | None = None) -> list[Remediation]:
        """Return the newest first; `before` is the id that the last page ended with."""
        newest = select(Remediation).order_by(Remediation.id.desc()).limit(limit)
        if states:
            newest = newest.where(Remediation.state.in_(states))
        return self._all(newest.where(Remediation.id < before) if before is not None else newest)

    def alerts(self, limit: int) -> list[Remediation]:
        """Return the newest `limit` alerts, the oldest first, without those that were repeated or attached."""
        ours = Remediation.state != State.ATTACHED, Remediation.reason.not_in((Reason.DUPLICATE, Reason.OURS))
        return self._all(select(Remediation).where(*ours).order_by(Remediation.id.desc()).limit(limit))[::-1]

    def several(self, ids: Collection[int]) -> dict[int, Remediation]:
        """Return remediations by their ids."""
        return {case.id: case for case in self._all(select(Remediation).where(Remediation.id.in_(ids)))}

    def ownership(self, alert: Remediation, target: str) -> Ownership:
        """Return who has dealt with this alert (the same fingerprint and start), or with its target."""
        about = {"fingerprint": alert.fingerprint, "starts_at": alert.starts_at, "target": target}
        with self.engine.connect() as connection:
            *owner, is_member, escalated = connection.execute(OWNERSHIP, about).one()
        return Ownership(None if owner[0] is None else Owner(*owner), is_member, escalated)

    def owner(self, target: str) -> int | None:
        """Return which live remediation owns a target."""
        with Session(self.engine) as session:
            return session.scalar(select(Remediation.id).where(Remediation.owns == target))

    def joined_since(self, remediation: int, moment: float) -> int | None:
        """Return an alert that was attached to the remediation later than `moment`, if there is one."""
        joined = select(Member.alert_id).where(Member.remediation_id == remediation, Member.joined_at > moment)
        with Session(self.engine) as session:
            return session.scalar(joined.order_by(Member.id).limit(1))

    def last_acted(self, case: Remediation, dry_run: bool) -> float | None:
        """Return when another remediation last acted on this target; dry runs count for another dry run alone."""
        with self.engine.connect() as connection:
            return connection.scalar(LAST_ACTS[dry_run], {"service_id": case.service_id, "but": case.id})

    def members(self, remediation: int) -> list[Member]:
        """Return the alerts that a remediation answers."""
        return self._all(select(Member).where(Member.remediation_id == remediation).order_by(Member.id))

    def switches(self) -> dict[str, Switch]:
        """Return the switches that are on, by name."""
        return {switch.name: switch for switch in self._all(select(Switch).where(Switch.on.is_(True)))}

    def paused(self) -> Switch | None:
        """Return who paused all acting, if somebody did."""
        return self.switches().get(PAUSE)

    def frozen(self) -> Switch | None:
        """Return who froze the recommender, if somebody did."""
        return self.switches().get(FREEZE)

    def trials(self, until: float, arms: Collection[str] | None = None, limit: int = _EVIDENCE) -> list[Trial]:
        """Return what came of rungs, judged or not, through `until`: the newest `limit` of them, the oldest first."""
        newest = select(Trial).where(Trial.judged_at <= until).order_by(Trial.id.desc()).limit(limit)
        found = self._all(newest if arms is None else newest.where(Trial.arm.in_(arms)))
        return found[::-1]

    def judged(self, arms: Collection[str], until: float) -> list[Judged]:
        """Return the evidence for these arms through `until`; what could not be told is none."""
        return [
            Judged(Situation(**one.choice["situation"]), one.arm, one.reward, one.judged_at)
            for one in self.trials(until, arms)
            if one.reward is not None
        ]

    def count_spent(self, since: float, policy: str | None) -> int:
        """Return how many remediations, of one policy or of all, were let to act later than `since`."""
        with self.engine.connect() as connection:
            return count_spent(connection, since, policy)

    def spent_up(self, since: float, policy: str | None, most: int) -> float | None:
        """Return when the `most`-th newest of them was let to act later than `since`; None if they are fewer."""
        with self.engine.connect() as connection:
            return place_taken(connection, since, policy, most)

    def spent(self, since: float, policy: str | None = None) -> list[float]:
        """Return when remediations, of one policy or of all, were let to act later than `since`, the oldest first."""
        return self._all(spent_since(since, policy).order_by(Spending.spent_at))

    def spent_each(self, since: float) -> dict[str, int]:
        """Return how many remediations each policy let act later than `since`; without those that let none."""
        with self.engine.connect() as connection:
            return dict(connection.execute(SPENT, {"since": since}).all())

    def alerting(self) -> int:
        """Return how many services have a live remediation."""
        with self.engine.connect() as connection:
            return connection.scalar(ALERTING) or 0

    def leases(self) -> list[Lease]:
        """Return who may act on which target."""
        return self._all(select(Lease).order_by(Lease.target))

    def unsent(self, limit: int = 100) -> list[Message]:
        """Return what people have not been told yet."""
        return self._all(select(Message).where(Message.sent_at.is_(None)).order_by(Message.id).limit(limit))

    def counts(self) -> dict[State, int]:
        """Return how many remediations are in each live state."""
        grouped = select(Remediation.state, func.count()).where(Remediation.finished_at.is_(None))
        with Session(self.engine) as session:
            found = dict(session.execute(grouped.group_by(Remediation.state)).all())
        return {state: found.get(state, 0) for state in LIVE}

    def story(self, remediation: int) -> list[Audit]:
        """Return the audit rows of one remediation, in order."""
        return self._all(select(Audit).where(Audit.remediation_id == remediation).order_by(Audit.seq))

    def audit(self, limit: int = 100) -> list[Audit]:
        """Return the newest audit rows, the newest first."""
        return self._all(select(Audit).order_by(Audit.seq.desc()).limit(limit))

    def head(self) -> Head:
        """Return the end of the chain."""
        with Session(self.engine) as session:
            return session.get_one(Head, 1)

    def last_row(self) -> Audit | None:
        """Return the last row of the chain."""
        return next(iter(self.audit(limit=1)), None)

    def _all(self, statement: Select[RowT]) -> list[RowT]:
        with Session(self.engine) as session:
            return list(session.scalars(statement))
