"""The REST API: services register, submit values, and are listed and deleted. Its document is at /docs."""

from __future__ import annotations

from typing import Annotated

from flask import Response
from flask.typing import ResponseReturnValue
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, ConfigDict, Field

from presagio.exporter.registry import Registry, Service, ServiceId, UnknownServiceError
from presagio.toolkit.httperrors import RESPONSES, ErrorBody, answer
from presagio.toolkit.labels import Name
from presagio.toolkit.webconfig import SECURITY, Guard

_TAG = Tag(name="services", description="Services register, and submit values that Prometheus then scrapes.")

Value = Annotated[float, Field(strict=True, allow_inf_nan=False)]
MetricName = Annotated[Name, Field(max_length=200)]


class Submission(BaseModel):
    """Values of one service."""

    model_config = ConfigDict(extra="forbid")

    service_id: ServiceId = Field(description="id of a registered service", examples=["shop/checkout"])
    metrics: dict[MetricName, Value] = Field(
        min_length=1,
        description="values by metric; a name has letters, digits and underscores",
        examples=[{"cpu_usage": 0.42, "response_time_seconds": 0.18}],
    )


class Registered(BaseModel):
    """The service is registered from now on."""

    status: str = Field(examples=["registered"], description="registered or updated")
    service_id: str = Field(examples=["shop/checkout"])


class Accepted(BaseModel):
    """The values are on /metrics from now on."""

    status: str = Field(examples=["accepted"])
    service_id: str = Field(examples=["shop/checkout"])
    metrics: int = Field(examples=[2], description="how many values were accepted")


class Services(BaseModel):
    """All services, by id."""

    services: list[Service]


class SubmittedValue(BaseModel):
    """The newest value of a metric."""

    value: float = Field(examples=[0.42])
    age_seconds: float = Field(examples=[3.2], description="time since it was submitted")


class ServiceDetail(Service):
    """A service and its values that have not expired."""

    metrics: dict[str, SubmittedValue]


class ServicePath(BaseModel):
    """Which service."""

    service_id: str = Field(description="id of a registered service; it may contain slashes")


def create(registry: Registry, guard: Guard) -> APIBlueprint:
    """Return the API for `app.register_api`. Raises SecretError if `guard` has no key to check against."""
    api = APIBlueprint("services", __name__, abp_tags=[_TAG], abp_security=SECURITY, abp_responses=dict(RESPONSES))
    guard.protect(api)
    api.register_error_handler(UnknownServiceError, lambda error: answer(404, str(error)))
    _writing(api, registry)
    _reading(api, registry)
    return api


def _writing(api: APIBlueprint, registry: Registry) -> None:
    @api.post("/register-service", responses={"200": Registered, "201": Registered, "409": ErrorBody})
    def register_service(body: Service) -> ResponseReturnValue:
        """Register a service, or update it.

        The registration is on disk before it is answered. Answers 201 for a new service, 200 for a known one.
        """
        new = registry.register(body)
        status = "registered" if new else "updated"
        return {"status": status, "service_id": body.service_id}, 201 if new else 200

    @api.post("/submit-metrics", responses={"202": Accepted, "404": ErrorBody, "409": ErrorBody})
    def submit_metrics(body: Submission) -> ResponseReturnValue:
        """Submit values of a registered service.

        They appear on /metrics as presagio_submitted_value, are scraped by Prometheus and scored like all other series.
        A value that is not submitted again in time expires.
        """
        registry.submit(body.service_id, body.metrics)
        return {"status": "accepted", "service_id": body.service_id, "metrics": len(body.metrics)}, 202

    @api.delete("/services/<path:service_id>", responses={"204": None, "404": ErrorBody})
    def delete_service(path: ServicePath) -> ResponseReturnValue:
        """Delete a service and its values."""
        registry.delete(path.service_id)
        return Response(status=204)


def _reading(api: APIBlueprint, registry: Registry) -> None:
    @api.get("/services", responses={"200": Services})
    def list_services() -> ResponseReturnValue:
        """List the registered services."""
        return Services(services=list(registry.services())).model_dump()

    @api.get("/services/<path:service_id>", responses={"200": ServiceDetail, "404": ErrorBody})
    def get_service(path: ServicePath) -> ResponseReturnValue:
        """Show a service and its newest values."""
        service, values = registry.get(path.service_id)
        now = registry.clock.time()
        metrics = {
            name: SubmittedValue(value=one.value, age_seconds=round(max(0.0, now - one.time), 3))
            for name, one in values.items()
        }
        return ServiceDetail(**service.model_dump(), metrics=metrics).model_dump()
