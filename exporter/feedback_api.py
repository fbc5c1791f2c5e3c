"""The REST API for people: they say of a period that it was expected, or a fault, and take it back."""

from __future__ import annotations

from flask import Response, jsonify, make_response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, ConfigDict, Field
from werkzeug.exceptions import ServiceUnavailable

from presagio.exporter.feedback import (
    Feedback,
    Judged,
    PeriodError,
    UnknownNameError,
    check_names,
    check_period,
    document,
)
from presagio.exporter.feedback_book import UnknownFeedbackError
from presagio.exporter.loop import Loop
from presagio.exporter.registry import Word
from presagio.exporter.relearn import Relearning
from presagio.exporter.sharding import WHOLE, Shard, ShardError
from presagio.toolkit.clock import Clock
from presagio.toolkit.httperrors import RESPONSES, ErrorBody, answer
from presagio.toolkit.webconfig import SECURITY, Guard

_TAG = Tag(name="feedback", description="Periods that people judged: expected, or a fault.")


class Shown(Feedback):
    """A feedback, and when it last kept a score low."""

    last_applied: float | None = Field(
        None, description="when it last kept a score low since the start of the exporter, in Unix time"
    )


class Listed(BaseModel):
    """Feedback, the newest first."""

    feedback: list[Shown]


class ListQuery(BaseModel):
    """Which feedback."""

    model_config = ConfigDict(extra="forbid")

    service_id: str | None = Field(None, description="of this service only")
    all: bool = Field(False, description="the reverted too")


class RevertQuery(BaseModel):
    """Who takes it back."""

    model_config = ConfigDict(extra="forbid")

    author: Word = Field("", description="who takes it back, for the record")


class FeedbackPath(BaseModel):
    """Which feedback."""

    id: int = Field(description="its number")


def create(loop: Loop, relearning: Relearning, clock: Clock, guard: Guard, shard: Shard = WHOLE) -> APIBlueprint:
    """Return the API for `app.register_api`. Raises SecretError if `guard` has no key to check against."""
    api = APIBlueprint(
        "feedback",
        __name__,
        url_prefix="/api/v1/feedback",
        abp_tags=[_TAG],
        abp_security=SECURITY,
        abp_responses=dict(RESPONSES),
        operation_id_callback=lambda name, path, method: name,  # noqa: ARG005 # called by these names
    )
    guard.protect(api)
    for error in (UnknownNameError, UnknownFeedbackError, ShardError):
        api.register_error_handler(error, lambda error: answer(404, str(error)))
    api.register_error_handler(PeriodError, _refused)
    _give(api, loop, relearning, clock, shard)
    _look(api, relearning)
    return api


def _refused(error: PeriodError) -> Response:
    field = {"field": error.field, "expected": error.expected, "got": error.got}
    return make_response(jsonify(error=str(error), fields=[field]), 422)


def _give(api: APIBlueprint, loop: Loop, relearning: Relearning, clock: Clock, shard: Shard) -> None:
    @api.post(
        "",
        description="It is on disk before it is answered. The series concerned then learn their history anew, "
        "which the log and presagio_relearns_total tell of.",
        responses={"201": Feedback, "404": ErrorBody, "409": ErrorBody, "503": ErrorBody},
    )
    def give_feedback(body: Judged) -> tuple[dict[str, object], int]:
        """Say of a period that it was expected, or a fault"""
        shard.check(body.service_id)
        check_period(body, clock.time(), loop.timing.interval)
        if not loop.ready:
            raise ServiceUnavailable("history is being read, or Prometheus cannot be asked; wait for /-/ready")
        check_names(body, relearning.names())
        return document(relearning.force.book.give(body)), 201


def _look(api: APIBlueprint, relearning: Relearning) -> None:
    book, applied = relearning.force.book, relearning.force.applied

    @api.get("", responses={"200": Listed})
    def list_feedback(query: ListQuery) -> dict[str, object]:
        """List feedback, the newest first"""
        found = book.all() if query.all else book.in_force()
        chosen = [one for one in reversed(found) if query.service_id in (None, one.service_id)]
        return {"feedback": [document(one) | {"last_applied": applied.get(one.id)} for one in chosen]}

    @api.delete("/<int:id>", responses={"200": Feedback, "404": ErrorBody})
    def revert_feedback(path: FeedbackPath, query: RevertQuery) -> dict[str, object]:
        """Take feedback back; a record of it stays"""
        return document(book.revert(path.id, query.author))
