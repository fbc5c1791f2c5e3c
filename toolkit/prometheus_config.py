"""Which Prometheus series are read from, and what is said to it beside the query: a part of a configuration file."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from pydantic import Field, field_validator

from presagio.toolkit.link_config import LinkConfig

_ASKED = ("query", "time", "start", "end", "step", "timeout")


class Kind(StrEnum):
    """What answers. Only where it must be asked otherwise than Prometheus is there a kind of its own."""

    PROMETHEUS = "prometheus"
    VICTORIA_METRICS = "victoria-metrics"


PARAMETERS: Mapping[Kind, Mapping[str, str]] = {
    Kind.PROMETHEUS: {},
    # Else VictoriaMetrics answers from a cache that does not know what came late, moves the moments of a range onto
    # multiples of its step, and leaves out the last 30 seconds: it repeats what was before them. 0 it refuses.
    Kind.VICTORIA_METRICS: {"nocache": "1", "latency_offset": "1ms"},
}


class PrometheusConfig(LinkConfig):
    """Where Prometheus is and who we are to it."""

    url: str = Field("http://localhost:9090", description="base URL, with its path prefix if it has one")
    kind: Kind = Field(
        Kind.PROMETHEUS,
        description="what answers: `prometheus` is right for Thanos, Mimir and Amazon's service too",
    )
    parameters: Mapping[str, str] = Field(
        default_factory=dict,
        description="sent with each query, such as `{dedup: true, partial_response: false}` for Thanos",
    )

    @field_validator("parameters", mode="before")
    @classmethod
    def _as_sent(cls, parameters: Any) -> Any:
        return (
            {name: _text(value) for name, value in parameters.items()} if isinstance(parameters, dict) else parameters
        )

    @field_validator("parameters")
    @classmethod
    def _not_asked(cls, parameters: Mapping[str, str]) -> Mapping[str, str]:
        for name in parameters:
            if name in _ASKED:
                raise ValueError(f"parameters beside {', '.join(_ASKED)}, which each query has, got {name!r}")
        return parameters

    @property
    def beside(self) -> Mapping[str, str]:
        """What is sent with each query beside it."""
        return {**PARAMETERS[self.kind], **self.parameters}


def _text(value: Any) -> Any:
    """Return what YAML took for a truth or a whole number as it is written in a query."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else value
