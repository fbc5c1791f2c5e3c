"""The store. A transition is whole or not at all: compare-and-set, audit row, outbox row, timers, lease, membership.

Those that are decided in one round share a transaction.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import JSON, Connection, Engine, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from presagio.webhook import chain
from presagio.webhook.consequences import consequences
from presagio.webhook.database import reading
from presagio.webhook.errors import ConflictError, LedgerError
from presagio.webhook.moves import Arrival, Changes, Facts, Move, Stay
from presagio.webhook.states import IN_HAND, TERMINAL, Reason, State, allowed
from presagio.webhook.tables import Audit, Head, Message, Notification, Remediation, Switch, table

Arrived = tuple[Notification, Sequence[Arrival]]
"""A notification, and the alerts in it."""

Decided = tuple[Remediation, Move | Stay]
"""A remediation, and what a stage decided of it."""

ORCHESTRATOR = "orchestrator"
"""Who moves a remediation when no person does."""


# Transitions are written without the ORM, which took half of their time.
_CASES, _AUDIT, _HEADS, _INBOX = (table(one) for one in (Remediation, Audit, Head, Notification))
_HEAD = select(_HEADS.c.seq, _HEADS.c.hmac).with_for_update()
_RECEIVE, _APPEND, _ADVANCE = insert(_CASES), insert(_AUDIT), update(_HEADS)
_SAME = update(_CASES).where(
    _CASES.c.id == bindparam("known_id"),
    _CASES.c.state == bindparam("known_state"),
    _CASES.c.revision == bindparam("known_revision"),
)
# whoever is opening it is not waited for
_UNOPENED = (
    select(_INBOX.c.id)
    .where(_INBOX.c.id == bindparam("known_id"), _INBOX.c.opened_at.is_(None))
    .with_for_update(skip_locked=True)
)
_OPENED = update(_INBOX).where(_INBOX.c.id == bindparam("known_id"))
_NAMES = tuple(column.name for column in _CASES.c)
_JSON = frozenset(column.name for column in _CASES.c if isinstance(column.type, JSON))


@dataclass(frozen=True)
class Row:
    """What an audit row says."""

    remediation: int | None
    source: str
    target: str
    reason: str
    who: str
    facts: Facts


@dataclass
class Page:
    """One transaction on the chain: rows are added one after another, and its head is written once, at the end."""

    connection: Connection
    key: bytes
    seq: int
    seal: str

    def add(self, said: Row, now: float) -> None:
        """Add an audit row: the chain's next."""
        values = {
            "seq": self.seq + 1, "time": now, "remediation_id": said.remediation, "source": said.source,
            "target": said.target, "reason": said.reason, "who": said.who, "facts": chain.canonical(said.facts),
            "previous": self.seal,
        }  # fmt: skip
        self.seq, self.seal = self.seq + 1, chain.seal(Audit(**values), self.key)
        self.connection.execute(_APPEND, {**values, "hmac": self.seal})


class Ledger:
    """Writes. Any number of threads may share one; what reads only is in records.py.

    key: seals the audit rows (see chain.py). patience: seconds an alert may wait to be looked at before a person is
    told.
    """

    def __init__(self, engine: Engine, key: bytes, patience: float = 3600.0) -> None:
        self.engine = engine
        self.key = key
        self.patience = patience

    @contextmanager
    def page(self) -> Iterator[Page]:
        """Open a transaction on the chain."""
        with self.engine.begin() as connection:
            # The head of the chain first, always: who held another row and waited for it might be waited for.
            page = Page(connection, self.key, *connection.execute(_HEAD).one())
            begun = page.seq
            yield page
            if page.seq > begun:
                connection.execute(_ADVANCE, {"seq": page.seq, "hmac": page.seal})

    def open(self, arrived: Iterable[Arrived], now: float) -> int:
        """Turn notifications into remediations in RECEIVED, one for each alert; return how many were opened.

        One that somebody else has opened, or is opening, is left alone.
        """
        with self.page() as page:
            return sum(self._open(page, notification.id, arrivals, now) for notification, arrivals in arrived)

    def _open(self, page: Page, notification: int, arrivals: Iterable[Arrival], now: float) -> bool:
        if page.connection.scalar(_UNOPENED, {"known_id": notification}) is None:
            return False
        page.connection.execute(_OPENED, {"known_id": notification, "opened_at": now})
        for arrival in arrivals:
            done = page.connection.execute(_RECEIVE, self._received(notification, arrival, now))
            row = _row(done.inserted_primary_key[0], "", ORCHESTRATOR, _notified(arrival))  # type: ignore[index] # one
            page.add(row, now)
        return True

    def _received(self, notification: int, arrival: Arrival, now: float) -> dict[str, Any]:
        return {
            "state": State.RECEIVED, "reason": Reason.NOTIFIED, "created_at": now, "entered_at": now,
            "not_before": now, "deadline": now + self.patience, "notification_id": notification,
            "fingerprint": arrival.fingerprint, "starts_at": arrival.starts_at, "alert": dict(arrival.alert),
        }  # fmt: skip

    def move(self, case: Remediation, move: Move, now: float, who: str = ORCHESTRATOR) -> Remediation:
        """Take one transition and return the remediation as it is then.

        Raises ConflictError, and writes nothing, if it is no longer in the state and revision of `case`.
        """
        with self.page() as page:
            return _move(page, case, move, now, who)

    def stay(self, case: Remediation, stay: Stay) -> Remediation:
        """Keep what a stage saw without leaving the state. Raises ConflictError as `move` does."""
        with self.engine.begin() as connection:
            return _stay(connection, case, stay)

    def write(self, decided: Iterable[Decided], now: float) -> list[Remediation]:
        """Write what was decided of several remediations, all in one transaction, and return them as they are then.

        Each transition is as whole as in a transaction of its own: it is there with all it brings, or not at all.
        What is shared is the wait for the disk. Raises ConflictError, and writes nothing, if one is in the way.
        """
        with self.page() as page:
            return [
                _move(page, case, decision, now, ORCHESTRATOR) if isinstance(decision, Move)
                else _stay(page.connection, case, decision)
                for case, decision in decided
            ]  # fmt: skip

    def switch(self, name: str, on: bool, who: str, note: str, now: float) -> None:
        """Turn a switch on or off; the ledger tells who did."""
        with self.page() as page, Session(page.connection) as session:
            facts = {"switch": name, "on": on, "note": note}
            page.add(Row(None, "", f"{name} {'on' if on else 'off'}", "switch", who, facts), now)
            held = session.get(Switch, name)
            since = held.since if held is not None and held.on == on else now
            session.merge(Switch(name=name, on=on, since=since, who=who, note=note))
            session.flush()

    def delivered(self, messages: Sequence[Message], now: float) -> None:
        """Mark messages of the outbox as sent."""
        with Session(self.engine) as session, session.begin():
            ids = [message.id for message in messages]
            session.execute(update(Message).where(Message.id.in_(ids)).values(sent_at=now))


def _row(remediation: int, source: str, who: str, move: Move) -> Row:
    return Row(remediation, source, move.to.value, move.reason.value, who, move.facts)


def _notified(arrival: Arrival) -> Move:
    return Move(State.RECEIVED, Reason.NOTIFIED, arrival.alert)


def _move(page: Page, case: Remediation, move: Move, now: float, who: str) -> Remediation:
    if not allowed(case.state, move.to):
        raise LedgerError(f"there is no way from {case.state.value!r} to {move.to.value!r}")
    columns = _columns(case, move, now)
    with _claims(case, move.changes):
        page.add(_row(case.id, case.state.value, who, move), now)
        _set(page.connection, case, columns)
        consequences(page.connection, case, move, now)
    return _after(case, columns)


def _stay(connection: Connection, case: Remediation, stay: Stay) -> Remediation:
    columns = {**stay.changes, "not_before": stay.not_before, "worker": None}
    with _claims(case, stay.changes):
        _set(connection, case, columns)
    return _after(case, columns)


def _set(connection: Connection, case: Remediation, columns: dict[str, Any]) -> None:
    known = {"known_id": case.id, "known_state": case.state, "known_revision": case.revision}
    done = connection.execute(_SAME, {**columns, **known, "revision": case.revision + 1})
    if done.rowcount != 1:
        raise ConflictError(f"remediation {case.id} has left {case.state.value!r} meanwhile")


def _after(case: Remediation, columns: dict[str, Any]) -> Remediation:
    """Return the remediation as reading it again would give it."""
    before = {name: getattr(case, name) for name in _NAMES}
    written = {name: _read_back(value) if name in _JSON else value for name, value in columns.items()}
    return Remediation(**{**before, **written, "revision": case.revision + 1})


def _read_back(value: Any) -> Any:
    return None if value is None else json.loads(chain.canonical(value))


def _columns(case: Remediation, move: Move, now: float) -> dict[str, Any]:
    columns = {**move.changes, "state": move.to, "reason": move.reason, "entered_at": now}
    columns["not_before"] = now if move.not_before is None else move.not_before
    # Who goes on with it at once keeps it: an attempt that nobody holds would look like one that a crash left.
    goes_on = move.to not in TERMINAL and columns["not_before"] <= now
    columns["worker"] = case.worker if move.to in IN_HAND or goes_on else None
    if move.deadline is not None:
        columns["deadline"] = move.deadline
    if move.outcome is not None:
        columns["outcome"] = move.outcome
    if move.to in TERMINAL and case.finished_at is None:
        columns.update(finished_at=now, owns=None)
    return columns


@contextmanager
def _claims(case: Remediation, changes: Changes) -> Iterator[None]:
    """Tell a target that another remediation owns from a database that is in trouble."""
    try:
        yield
    except IntegrityError as error:
        if "owns" not in changes:
            raise
        raise ConflictError(f"another remediation than {case.id} owns the target {changes['owns']!r}") from error


def verify(engine: Engine, key: bytes, known: tuple[int, str] | None = None) -> int:
    """Return how many audit rows the chain has. Raises LedgerError that names the first broken one; see chain.py."""
    with Session(reading(engine)) as session:
        rows = session.scalars(select(Audit).order_by(Audit.seq).execution_options(yield_per=1000))
        return chain.verify(rows, session.get_one(Head, 1), key, known)
