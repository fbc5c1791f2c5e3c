"""Empties the outbox: what a person must know becomes an alert of ours, which Alertmanager routes like any other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from presagio.toolkit.log import Log
from presagio.webhook.errors import AlertmanagerError
from presagio.webhook.intake import OUR_ALERTS
from presagio.webhook.ledger import Ledger
from presagio.webhook.records import Records
from presagio.webhook.states import State
from presagio.webhook.tables import Message

_LASTS = 4 * 3600.0
_AGAIN = 30.0
_IDENTITY = ("service_id", "policy", "action", "reason")
_UNTOLD = frozenset({"until", "begins", "ends", "answers", "plan_hash"})
_CAUSE = ("actual", "expected", "time_left", "why")
_RUNBOOKS = "https://github.com/presagio/presagio/blob/main/docs/runbooks"
_NOTHING = {"plan": "", "text": ""}


@dataclass(frozen=True)
class Kind:
    """How the alert of a message is called, how urgent it is, and what it says."""

    name: str
    severity: str
    summary: str


KINDS: Mapping[State, Kind] = {
    State.ESCALATED: Kind("Escalated", "critical", "{what} needs a person ({reason})"),
    State.AWAITING_APPROVAL: Kind("AwaitingApproval", "warning", "{what} waits for approval: {plan}"),
    State.APPLIED: Kind("Notified", "warning", "{what}: {text}"),
}
"""By the state that is entered; each alert has a runbook."""


class Router(Protocol):
    """As much of Alertmanager as we need."""

    def send(self, alerts: Sequence[Mapping[str, Any]]) -> None:
        """Take alerts. Raises AlertmanagerError."""


class Courier:
    """Delivers at least once; what cannot be delivered stays in the outbox."""

    def __init__(self, ledger: Ledger, records: Records, router: Router, log: Log, url: str | None = None) -> None:
        self.ledger = ledger
        self.records = records
        self.router = router
        self.log = log
        self.url = url
        self._not_before = float("-inf")

    def deliver(self, now: float) -> int:
        """Send what waits and return how many messages that was. Raises SQLAlchemyError."""
        if now < self._not_before:
            return 0
        messages = self.records.unsent()
        if not messages:
            return 0
        try:
            self.router.send([alert(message, self.url) for message in messages])
        except AlertmanagerError as error:
            self._not_before = now + _AGAIN
            self.log.warning("outbox not delivered, will be tried again", messages=len(messages), error=str(error))
            return 0
        self.ledger.delivered(messages, now)
        return len(messages)


def alert(message: Message, url: str | None = None) -> dict[str, Any]:
    """Return a message in the form of Alertmanager's API. It lasts four hours, or until it says that it ends.

    url: where the webhook's pages are for people; the alert then links to its remediation.
    """
    body = message.body
    kind = KINDS[State(message.subject)]
    labels = {name: str(body[name]) for name in _IDENTITY if body.get(name)}
    own = {
        "alertname": OUR_ALERTS + kind.name,
        "remediation": str(message.remediation_id),
        "severity": str(body.get("severity", kind.severity)),
    }
    annotations = {**_annotations(message, kind), **({"link": _link(message, url)} if url else {})}
    ends = float(body.get("ends") or body.get("until") or message.created_at + _LASTS)
    return {
        "labels": {**labels, **own}, "annotations": annotations, "startsAt": _moment(_begin(message)),
        "endsAt": _moment(ends),
    }  # fmt: skip


def _annotations(message: Message, kind: Kind) -> dict[str, str]:
    """Return what people are told: what is asked or was done, and the facts of the alert that it answers."""
    body, cause = message.body, message.body.get("answers", {})
    what = f"remediation {message.remediation_id} of {body.get('service_id', 'an alert')}"
    told = {name: cause[name] for name in _CAUSE if cause.get(name)}
    if because := "; ".join(cause[name] for name in ("summary", "why") if cause.get(name)):
        told["why"] = because
    if "until" in body:
        told["answer_by"] = f"{datetime.fromtimestamp(body['until'], UTC):%Y-%m-%d %H:%M:%S} UTC"
    summary = kind.summary.format_map({"what": what, **_NOTHING, **body})
    runbook = f"{_RUNBOOKS}/{OUR_ALERTS}{kind.name}.md"
    return {"summary": summary, "description": _told(body), "runbook_url": runbook, **told}


def _link(message: Message, url: str) -> str:
    return f"{url.rstrip('/')}/remediations/{message.remediation_id}"


def _begin(message: Message) -> float:
    """Return when it began: what tells that a request has ended repeats when that began."""
    return float(message.body.get("begins", message.created_at))


def _told(body: Mapping[str, Any]) -> str:
    return "; ".join(f"{key}: {value}" for key, value in sorted(body.items()) if key not in _UNTOLD)


def _moment(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds")
