"""The action `kubernetes.scale_by`: some replicas more, or fewer."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, Field, field_validator, model_validator

from presagio.actions import placeholders
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
from presagio.actions.kubernetes.cluster import Cluster, ConflictError, DeletedError, connect
from presagio.toolkit.schema import Model

_TRIES = 5


class ScaleByParams(Model):
    """What a policy may write under `kubernetes.scale_by:`; a bare number is `by`."""

    by: int = Field(ge=-100, le=100, description="replicas more; fewer if negative")
    deployment: str = Field("${deployment}", description="name; ${label} may fill a part of it")
    namespace: str | None = Field(
        None, description="its namespace; default: that of the credentials, as for kubectl. ${label} may fill it"
    )
    min: int = Field(1, ge=0, description="never fewer replicas than this")
    max: int = Field(20, ge=1, description="never more replicas than this")

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

    @field_validator("deployment", "namespace")
    @classmethod
    def _names(cls, text: str | None) -> str | None:
        return text and placeholders.check_template(text)

    @model_validator(mode="after")
    def _ordered(self) -> ScaleByParams:
        if self.min > self.max:
            raise ValueError(f"min that is at most max ({self.max}), got {self.min}")
        return self


class Scaling(Model):
    """A deployment, the very object, and the replicas it shall have: what a plan holds."""

    namespace: str
    deployment: str
    uid: str
    replicas: int


class Scale(Protocol):
    """The library's V1Scale: the scale of one deployment at one moment."""

    metadata: Any
    spec: Any
    status: Any


class ScaleBy:
    """Gives a deployment some replicas more, or fewer, within bounds. Class A: the plan says how many it has then."""

    Params: ClassVar[type[BaseModel]] = ScaleByParams
    action_class: ClassVar[ActionClass] = ActionClass.DESIRED_STATE
    settle_seconds: ClassVar[float] = 60.0
    permissions: ClassVar[tuple[Permission, ...]] = (
        Permission("kubernetes", "apps/deployments/scale", ("get", "update")),
    )

    def __init__(self, cluster: Cluster | None = None) -> None:
        self._cluster = cluster

    @property
    def cluster(self) -> Cluster:
        """The cluster of our credentials. Raises NotAppliedError without any."""
        return self._cluster or connect()

    def plan(self, target: Target, params: ScaleByParams) -> Plan:
        """Read the scale and say what it shall be. Raises PlanError if a bound forbids it."""
        name = placeholders.fill(params.deployment, target, placeholders.dns)
        namespace = self.cluster.namespace_of(params.namespace, target)
        scale = read(self.cluster, name, namespace)
        prior = _replicas(scale)
        wanted = _bounded(f"{namespace}/{name}", prior, params)
        scaling = Scaling(namespace=namespace, deployment=name, uid=scale.metadata.uid, replicas=wanted)
        return Plan(
            action="kubernetes.scale_by",
            summary=f"scale deployment {namespace}/{name} from {prior} to {wanted} replicas",
            params=scaling.model_dump(mode="json"),
            prior_state={"replicas": prior, "resource_version": scale.metadata.resource_version},
            undo={"replicas": prior},
            desired_state={"replicas": wanted},
        )

    def apply(self, plan: Plan, attempt_id: str) -> Evidence:  # noqa: ARG002 # class A needs no attempt's id
        """Set the planned number if the deployment still has the number it was planned from."""
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
        """Return the number of replicas if it is no longer ours, or that the deployment is another one now."""
        scaling = Scaling.model_validate(plan.params)
        try:
            found = _replicas(self._read(scaling))
        except DeletedError as error:
            return str(error)
        except OutcomeError:
            return None
        ours = scaling.replicas
        return (
            None if found == ours else f"{_name(scaling)} has {found} replicas, not {ours}: someone else changed it"
        )

    def _read(self, scaling: Scaling) -> Scale:
        scale = read(self.cluster, scaling.deployment, scaling.namespace)
        if scale.metadata.uid != scaling.uid:
            raise DeletedError(f"{_name(scaling)} was deleted and made anew since it was planned")
        return scale

    def _move(self, scaling: Scaling, source: int, target: int) -> Evidence:
        """Compare and set, anew if only something else of the deployment changed meanwhile: its status often does."""
        for _ in range(_TRIES - 1):
            with suppress(ConflictError):
                return self._try(scaling, source, target)
        return self._try(scaling, source, target)

    def _try(self, scaling: Scaling, source: int, target: int) -> Evidence:
        scale = self._read(scaling)
        found = _replicas(scale)
        if found == target:
            return _evidence(scaling, scale, found, "already has")
        if found != source:
            raise NotAppliedError(_foreign(scaling, found, source))
        scale.spec.replicas = target
        written = write(self.cluster, scaling.deployment, scaling.namespace, scale)
        return _evidence(scaling, written, found, "was set to")


def _bounded(name: str, prior: int, params: ScaleByParams) -> int:
    wanted = prior + params.by
    if params.by > 0 and wanted > params.max:
        raise PlanError(f"deployment {name} has {prior} replicas; {wanted} would be more than max: {params.max}")
    if params.by < 0 and wanted < params.min:
        raise PlanError(f"deployment {name} has {prior} replicas; {wanted} would be fewer than min: {params.min}")
    return wanted


def _replicas(scale: Scale) -> int:
    # Go leaves out a zero.
    return int(scale.spec.replicas or 0) if scale.spec else 0


def _name(scaling: Scaling) -> str:
    return f"deployment {scaling.namespace}/{scaling.deployment}"


def _foreign(scaling: Scaling, found: int, ours: int) -> str:
    return f"{_name(scaling)} has {found} replicas, not {ours}: someone else changed it"


def _evidence(scaling: Scaling, scale: Scale, before: int, how: str) -> Evidence:
    facts = {
        "replicas": _replicas(scale),
        "replicas_before": before,
        "resource_version": scale.metadata.resource_version,
    }
    return Evidence(f"{_name(scaling)} {how} {_replicas(scale)} replicas", facts)


def read(cluster: Cluster, name: str, namespace: str) -> Scale:
    """Return a deployment's scale. Raises NotAppliedError: reading changes nothing."""
    ask = cluster.apps.read_namespaced_deployment_scale
    scale: Scale = cluster.call(f"deployment {namespace}/{name}", ask, name, namespace)
    return scale


def write(cluster: Cluster, name: str, namespace: str, scale: Scale) -> Scale:
    """Set it, if nobody changed the deployment since `scale` was read. Raises OutcomeError."""
    replace = cluster.apps.replace_namespaced_deployment_scale
    written: Scale = cluster.write(f"deployment {namespace}/{name}", replace, name, namespace, scale)
    return written
