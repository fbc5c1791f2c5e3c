"""The inbox: a notification is stored before it is answered."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Engine, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from presagio.webhook.database import reading
from presagio.webhook.tables import Notification, Remediation


@dataclass(frozen=True)
class Receipt:
    """The stored notification; `duplicate` if the same body was waiting already."""

    id: int
    duplicate: bool


class Inbox:
    """Stores and hands out notifications. `on_arrival` is told of each new one, from the thread that stored it."""

    def __init__(self, engine: Engine, on_arrival: Callable[[], None] = lambda: None) -> None:
        self.engine = engine
        self.on_arrival = on_arrival

    def store(self, payload: str, alerts: int, sender: str, now: float) -> Receipt:
        """Return once the notification is on the disk. Raises SQLAlchemyError if it is not."""
        digest = hashlib.sha256(payload.encode()).hexdigest()
        row = Notification(received_at=now, sender=sender, digest=digest, payload=payload, alerts=alerts)
        try:
            with Session(self.engine, expire_on_commit=False) as session, session.begin():
                session.add(row)
        except IntegrityError:
            return self._same(digest, row, now)
        self.on_arrival()
        return Receipt(row.id, duplicate=False)

    def _same(self, digest: str, row: Notification, now: float) -> Receipt:
        with self._read() as session:
            waiting = select(Notification.id).where(Notification.digest == digest, Notification.opened_at.is_(None))
            found = session.scalar(waiting)
        # It was opened between the two: then this one is news, and is stored.
        if found is not None:
            return Receipt(found, duplicate=True)
        return self.store(row.payload, row.alerts, row.sender, now)

    def waiting(self, limit: int = 100) -> list[Notification]:
        """Return those that were not opened yet, the oldest first."""
        with self._read() as session:
            unopened = select(Notification).where(Notification.opened_at.is_(None))
            return list(session.scalars(unopened.order_by(Notification.id).limit(limit)))

    def backlog(self) -> int:
        """Return how many alerts are stored and not looked at yet."""
        unopened = select(func.sum(Notification.alerts)).where(Notification.opened_at.is_(None))
        received = select(func.count()).where(Remediation.finished_at.is_(None), Remediation.owns.is_(None))
        with self._read() as session:
            return (session.scalar(unopened) or 0) + (session.scalar(received) or 0)

    def _read(self) -> Session:
        return Session(reading(self.engine))
