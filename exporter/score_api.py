"""The REST API for scores: how a service is now, and which of its signals tell so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from presagio.exporter.sharding import WHOLE, Shard, ShardError
from presagio.exporter.together import ServiceScores
from presagio.toolkit.errors import PresagioError
from presagio.toolkit.httperrors import RESPONSES, ErrorBody, answer
from presagio.toolkit.webconfig import SECURITY, Guard

_TAG = Tag(name="scores", description="Services as a whole.")
_EXAMPLE: dict[str, JsonValue] = {
    "service_id": "shop/checkout", "time": 1767225600.0, "score": 0.71, "confidence": 0.93,
    "contributions": {"latency_p99": 0.82, "cpu": 0.18},
}  # fmt: skip


class UnscoredServiceError(PresagioError):
    """The service has no score now."""


class ServiceScore(BaseModel):
    """The score of a service and what its signals have to do with it."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    service_id: str
    time: float = Field(description="the moment that was scored, in Unix time")
    score: float = Field(description="0 to 1: 0.3 is one moment in a thousand, 0.6 one in a million")
    confidence: float = Field(description="how much is known of its signals, 0 to 1")
    contributions: dict[str, float] = Field(description="share of each signal, the highest first; they sum to 1")


class ScorePath(BaseModel):
    """Which service."""

    service_id: str = Field(description="service_id as in the metrics; it may contain slashes")


def create(newest: Callable[[], ServiceScores | None], guard: Guard, shard: Shard = WHOLE) -> APIBlueprint:
    """Return the API for `app.register_api`; `newest` gives the scores unless they are too old.

    Raises SecretError if `guard` has no key to check against.
    """
    api = APIBlueprint(
        "scores",
        __name__,
        url_prefix="/api/v1/scores",
        abp_tags=[_TAG],
        abp_security=SECURITY,
        abp_responses=dict(RESPONSES),
        operation_id_callback=lambda name, path, method: name,  # noqa: ARG005 # called by these names
    )
    guard.protect(api)
    for error in (UnscoredServiceError, ShardError):
        api.register_error_handler(error, lambda error: answer(404, str(error)))

    @api.get("/<path:service_id>", responses={"200": ServiceScore, "404": ErrorBody})
    def get_score(path: ScorePath) -> dict[str, Any]:
        """Show the score of a service, and the share of each signal in it"""
        shard.check(path.service_id)
        return _found(newest(), path.service_id).model_dump()

    return api


def _found(scores: ServiceScores | None, service_id: str) -> ServiceScore:
    if scores is None or service_id not in scores.services:
        told = f"service {service_id!r} has no score now; presagio_service_anomaly_score shows those that have one"
        raise UnscoredServiceError(told)
    row = list(scores.services).index(service_id)
    if np.isnan(scores.score[row]):
        raise UnscoredServiceError(f"service {service_id!r} has no score now: none of its signals has one")
    shares = zip(scores.signals, scores.contribution[row].tolist(), strict=True)
    there = [(signal, share) for signal, share in shares if not np.isnan(share)]
    return ServiceScore(
        service_id=service_id,
        time=scores.time,
        score=float(scores.score[row]),
        confidence=float(scores.confidence[row]),
        contributions=dict(sorted(there, key=lambda one: -one[1])),
    )
