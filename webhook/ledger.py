"""The store. A transition is whole or not at all: compare-and-set, audit row, outbox row, timers, lease, membership.

Those that are decided in one round share a transaction.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import JSON, Engine, bindparam, insert, select, update
from sqlalchemy.orm import Session

from presagio.webhook import chain
from presagio.webhook.consequences import consequences
from presagio.webhook.database import reading
from presagio.webhook.errors import LedgerError
from presagio.webhook.moves import Arrival, Move, Stay
from presagio.webhook.page import Page, Row
from presagio.webhook.states import IN_HAND, TERMINAL, Reason, State, allowed
from presagio.webhook.tables import Audit, Head, Message, Notification, Remediation, Switch, table

Arrived = tuple[Notification, Sequence[Arrival]]
"""A notification, and the alerts in it."""

Decided = tuple[Remediation, Move | Stay]
"""A remediation, and what a stage decided of it."""

ORCHESTRATOR = "orchestrator"
"""Who moves a remediation when no person does."""


# Transitions are written without the ORM, which took half of their time.
_CASES, _INBOX = (table(one) for one in (Remediation, Notification))
_RECEIVE = insert(_CASES).returning(_CASES.c.id, sort_by_parameter_order=True)
# whoever is opening it is not waited for
_UNOPENED = (
    select(_INBOX.c.id)
    .where(_INBOX.c.id.in_(bindparam("ids", expanding=True)), _INBOX.c.opened_at.is_(None))
    .with_for_update(skip_locked=True)
)
_OPENED = update(_INBOX).where(_INBOX.c.id == bindparam("known_id"))
_NAMES = tuple(column.name for column in _CASES.c)
_JSON = frozenset(column.name for column in _CASES.c if isinstance(column.type, JSON))


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
        """Open a transaction on the chain. Raises ConflictError at its end as `Page.close` does."""
        with self.engine.begin() as connection:
            page = Page.begin(connection, self.key)
            yield page
            page.close()

    def open(self, arrived: Sequence[Arrived], now: float) -> int:
        """Turn notifications into remediations in RECEIVED, one for each alert; return how many were opened.

        One that somebody else has opened, or is opening, is left alone.
        """
        with self.page() as page:
            ids = [notification.id for notification, _ in arrived]
            unopened = set(page.connection.scalars(_UNOPENED, {"ids": ids}))
            opened = [(one, arrivals) for one, arrivals in arrived if one.id in unopened]
            for one, _ in opened:
                page.put(_OPENED, {"known_id": one.id, "opened_at": now})
            self._receive(page, [(one.id, arrival) for one, arrivals in opened for arrival in arrivals], now)
            return len(opened)

    def _receive(self, page: Page, alerts: Sequence[tuple[int, Arrival]], now: float) -> None:
        if not alerts:
            return
        ids = page.connection.scalars(_RECEIVE, [self._received(*alert, now) for alert in alerts])
        for number, (_, arrival) in zip(ids, alerts, strict=True):
            page.add(_row(number, "", ORCHESTRATOR, _notified(arrival)), now)

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

    def write(self, decided: Iterable[Decided], now: float) -> list[Remediation]:
        """Write what was decided of several remediations, all in one transaction, and return them as they are then.

        Each transition is as whole as in a transaction of its own: it is there with all it brings, or not at all.
        What is shared is the wait for the disk. Raises ConflictError, and writes nothing, if one is in the way.
        """
        with self.page() as page:
            return [
                _move(page, case, decision, now, ORCHESTRATOR) if isinstance(decision, Move)
                else _stay(page, case, decision)
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
    page.add(_row(case.id, case.state.value, who, move), now)
    page.change(case, columns)
    consequences(page, case, move, now)
    return _after(case, columns)


def _stay(page: Page, case: Remediation, stay: Stay) -> Remediation:
    columns = {**stay.changes, "not_before": stay.not_before, "worker": None}
    page.change(case, columns)
    return _after(case, columns)


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


def verify(engine: Engine, key: bytes, known: tuple[int, str] | None = None) -> int:
    """Return how many audit rows the chain has. Raises LedgerError that names the first broken one; see chain.py."""
    with Session(reading(engine)) as session:
        rows = session.scalars(select(Audit).order_by(Audit.seq).execution_options(yield_per=1000))
        return chain.verify(rows, session.get_one(Head, 1), key, known)
