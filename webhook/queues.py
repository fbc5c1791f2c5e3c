"""What waits in the webhook: notifications to be opened, alerts to be looked at, messages to be sent."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Engine, Select, func, select
from sqlalchemy.orm import Session

from presagio.webhook.database import reading
from presagio.webhook.tables import Message, Notification, Remediation


class Queue(StrEnum):
    """Where something can wait."""

    INBOX = "inbox"
    PENDING = "pending"
    OUTBOX = "outbox"


@dataclass(frozen=True)
class Waiting:
    """How many wait, and since when the oldest does: Unix seconds, None if nothing waits."""

    length: int
    since: float | None

    def seconds(self, now: float) -> float:
        """Return how long the oldest has waited; 0 if nothing waits."""
        return 0.0 if self.since is None else max(0.0, now - self.since)


_QUESTIONS: dict[Queue, Select[int, float]] = {
    # alerts, not notifications: limits.pending_alerts counts them so
    Queue.INBOX: select(func.sum(Notification.alerts), func.min(Notification.received_at)).where(
        Notification.opened_at.is_(None)
    ),
    Queue.PENDING: select(func.count(), func.min(Remediation.created_at)).where(
        Remediation.finished_at.is_(None), Remediation.owns.is_(None)
    ),
    Queue.OUTBOX: select(func.count(), func.min(Message.created_at)).where(Message.sent_at.is_(None)),
}


def waiting(engine: Engine, queues: Collection[Queue] = tuple(Queue)) -> dict[Queue, Waiting]:
    """Return what waits in each of some queues."""
    with Session(reading(engine)) as session:
        found = {queue: session.execute(_QUESTIONS[queue]).one() for queue in queues}
    return {queue: Waiting(int(length or 0), since) for queue, (length, since) in found.items()}
