"""The inbox: a notification is stored before it is answered."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock

from sqlalchemy import Engine, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session

from presagio.webhook.database import reading
from presagio.webhook.queues import Queue, waiting
from presagio.webhook.tables import Notification

_COLUMNS = ("received_at", "sender", "digest", "payload", "alerts")


@dataclass(frozen=True)
class Receipt:
    """The stored notification; `duplicate` if the same body was waiting already."""

    id: int
    duplicate: bool


@dataclass
class _Waiting:
    """A notification that is to be stored, and what came of it."""

    row: Notification
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

    def store(self, payload: str, alerts: int, sender: str, now: float) -> Receipt:
        """Return once the notification is on the disk. Raises SQLAlchemyError if it is not."""
        digest = hashlib.sha256(payload.encode()).hexdigest()
        mine = _Waiting(Notification(received_at=now, sender=sender, digest=digest, payload=payload, alerts=alerts))
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
        try:
            rows = [one.row for one in several]
            with Session(self.engine, expire_on_commit=False) as session, session.begin():
                session.add_all(rows)
        except SQLAlchemyError as error:
            for one in several:
                # perhaps one alone is in the way; each is told of its own trouble
                self._write_one(one, error if len(several) == 1 else None)
        else:
            for one in several:
                one.receipt = Receipt(one.row.id, duplicate=False)

    def _write_one(self, one: _Waiting, known: SQLAlchemyError | None) -> None:
        try:
            one.receipt = self._alone(one.row, known)
        except SQLAlchemyError as error:
            one.error = error

    def _alone(self, row: Notification, known: SQLAlchemyError | None) -> Receipt:
        """Store it by itself; `known` is what came of the last try."""
        try:
            if known is not None:
                raise known
            fresh = Notification(**{name: getattr(row, name) for name in _COLUMNS})
            with Session(self.engine, expire_on_commit=False) as session, session.begin():
                session.add(fresh)
        except IntegrityError:
            return self._same(row)
        return Receipt(fresh.id, duplicate=False)

    def _same(self, row: Notification) -> Receipt:
        with self._read() as session:
            same = Notification.digest == row.digest
            found = session.scalar(select(Notification.id).where(same, Notification.opened_at.is_(None)))
        # It was opened between the two: then this one is news, and is stored.
        return self._alone(row, None) if found is None else Receipt(found, duplicate=True)

    def waiting(self, limit: int = 25) -> list[Notification]:
        """Return those that were not opened yet, the oldest first."""
        with self._read() as session:
            unopened = select(Notification).where(Notification.opened_at.is_(None))
            return list(session.scalars(unopened.order_by(Notification.id).limit(limit)))

    def backlog(self) -> int:
        """Return how many alerts are stored and not looked at yet."""
        return sum(queue.length for queue in waiting(self.engine, (Queue.INBOX, Queue.PENDING)).values())

    def _read(self) -> Session:
        return Session(reading(self.engine))
