"""The REST API and the page for predictions: which failures are likely, and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from flask import Blueprint, render_template_string
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from presagio.exporter.prediction import Predictions
from presagio.toolkit.errors import PresagioError
from presagio.toolkit.httperrors import RESPONSES, ErrorBody, answer
from presagio.toolkit.units import format_duration
from presagio.toolkit.webconfig import SECURITY, Guard

Newest = Callable[[], Sequence[Predictions]]

_TAG = Tag(name="predictions", description="Failures to come.")
_EXAMPLE: dict[str, JsonValue] = {
    "service_id": "shop/checkout", "failure": "out_of_memory", "horizon": "1h", "horizon_seconds": 3600,
    "time": 1767225600, "probability": 0.83, "confidence": 0.71, "model": "combination",
    "reasons": [
        {"feature": "memory_ratio, slope 6h", "text": "memory_ratio rose by 0.31 in 6h", "effect": 2.1},
        {"feature": "memory_ratio, now", "text": "memory_ratio is 0.91", "effect": 1.4},
        {"feature": "crossing", "text": "the forecast gives memory_ratio a chance of 88%", "effect": 0.9},
    ],
}  # fmt: skip
_SHOWN = 500


class UnknownServiceError(PresagioError):
    """Nothing is predicted of the service now."""


class ReasonBody(BaseModel):
    """One of the features that moved a probability most."""

    feature: str
    text: str = Field(description="what it is now, in words")
    effect: float = Field(description="by how much it moved the log odds; above 0 it made the failure likelier")


class PredictionBody(BaseModel):
    """How likely one failure of one service is within one horizon."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    service_id: str
    failure: str
    horizon: str
    horizon_seconds: float
    time: float = Field(description="the moment it was predicted from, in Unix time")
    probability: float = Field(description="0 to 1, that the failure begins within the horizon")
    confidence: float = Field(description="how much is known for that, 0 to 1")
    model: str = Field(description="what said so; forecast: no failure was learnt from")
    reasons: list[ReasonBody] = Field(
        description="of likely failures: what moved the probability most, the first most"
    )


class PredictionsBody(BaseModel):
    """Predictions, the likeliest first."""

    predictions: list[PredictionBody]


class PredictionPath(BaseModel):
    """Which service."""

    service_id: str = Field(description="service_id as in the metrics; it may contain slashes")


def create(newest: Newest, guard: Guard) -> APIBlueprint:
    """Return the API for `app.register_api`; `newest` gives the predictions that are not too old.

    Raises SecretError if `guard` has no key to check against.
    """
    api = APIBlueprint(
        "predictions",
        __name__,
        url_prefix="/api/v1/predictions",
        abp_tags=[_TAG],
        abp_security=SECURITY,
        abp_responses=dict(RESPONSES),
        operation_id_callback=lambda name, path, method: name,  # noqa: ARG005 # called by these names
    )
    guard.protect(api)
    api.register_error_handler(UnknownServiceError, lambda error: answer(404, str(error)))

    @api.get("", responses={"200": PredictionsBody})
    def list_predictions() -> dict[str, Any]:
        """List what is predicted of all services, the likeliest first"""
        return PredictionsBody(predictions=bodies(newest())).model_dump()

    @api.get("/<path:service_id>", responses={"200": PredictionsBody, "404": ErrorBody})
    def get_predictions(path: PredictionPath) -> dict[str, Any]:
        """Show what is predicted of a service, and why"""
        found = [one for one in bodies(newest()) if one.service_id == path.service_id]
        if not found:
            told = f"nothing is predicted of service {path.service_id!r} now"
            raise UnknownServiceError(f"{told}; presagio_failure_probability shows of which services something is")
        return PredictionsBody(predictions=found).model_dump()

    return api


def page(newest: Newest) -> Blueprint:
    """Return the page for people: the likeliest failures with their reasons. It shows no more than /metrics does."""
    pages = Blueprint("predictions_page", __name__)
    template = Path(__file__).with_name("predictions.html").read_text(encoding="utf-8")

    @pages.get("/predictions")
    def predictions() -> str:
        found = bodies(newest())
        times = [one.time for one in found]
        time = datetime.fromtimestamp(max(times), UTC).strftime("%Y-%m-%d %H:%M UTC") if times else ""
        return render_template_string(template, rows=found[:_SHOWN], time=time, left=max(0, len(found) - _SHOWN))

    return pages


def bodies(found: Sequence[Predictions]) -> list[PredictionBody]:
    """Return all predictions as they are answered, the likeliest first."""
    rows = [_body(one, row, h) for one in found for row, h in np.argwhere(~np.isnan(one.probability)).tolist()]
    return sorted(rows, key=lambda one: (-one.probability, one.horizon_seconds, one.service_id, one.failure))


def _body(found: Predictions, row: int, h: int) -> PredictionBody:
    reasons = found.reasons.get((row, h), ())
    return PredictionBody(
        service_id=found.services[row],
        failure=found.failure,
        horizon=format_duration(found.horizons[h]),
        horizon_seconds=found.horizons[h],
        time=found.time,
        probability=float(found.probability[row, h]),
        confidence=float(found.confidence[row, h]),
        model=found.models[h],
        reasons=[ReasonBody(feature=one.feature, text=one.text, effect=one.effect) for one in reasons],
    )
