"""Empties the outbox: what a person must know becomes an alert of ours, which Alertmanager routes like any other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from presagio.toolkit.log import Log
from presagio.webhook.errors import AlertmanagerError
from presagio.webhook.intake import OUR_ALERTS
from presagio.webhook.ledger import Ledger
from presagio.webhook.records import Records
from presagio.webhook.tables import Message

_LASTS = 4 * 3600.0
_AGAIN = 30.0
_IDENTITY = ("service_id", "policy", "action", "reason")


class Router(Protocol):
    """As much of Alertmanager as we need."""

    def send(self, alerts: Sequence[Mapping[str, Any]]) -> None:
        """Take alerts. Raises AlertmanagerError."""


class Courier:
    """Delivers at least once; what cannot be delivered stays in the outbox."""

    def __init__(self, ledger: Ledger, records: Records, router: Router, log: Log) -> None:
        self.ledger = ledger
        self.records = records
        self.router = router
        self.log = log
        self._not_before = float("-inf")

    def deliver(self, now: float) -> int:
        """Send what waits and return how many messages that was. Raises SQLAlchemyError."""
        if now < self._not_before:
            return 0
        messages = self.records.unsent()
        if not messages:
            return 0
        try:
            self.router.send([alert(message) for message in messages])
        except AlertmanagerError as error:
            self._not_before = now + _AGAIN
            self.log.warning("outbox not delivered, will be tried again", messages=len(messages), error=str(error))
            return 0
        self.ledger.delivered(messages, now)
        return len(messages)


def alert(message: Message) -> dict[str, Any]:
    """Return a message in the form of Alertmanager's API. It lasts four hours, or until somebody silences it."""
    body = message.body
    labels = {name: str(body[name]) for name in _IDENTITY if body.get(name)}
    name = OUR_ALERTS + message.subject.title().replace("_", "")
    told = "; ".join(f"{key}: {value}" for key, value in sorted(body.items()))
    what = f"remediation {message.remediation_id} of {body.get('service_id', 'an alert')}"
    return {
        "labels": {**labels, "alertname": name, "remediation": str(message.remediation_id), "severity": "critical"},
        "annotations": {"summary": f"{what} needs a person ({body['reason']})", "description": told},
        "startsAt": _moment(message.created_at),
        "endsAt": _moment(message.created_at + _LASTS),
    }


def _moment(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds")
