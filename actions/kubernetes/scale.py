"""The actions `kubernetes.scale_by` and `kubernetes.scale_to`: some replicas more, or fewer, or so many.

Class A: the plan says how many there are then. Only the number is written, through the scale sub-resource.
"""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, Field, field_validator, model_validator

from presagio.actions.base import (
    ActionClass,
    Evidence,
    NotAppliedError,
    OutcomeError,
    Permission,
    Plan,
    PlanError,
    Probe,
    Target,
)
from presagio.actions.kubernetes import conflicts, preflight, workloads
from presagio.actions.kubernetes.cluster import Cluster, DeletedError, OnCluster
from presagio.actions.kubernetes.conflicts import GitOpsParams
from presagio.actions.kubernetes.workloads import Workload

_SCALE = "_scale"


class BoundedParams(GitOpsParams):
    """Which workload, and between which numbers of replicas."""

    min: int = Field(1, ge=0, description="never fewer replicas than this")
    max: int = Field(20, ge=1, description="never more replicas than this")

    @model_validator(mode="after")
    def _ordered(self) -> BoundedParams:
        if self.min > self.max:
            raise ValueError(f"min that is at most max ({self.max}), got {self.min}")
        return self


class ScaleByParams(BoundedParams):
    """What a policy may write under `kubernetes.scale_by:`; a bare number is `by`."""

    by: int = Field(ge=-100, le=100, description="replicas more; fewer if negative")

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, params: object) -> object:
        return {"by": params} if isinstance(params, int) else params

    @field_validator("by")
    @classmethod
    def _moves(cls, by: int) -> int:
        if by == 0:
            raise ValueError("a number of replicas other than 0, got 0")
        return by


class ScaleToParams(BoundedParams):
    """What a policy may write under `kubernetes.scale_to:`."""

    replicas: int = Field(ge=0, description="how many it shall have")

    @model_validator(mode="after")
    def _within(self) -> ScaleToParams:
        if not self.min <= self.replicas <= self.max:
            raise ValueError(f"replicas between min ({self.min}) and max ({self.max}), got {self.replicas}")
        return self


class Scaling(Workload):
    """A workload, and the replicas it shall have: what a plan holds."""

    replicas: int


class Scale(Protocol):
    """The library's V1Scale: the scale of one workload at one moment."""

    metadata: Any
    spec: Any
    status: Any


class _Scale(OnCluster):
    """What both do. The classes below say how many replicas there shall be."""

    Params: ClassVar[type[BaseModel]]
    action_class: ClassVar[ActionClass] = ActionClass.DESIRED_STATE
    settle_seconds: ClassVar[float] = 60.0
    permissions: ClassVar[tuple[Permission, ...]] = (
        *workloads.permissions("get"),
        *workloads.permissions("get", "update", part="/scale"),
        *conflicts.PERMISSIONS,
    )
    name: ClassVar[str]

    def wanted(self, workload: Workload, prior: int, params: Any) -> int:
        """Return how many replicas there shall be. Raises PlanError if a bound forbids it."""
        raise NotImplementedError

    def plan(self, target: Target, params: Any) -> Plan:
        """Read the scale and say what it shall be. Raises PlanError: a bound, a permission, or who else scales it."""
        workload, document = workloads.find(self.cluster, params, target)
        preflight.check(self.cluster, workloads.of(workload.kind, self.permissions), workload.namespace)
        conflicts.repository(str(workload), document, params)
        conflicts.autoscaler(self.cluster, workload)
        scale = read(self.cluster, workload)
        prior = _replicas(scale)
        wanted = self.wanted(workload, prior, params)
        self._rehearse(workload, scale, wanted)
        return Plan(
            action=self.name,
            summary=f"scale {workload} from {prior} to {wanted} replicas",
            params={**workload.model_dump(mode="json"), "replicas": wanted},
            prior_state={"replicas": prior},
            undo={"replicas": prior},
            desired_state={"replicas": wanted},
        )

    def apply(self, plan: Plan, attempt_id: str) -> Evidence:  # noqa: ARG002 # class A needs no attempt's id
        """Set the planned number if the workload still has the number it was planned from."""
        scaling = Scaling.model_validate(plan.params)
        return self._move(scaling, plan.prior_state["replicas"], scaling.replicas)

    def probe(self, plan: Plan, attempt_id: str) -> Probe:  # noqa: ARG002 # the state itself tells
        """Compare the number of replicas with the planned and with the prior one."""
        scaling = Scaling.model_validate(plan.params)
        try:
            scale = self._read(scaling)
        except OutcomeError:
            return Probe.UNKNOWN
        told = {plan.prior_state["replicas"]: Probe.NOT_APPLIED, scaling.replicas: Probe.APPLIED}
        return told.get(_replicas(scale), Probe.UNKNOWN)

    def undo(self, plan: Plan) -> Evidence:
        """Restore the prior number if the planned one still stands. NotAppliedError: someone else changed it."""
        scaling = Scaling.model_validate(plan.params)
        return self._move(scaling, scaling.replicas, plan.prior_state["replicas"])

    def changed(self, plan: Plan) -> str | None:
        """Return the number of replicas if it is no longer ours, or that the workload is another one now."""
        scaling = Scaling.model_validate(plan.params)
        try:
            found = _replicas(self._read(scaling))
        except DeletedError as error:
            return str(error)
        except OutcomeError:
            return None
        return None if found == scaling.replicas else _foreign(scaling, found, scaling.replicas)

    def _rehearse(self, workload: Workload, scale: Scale, wanted: int) -> None:
        # without its version: whether somebody changes it meanwhile does not matter yet
        scale.metadata.resource_version, scale.spec.replicas = None, wanted
        replace = workloads.function(self.cluster, "replace", workload.kind, _SCALE)
        self.cluster.rehearse(str(workload), replace, workload.name, workload.namespace, scale)

    def _read(self, scaling: Scaling) -> Scale:
        scale = read(self.cluster, scaling)
        if scale.metadata.uid != scaling.uid:
            raise DeletedError(f"{scaling} was deleted and made anew since it was planned")
        return scale

    def _move(self, scaling: Scaling, source: int, target: int) -> Evidence:
        return workloads.again(lambda: self._try(scaling, source, target))

    def _try(self, scaling: Scaling, source: int, target: int) -> Evidence:
        scale = self._read(scaling)
        found = _replicas(scale)
        if found == target:
            return _evidence(scaling, scale, found, "already has")
        if found != source:
            raise NotAppliedError(_foreign(scaling, found, source))
        scale.spec.replicas = target
        return _evidence(scaling, write(self.cluster, scaling, scale), found, "was set to")


class ScaleBy(_Scale):
    """Gives a workload some replicas more, or fewer, within bounds."""

    Params: ClassVar[type[BaseModel]] = ScaleByParams
    name = "kubernetes.scale_by"

    def wanted(self, workload: Workload, prior: int, params: ScaleByParams) -> int:
        """Return the prior number and `by`."""
        wanted = prior + params.by
        if params.by > 0 and wanted > params.max:
            raise PlanError(f"{workload} has {prior} replicas; {wanted} would be more than max: {params.max}")
        if params.by < 0 and wanted < params.min:
            raise PlanError(f"{workload} has {prior} replicas; {wanted} would be fewer than min: {params.min}")
        return wanted


class ScaleTo(_Scale):
    """Gives a workload so many replicas."""

    Params: ClassVar[type[BaseModel]] = ScaleToParams
    name = "kubernetes.scale_to"

    def wanted(self, workload: Workload, prior: int, params: ScaleToParams) -> int:
        """Return the number that the policy names."""
        if prior == params.replicas:
            raise PlanError(f"{workload} has {prior} replicas already")
        return params.replicas


def read(cluster: Cluster, workload: Workload) -> Scale:
    """Return a workload's scale. Raises NotAppliedError: reading changes nothing."""
    ask = workloads.function(cluster, "read", workload.kind, _SCALE)
    scale: Scale = cluster.call(str(workload), ask, workload.name, workload.namespace)
    return scale


def write(cluster: Cluster, workload: Workload, scale: Scale) -> Scale:
    """Set it, if nobody changed the workload since `scale` was read. Raises OutcomeError."""
    replace = workloads.function(cluster, "replace", workload.kind, _SCALE)
    written: Scale = cluster.write(str(workload), replace, workload.name, workload.namespace, scale)
    return written


def _replicas(scale: Scale) -> int:
    # Go leaves out a zero.
    return int(scale.spec.replicas or 0) if scale.spec else 0


def _foreign(scaling: Scaling, found: int, ours: int) -> str:
    return f"{scaling} has {found} replicas, not {ours}: someone else changed it"


def _evidence(scaling: Scaling, scale: Scale, before: int, how: str) -> Evidence:
    facts = {
        "replicas": _replicas(scale),
        "replicas_before": before,
        "resource_version": scale.metadata.resource_version,
    }
    return Evidence(f"{scaling} {how} {_replicas(scale)} replicas", facts)
