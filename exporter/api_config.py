"""The part of exporter.yml under `api:`: who may register services and submit values, and how many."""

from __future__ import annotations

from pydantic import Field

from presagio.toolkit.units import Duration
from presagio.toolkit.webconfig import AuthConfig


class ApiConfig(AuthConfig):
    """The REST API."""

    max_services: int = Field(1000, ge=1, description="most services registered")
    max_metrics_per_service: int = Field(100, ge=1, description="most metrics submitted for one service")
    max_feedback: int = Field(1000, ge=1, description="most periods judged by people that are in force")
    expire_after: Duration = Field(300.0, gt=0, description="a value not submitted again for so long is withdrawn")
