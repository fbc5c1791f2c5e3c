"""The REST API: services register, submit values, and are listed and deleted. Its document is at /docs."""

from __future__ import annotations

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from presagio.exporter.api_models import (
    Accepted,
    Registered,
    ServiceDetail,
    ServicePath,
    Services,
    Submission,
    SubmittedValue,
)
from presagio.exporter.registry import Registry, Service, UnknownServiceError
from presagio.toolkit.httperrors import RESPONSES, ErrorBody, answer
from presagio.toolkit.webconfig import SECURITY, Guard

_TAG = Tag(name="services", description="Services register, and submit values that Prometheus then scrapes.")


def create(registry: Registry, guard: Guard) -> APIBlueprint:
    """Return the API for `app.register_api`. Raises SecretError if `guard` has no key to check against."""
    api = APIBlueprint(
        "services",
        __name__,
        abp_tags=[_TAG],
        abp_security=SECURITY,
        abp_responses=dict(RESPONSES),
        operation_id_callback=lambda name, path, method: name,  # noqa: ARG005 # called by these names
    )
    guard.protect(api)
    api.register_error_handler(UnknownServiceError, lambda error: answer(404, str(error)))
    _scripted(api, registry)
    _services(api, registry)
    return api


def _scripted(api: APIBlueprint, registry: Registry) -> None:
    """Add what services call of themselves."""

    @api.post(
        "/register-service",
        description="The registration is on disk before it is answered: 201 for a new service, 200 for a known one.",
        responses={"200": Registered, "201": Registered, "409": ErrorBody},
    )
    def register_service(body: Service) -> tuple[dict[str, object], int]:
        """Register a service, or update it"""
        new = registry.register(body)
        status = "registered" if new else "updated"
        return {"status": status, "service_id": body.service_id}, 201 if new else 200

    @api.post(
        "/submit-metrics",
        description="They are on /metrics as presagio_submitted_value, and scored once Prometheus has scraped them. "
        "A value that is not submitted again in time expires.",
        responses={"202": Accepted, "404": ErrorBody, "409": ErrorBody},
    )
    def submit_metrics(body: Submission) -> tuple[dict[str, object], int]:
        """Submit values of a registered service"""
        registry.submit(body.service_id, body.metrics)
        return {"status": "accepted", "service_id": body.service_id, "metrics": len(body.metrics)}, 202


def _services(api: APIBlueprint, registry: Registry) -> None:
    """Add what people ask."""

    @api.get("/services", responses={"200": Services})
    def list_services() -> dict[str, object]:
        """List the registered services"""
        return Services(services=list(registry.services())).model_dump()

    @api.get("/services/<path:service_id>", responses={"200": ServiceDetail, "404": ErrorBody})
    def get_service(path: ServicePath) -> dict[str, object]:
        """Show a service and its newest values"""
        service, values = registry.get(path.service_id)
        now = registry.clock.time()
        metrics = {
            name: SubmittedValue(value=one.value, age_seconds=round(max(0.0, now - one.time), 3))
            for name, one in values.items()
        }
        return ServiceDetail(**service.model_dump(), metrics=metrics).model_dump()

    @api.delete("/services/<path:service_id>", responses={"204": None, "404": ErrorBody})
    def delete_service(path: ServicePath) -> Response:
        """Delete a service and its values"""
        registry.delete(path.service_id)
        return Response(status=204)
