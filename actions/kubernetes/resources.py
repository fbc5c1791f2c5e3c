"""The action `kubernetes.set_resources`: other requests and limits for a container."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, Field, model_validator

from presagio.actions.base import Target
from presagio.actions.kubernetes import rollouts, workloads
from presagio.actions.kubernetes.conflicts import GitOpsParams
from presagio.actions.kubernetes.rollouts import Rollout
from presagio.actions.kubernetes.workloads import State, Workload

Quantity = Annotated[str, Field(pattern=r"^[0-9]{1,15}(\.[0-9]{1,9})?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$")]
Amounts = Mapping[Literal["cpu", "memory"], Quantity]


class ResourcesParams(GitOpsParams):
    """What a policy may write under `kubernetes.set_resources:`."""

    container: str | None = Field(None, description="its name; not needed if there is only one")
    requests: Amounts = Field({}, description="cpu and memory that it is promised, as Kubernetes writes them")
    limits: Amounts = Field({}, description="cpu and memory that it never gets more of")

    @model_validator(mode="after")
    def _something(self) -> ResourcesParams:
        if not self.requests and not self.limits:
            raise ValueError("requests, limits or both, got neither")
        return self


class SetResources(Rollout):
    """Sets requests and limits; what the policy does not name stays."""

    Params: ClassVar[type[BaseModel]] = ResourcesParams
    name = "kubernetes.set_resources"

    def goal(self, workload: Workload, document: Mapping[str, Any], target: Target, params: ResourcesParams) -> State:
        """Return the container's resources, and its name: another one in its place is not touched."""
        del target
        at = rollouts.container(workload, document, params.container)
        found = workloads.get(document, f"{at}/resources") or {}
        wanted = {name: {**found.get(name, {}), **getattr(params, name)} for name in ("requests", "limits")}
        some = {name: amounts for name, amounts in wanted.items() if amounts}
        return {f"{at}/name": workloads.get(document, f"{at}/name"), f"{at}/resources": {**found, **some}}

    def words(self, workload: Workload, before: State, after: State) -> tuple[str, State, State]:
        """Tell of each amount."""
        (name,) = (value for path, value in after.items() if path.endswith("/name"))
        prior, desired = _amounts(before), _amounts(after)
        keys = sorted({*prior, *desired})
        differ = [f"{key} to {desired.get(key)}" for key in keys if prior.get(key) != desired.get(key)]
        summary = f"set {', '.join(differ)} of container {name} of {workload}"
        return summary, {key: prior.get(key) for key in keys}, {key: desired.get(key) for key in keys}


def _amounts(state: State) -> dict[str, str]:
    (resources,) = (value or {} for path, value in state.items() if path.endswith("/resources"))
    return {
        f"{name[:-1]} of {kind}": amount
        for name in ("requests", "limits")
        for kind, amount in resources.get(name, {}).items()
    }
