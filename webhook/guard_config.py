"""The limits on acting, as they stand in webhook.yml: those of a policy, and those of the whole fleet."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field

from presagio.toolkit.schema import Model
from presagio.toolkit.units import Duration
from presagio.webhook.blast_radius import Amount
from presagio.webhook.criteria import Query, When
from presagio.webhook.windows import Window

_SERVICES = 'count(count by (service_id) ({__name__=~"presagio_service_anomaly_score|presagio_anomaly_score"}))'
_WATCHERS = r"(.*[/-])?(prometheus|alertmanager|presagio)([/-].*)?"
# What our exporter publishes without a label `job` gets that of its scrape, ours: it says nothing about the service.
_WATCHING_JOBS = r"(?!.*presagio)(.*[/-])?(prometheus|alertmanager)([/-].*)?"
_KUBERNETES = "kube-system|kube-public|kube-node-lease"


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"a regular expression ({error}), got {text!r}") from None
    return text


Pattern = Annotated[str, AfterValidator(_pattern)]


class Guards(Model):
    """What keeps a policy from acting too often, too widely, or at the wrong time."""

    cooldown: Duration = Field(1800.0, ge=0, description="rest of a target after a remediation")
    max_per_hour: int = Field(6, ge=0, description="remediations of this policy that act within an hour")
    max_unavailable: Amount = Field(
        "1", validate_default=True, description="replicas of the service, or per cent of them (rounded down), "
        "that may be missing while it acts",
    )  # fmt: skip
    min_available: Amount = Field(
        "0", validate_default=True, description="replicas of the service, or per cent of them (rounded up), that stay"
    )
    windows: tuple[Window, ...] = Field((), description="it acts only within these; none: at any time")
    harm: tuple[When, ...] = Field(
        (), description="PromQL conditions that tell, while it settles, that the action does harm: then it is undone"
    )


class Storm(Model):
    """When so much is wrong at once that single remediations would be guesses."""

    percent: float = Field(30.0, gt=0, le=100, description="share of services alerting beyond which new work waits")
    least: int = Field(10, ge=1, description="services that must be alerting for it to be a storm at all")
    services: Query = Field(_SERVICES, description="PromQL: how many services there are")


class FleetGuards(Model):
    """Limits that hold for all policies together."""

    max_per_hour: int = Field(30, ge=0, description="remediations that act within an hour, of all policies together")
    storm: Storm = Field(default_factory=Storm, description="when new work waits since too much is alerting")
    maintenance: tuple[Window, ...] = Field((), description="nothing is done within these: people are at work")
    protected: Mapping[str, Pattern] = Field(
        {
            "namespace": _KUBERNETES,
            "service_id": rf"({_KUBERNETES})/.*|{_WATCHERS}",
            "job": _WATCHING_JOBS,
            "deployment": _WATCHERS,
            "statefulset": _WATCHERS,
            "unit": _WATCHERS,
        },
        description="label: regular expression of the whole value; what has one of these labels is never acted upon",
    )

    def protects(self, labels: Mapping[str, str]) -> str | None:
        """Return the label, with its value, for which a target is never acted upon; None if there is none."""
        for name, pattern in self.protected.items():
            value = labels.get(name, "")
            if value and re.fullmatch(pattern, value):
                return f"{name}={value!r}"
        return None
