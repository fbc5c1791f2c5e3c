"""The REST API: Alertmanager notifies, people and scripts ask for remediations. Its document is at /docs.

Alertmanager sends again what is answered with 5xx, and never what is answered with 4xx: so 200 means stored, and what
cannot be stored now is answered with 503.
"""

from __future__ import annotations

from dataclasses import dataclass

from flask import Response, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, Field
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import ServiceUnavailable

from presagio.toolkit.clock import Clock
from presagio.toolkit.httperrors import RESPONSES, ErrorBody, answer
from presagio.toolkit.log import Log
from presagio.toolkit.webconfig import SECURITY, Guard
from presagio.webhook import acting_api, payload
from presagio.webhook.acting_api import Counter
from presagio.webhook.documents import Detail, RemediationPath, Remediations, Stored, detail, summary
from presagio.webhook.inbox import Inbox
from presagio.webhook.metrics import Metrics, Refused
from presagio.webhook.payload import Notification, PayloadError
from presagio.webhook.records import Records
from presagio.webhook.states import State

_TAG = Tag(name="webhook", description="Notifications of Alertmanager, and what became of them.")
_AGAIN_SECONDS = 10


@dataclass(frozen=True)
class Desk:
    """What the API works with; `room` is how many alerts may wait to be looked at."""

    inbox: Inbox
    records: Records
    metrics: Metrics
    clock: Clock
    log: Log
    room: int


class Page(BaseModel):
    """Which part of the list."""

    state: list[State] = Field([], description="only those in these states")
    before: int | None = Field(None, le=1 << 62, description="only those with a smaller id: the next page")
    limit: int = Field(50, ge=1, le=500, description="how many")


def create(desk: Desk, counter: Counter, guard: Guard) -> APIBlueprint:
    """Return the API for `app.register_api`. Raises SecretError if `guard` has no key to check against."""
    api = APIBlueprint(
        "webhook", __name__, url_prefix="/api/v1", abp_tags=[_TAG], abp_security=SECURITY,
        abp_responses=dict(RESPONSES),
        operation_id_callback=lambda name, path, method: name,  # noqa: ARG005 # called by these names
    )  # fmt: skip
    guard.protect(api)
    api.register_error_handler(SQLAlchemyError, lambda error: _trouble(desk, error))
    api.register_error_handler(PayloadError, lambda error: answer(422, str(error)))
    _receiving(api, desk)
    _asking(api, desk)
    acting_api.add(api, counter, guard)
    return api


def _receiving(api: APIBlueprint, desk: Desk) -> None:
    @api.post("/alerts", responses={"200": Stored, "503": ErrorBody})
    def receive_alerts(body: Notification) -> dict[str, object]:
        """Take a notification of Alertmanager's (webhook payload, version 4).

        200 means that it is on the disk. 503 means: not now, send it again.
        """
        # As it came, and in the words of the reader who will open it: what he cannot read is refused while it can be.
        text = request.get_data()
        payload.parse(text)
        now, alerts = desk.clock.time(), len(body.alerts)
        if not desk.inbox.has_room(alerts, desk.room, now):
            raise _full(desk)
        receipt = desk.inbox.store(text.decode(), alerts, request.remote_addr or "", now)
        _count(desk, body, receipt.duplicate)
        stored = Stored(notification=receipt.id, alerts=alerts, duplicate=receipt.duplicate)
        return stored.model_dump()


def _count(desk: Desk, body: Notification, duplicate: bool) -> None:
    desk.metrics.received(body, duplicate)
    if body.truncated_alerts:
        desk.log.warning(
            "alertmanager left alerts out; raise max_alerts of the receiver", alerts=body.truncated_alerts
        )


def _asking(api: APIBlueprint, desk: Desk) -> None:
    @api.get("/remediations", responses={"200": Remediations})
    def list_remediations(query: Page) -> dict[str, object]:
        """List remediations, the newest first."""
        found = desk.records.recent(query.limit, query.state, query.before)
        following = found[-1].id if len(found) == query.limit else None
        page = Remediations(remediations=[summary(case) for case in found], next_before=following)
        return page.model_dump(mode="json")

    @api.get("/remediations/<int:remediation>", responses={"200": Detail, "404": ErrorBody})
    def get_remediation(path: RemediationPath) -> dict[str, object] | Response:
        """Show a remediation with its story."""
        case = desk.records.get(path.remediation)
        if case is None:
            return answer(404, f"there is no remediation {path.remediation}; GET /api/v1/remediations lists them")
        return detail(case, desk.records.story(case.id)).model_dump(mode="json")


def _full(desk: Desk) -> ServiceUnavailable:
    desk.metrics.refused(Refused.FULL)
    reason = f"more than {desk.room} alerts wait to be looked at; send it again later"
    return ServiceUnavailable(reason, retry_after=_AGAIN_SECONDS)


def _trouble(desk: Desk, error: SQLAlchemyError) -> Response:
    if request.method == "POST":
        desk.metrics.refused(Refused.LEDGER)
    desk.log.error("the ledger cannot be used", path=request.path, error=str(error))
    response = answer(503, "the ledger cannot be used now; send it again later")
    response.headers["Retry-After"] = str(_AGAIN_SECONDS)
    return response
