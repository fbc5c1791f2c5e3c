"""The inbox: a notification is stored before it is answered."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from sqlalchemy import Connection, Engine, insert, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session

from presagio.webhook.database import reading
from presagio.webhook.queues import Queue, waiting
from presagio.webhook.tables import Notification, table

_STORE = insert(table(Notification))
_COUNTED_SECONDS = 1.0

_Row = Mapping[str, Any]


@dataclass(frozen=True)
class Receipt:
    """The stored notification; `duplicate` if the same body was waiting already."""

    id: int
    duplicate: bool


@dataclass
class _Waiting:
    """A notification that is to be stored, and what came of it."""

    row: _Row
    receipt: Receipt | None = None
    error: SQLAlchemyError | None = None


class Inbox:
    """Stores and hands out notifications. `on_arrival` is told of each new one, from the thread that stored it.

    Those that come while another is being written are written together, by the first who may: the disk is waited for
    once, and nobody is answered before his own is on it.
    """

    def __init__(self, engine: Engine, on_arrival: Callable[[], None] = lambda: None) -> None:
        self.engine = engine
        self.on_arrival = on_arrival
        self._line: deque[_Waiting] = deque()
        self._pen = Lock()
        self._backlog, self._counted = 0, float("-inf")

    def store(self, payload: str, alerts: int, sender: str, now: float) -> Receipt:
        """Return once the notification is on the disk. Raises SQLAlchemyError if it is not."""
        digest = hashlib.sha256(payload.encode()).hexdigest()
        mine = _Waiting(
            {"received_at": now, "sender": sender, "digest": digest, "payload": payload, "alerts": alerts}
        )
        self._line.append(mine)
        with self._pen:
            if mine.receipt is None and mine.error is None:
                self._write([self._line.popleft() for _ in range(len(self._line))])
        if mine.receipt is None:
            raise mine.error or AssertionError("a notification was neither stored nor refused")
        if not mine.receipt.duplicate:
            self.on_arrival()
        return mine.receipt

    def _write(self, several: Sequence[_Waiting]) -> None:
        if len(several) == 1 or not self._together(several):
            for one in several:
                self._alone(one)
        self._backlog += sum(one.row["alerts"] for one in several)

    def _together(self, several: Sequence[_Waiting]) -> bool:
        """Store all or none. Perhaps one alone is in the way; each is told of its own trouble then."""
        try:
            with self.engine.begin() as connection:
                numbers = [_stored(connection, one.row) for one in several]
        except SQLAlchemyError:
            return False
        for one, number in zip(several, numbers, strict=True):
            one.receipt = Receipt(number, duplicate=False)
        return True

    def _alone(self, one: _Waiting) -> None:
        try:
            one.receipt = self._store(one.row)
        except SQLAlchemyError as error:
            one.error = error

    def _store(self, row: _Row) -> Receipt:
        try:
            with self.engine.begin() as connection:
                return Receipt(_stored(connection, row), duplicate=False)
        except IntegrityError:
            return self._same(row)

    def _same(self, row: _Row) -> Receipt:
        with self._read() as session:
            same = Notification.digest == row["digest"]
            found = session.scalar(select(Notification.id).where(same, Notification.opened_at.is_(None)))
        # It was opened between the two: then this one is news, and is stored.
        return self._store(row) if found is None else Receipt(found, duplicate=True)

    def waiting(self, limit: int = 25) -> list[Notification]:
        """Return those that were not opened yet, the oldest first."""
        with self._read() as session:
            unopened = select(Notification).where(Notification.opened_at.is_(None))
            return list(session.scalars(unopened.order_by(Notification.id).limit(limit)))

    def has_room(self, alerts: int, most: int, now: float) -> bool:
        """Return whether no more than `most` wait with so many alerts more.

        They are counted once a second, and before anybody is turned away; in between, what was stored here is added.
        """
        fresh = 0 <= now - self._counted < _COUNTED_SECONDS
        if not fresh or self._backlog + alerts > most:
            self._backlog, self._counted = self.backlog(), now
        return self._backlog + alerts <= most

    def backlog(self) -> int:
        """Return how many alerts are stored and not looked at yet."""
        return sum(queue.length for queue in waiting(self.engine, (Queue.INBOX, Queue.PENDING)).values())

    def _read(self) -> Session:
        return Session(reading(self.engine))


def _stored(connection: Connection, row: _Row) -> int:
    return int(connection.execute(_STORE, row).inserted_primary_key[0])  # type: ignore[index] # one row, one key
