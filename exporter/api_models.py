"""The bodies of the REST API: what is sent and what is answered."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from presagio.exporter.registry import EXAMPLE, Service, ServiceId
from presagio.toolkit.labels import Name

Value = Annotated[float, Field(strict=True, allow_inf_nan=False)]
MetricName = Annotated[Name, Field(max_length=200)]

_ID = "shop/checkout"


def _shown(**example: JsonValue) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"example": example})


class Submission(BaseModel):
    """Values of one service."""

    model_config = _shown(service_id=_ID, metrics={"cpu_ratio": 0.42, "queue_length": 7})

    service_id: ServiceId = Field(description="id of a registered service")
    metrics: dict[MetricName, Value] = Field(
        min_length=1, description="values by metric, named by letters, digits and underscores"
    )


class Registered(BaseModel):
    """The service is registered from now on."""

    model_config = _shown(status="registered", service_id=_ID)

    status: str = Field(description="registered or updated")
    service_id: str


class Accepted(BaseModel):
    """The values are on /metrics from now on."""

    model_config = _shown(status="accepted", service_id=_ID, metrics=2)

    status: str
    service_id: str
    metrics: int = Field(description="how many values were accepted")


class Services(BaseModel):
    """All services, by id."""

    services: list[Service]


class SubmittedValue(BaseModel):
    """The newest value of a metric."""

    value: float
    age_seconds: float = Field(description="time since it was submitted")


class ServiceDetail(Service):
    """A service and its values that have not expired."""

    model_config = _shown(**EXAMPLE, metrics={"cpu_ratio": {"value": 0.42, "age_seconds": 3.2}})

    metrics: dict[str, SubmittedValue]


class ServicePath(BaseModel):
    """Which service."""

    service_id: str = Field(
        description="id of a registered service; it may contain slashes", json_schema_extra={"example": _ID}
    )
