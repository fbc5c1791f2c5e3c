"""The tables of the ledger. Times are Unix seconds; JSON columns hold what `chain.canonical` can write."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from sqlalchemy import JSON, Double, Enum, ForeignKey, Index, String, Table, Text, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from presagio.webhook.states import Outcome, Reason, State

VERSION = "0006"
"""Of these tables: the newest file of migrations/versions. A database of a later version is refused."""

EARLIEST = "presagio_schema"
"""The table that held the version until 0003: one row with its number."""

Json = dict[str, Any]

_WAITING = text("opened_at IS NULL")
_LIVE = text("finished_at IS NULL")
_OBSERVED = text("outcome = 'dry_run' AND deadline > finished_at")

# Written out, since an index of a part is used only where a query says the very same.
ACTS = text("target IN ('intent', 'verified', 'rolled_back', 'superseded', 'escalated')")
"""Of audit rows: something is done to a service, or it is told what came of it; see acts.py."""


def _enum(kind: type[State] | type[Reason] | type[Outcome]) -> Enum:
    # Text in the database, so that a new state or reason needs no migration.
    return Enum(kind, native_enum=False, length=32, values_callable=lambda values: [one.value for one in values])


class Base(DeclarativeBase):
    """The root of our tables."""

    type_annotation_map: ClassVar[dict[Any, Any]] = {
        float: Double(),
        Json: JSON(none_as_null=True),
        list[Json]: JSON(none_as_null=True),
        State: _enum(State),
        Reason: _enum(Reason),
        Outcome: _enum(Outcome),
    }


def table(kind: type[Base]) -> Table:
    """Return the table of a class, for statements that need no objects."""
    return cast(Table, kind.__table__)


class Schema(Base):
    """One row: the version of the tables, written by Alembic."""

    __tablename__ = "presagio_version"

    version_num: Mapped[str] = mapped_column(String(32), primary_key=True)


class Notification(Base):
    """The inbox: a notification as it came, stored before it is answered."""

    __tablename__ = "inbox"

    id: Mapped[int] = mapped_column(primary_key=True)
    received_at: Mapped[float]
    sender: Mapped[str] = mapped_column(String(200))
    digest: Mapped[str] = mapped_column(String(64))
    payload: Mapped[str] = mapped_column(Text)
    alerts: Mapped[int]
    opened_at: Mapped[float | None]

    __table_args__ = (
        # The same body is not stored twice while it waits: a repeated delivery finds it there.
        Index("inbox_waiting", "digest", unique=True, sqlite_where=_WAITING, postgresql_where=_WAITING),
    )  # fmt: skip


class Remediation(Base):
    """One alert from its arrival to its end. Read freely; written by `Ledger.move` and `Ledger.note` alone."""

    __tablename__ = "remediations"

    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[State]
    reason: Mapped[Reason]
    revision: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[float]
    entered_at: Mapped[float]
    not_before: Mapped[float]
    deadline: Mapped[float]
    finished_at: Mapped[float | None]
    outcome: Mapped[Outcome | None]

    # the alert
    notification_id: Mapped[int | None] = mapped_column(ForeignKey("inbox.id"))
    fingerprint: Mapped[str] = mapped_column(String(200), index=True)
    starts_at: Mapped[float]
    alert: Mapped[Json]

    # the decision
    policy: Mapped[str | None] = mapped_column(String(200))
    policy_revision: Mapped[str | None] = mapped_column(String(64))
    mode: Mapped[str | None] = mapped_column(String(20))
    service_id: Mapped[str | None] = mapped_column(String(400), index=True)
    labels: Mapped[Json | None]
    owns: Mapped[str | None] = mapped_column(String(400), unique=True)
    rung: Mapped[int] = mapped_column(default=0)
    choice: Mapped[Json | None]
    action: Mapped[str | None] = mapped_column(String(200))
    plan: Mapped[Json | None]
    plan_hash: Mapped[str | None] = mapped_column(String(64))
    verification: Mapped[Json | None]
    baseline: Mapped[Json | None]
    request: Mapped[Json | None]

    # the attempt
    attempt_id: Mapped[str | None] = mapped_column(String(64), unique=True)
    attempts: Mapped[int] = mapped_column(default=0)
    acted_at: Mapped[float | None]
    evidence: Mapped[Json | None]
    samples: Mapped[list[Json] | None]

    # the replica that is at work on it, where there are several; see replica.py
    worker: Mapped[str | None] = mapped_column(String(64))

    __table_args__ = (
        Index("remediations_live", "not_before", sqlite_where=_LIVE, postgresql_where=_LIVE),
        Index("remediations_observed", "not_before", sqlite_where=_OBSERVED, postgresql_where=_OBSERVED),
    )  # fmt: skip


class Member(Base):
    """An alert that a remediation answers: the one that began it, and those that were attached later."""

    __tablename__ = "membership"
    __table_args__ = (UniqueConstraint("remediation_id", "fingerprint", "starts_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    remediation_id: Mapped[int] = mapped_column(ForeignKey("remediations.id"))
    alert_id: Mapped[int] = mapped_column(ForeignKey("remediations.id"))
    fingerprint: Mapped[str] = mapped_column(String(200), index=True)
    starts_at: Mapped[float]
    joined_at: Mapped[float]


class Trial(Base):
    """What came of one rung: the evidence of the recommender. `reward` is null if nobody can tell."""

    __tablename__ = "trials"

    id: Mapped[int] = mapped_column(primary_key=True)
    remediation_id: Mapped[int] = mapped_column(ForeignKey("remediations.id"), index=True)
    rung: Mapped[int]
    judged_at: Mapped[float]
    policy: Mapped[str] = mapped_column(String(200))
    arm: Mapped[str] = mapped_column(String(250), index=True)
    reward: Mapped[float | None]
    choice: Mapped[Json]


class Lease(Base):
    """Who may act on a target: one at a time."""

    __tablename__ = "leases"

    target: Mapped[str] = mapped_column(String(400), primary_key=True)
    remediation_id: Mapped[int] = mapped_column(ForeignKey("remediations.id"), unique=True)
    taken_at: Mapped[float]


class Spending(Base):
    """The budget: one row for each remediation that was let to act, taken together with its lease."""

    __tablename__ = "spending"

    id: Mapped[int] = mapped_column(primary_key=True)
    remediation_id: Mapped[int] = mapped_column(ForeignKey("remediations.id"))
    policy: Mapped[str] = mapped_column(String(200))
    spent_at: Mapped[float] = mapped_column(index=True)


class Switch(Base):
    """What a person has switched on: the pause of all acting. A switch without a row is off."""

    __tablename__ = "switches"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    on: Mapped[bool]
    since: Mapped[float]
    who: Mapped[str] = mapped_column(String(200))
    note: Mapped[str] = mapped_column(String(1000))


class Audit(Base):
    """The story: append-only, each row bound to the one before it by its HMAC (see chain.py)."""

    __tablename__ = "audit"

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    time: Mapped[float]
    remediation_id: Mapped[int | None] = mapped_column(index=True)
    source: Mapped[str] = mapped_column(String(32))
    target: Mapped[str] = mapped_column(String(32))
    reason: Mapped[str] = mapped_column(String(32))
    who: Mapped[str] = mapped_column(String(200))
    facts: Mapped[str] = mapped_column(Text)
    previous: Mapped[str] = mapped_column(String(64))
    hmac: Mapped[str] = mapped_column(String(64))

    __table_args__ = (Index("audit_acts", "time", sqlite_where=ACTS, postgresql_where=ACTS),)


class Head(Base):
    """One row: the end of the chain. A transaction that appends holds it, so that rows follow one another."""

    __tablename__ = "ledger_head"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seq: Mapped[int]
    hmac: Mapped[str] = mapped_column(String(64))


class Message(Base):
    """The outbox: what people must be told, stored with the transition that says so."""

    __tablename__ = "outbox"

    id: Mapped[int] = mapped_column(primary_key=True)
    created_at: Mapped[float]
    remediation_id: Mapped[int] = mapped_column(ForeignKey("remediations.id"))
    subject: Mapped[str] = mapped_column(String(32))
    body: Mapped[Json]
    sent_at: Mapped[float | None]


class Replica(Base):
    """A webhook that works on this ledger, and when it was last heard of by the clock of the database."""

    __tablename__ = "replicas"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    seen_at: Mapped[float]
