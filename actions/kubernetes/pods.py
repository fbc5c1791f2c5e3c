"""The actions on one pod: `kubernetes.delete_pod` and `kubernetes.evict_pod`. Its controller makes a new one.

Class C: a pod has a UID, so the very pod that was planned for is still there, or it is not.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, Field

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
from presagio.actions.kubernetes import evictions, owners
from presagio.actions.kubernetes.cluster import OnCluster
from presagio.toolkit.schema import Model
from presagio.toolkit.units import Duration

Name = Annotated[str, AfterValidator(placeholders.check_template)]

_NOT_FOUND = 404


class PodParams(Model):
    """What a policy may write under `kubernetes.delete_pod:` and `kubernetes.evict_pod:`."""

    pod: Name = Field("${pod}", description="name; ${label} may fill a part of it")
    namespace: Name | None = Field(None, description="its namespace; default: that of the credentials")
    bare: bool = Field(False, description="also a pod without a controller, which nobody makes anew")
    grace: Duration | None = Field(None, ge=1, description="time it gets to end; default: what the pod says itself")


class OnePod(Model):
    """The very pod: what a plan holds."""

    namespace: str
    pod: str
    uid: str
    grace: int | None = None


class DeletePod(OnCluster):
    """Deletes a pod, so that its controller makes a new one."""

    Params: ClassVar[type[BaseModel]] = PodParams
    action_class: ClassVar[ActionClass] = ActionClass.PROBED
    settle_seconds: ClassVar[float] = 60.0
    permissions: ClassVar[tuple[Permission, ...]] = (
        Permission("kubernetes", "/pods", ("get", "delete")),
        *owners.PERMISSIONS,
    )
    action: ClassVar[str] = "kubernetes.delete_pod"
    verb: ClassVar[str] = "delete"
    done: ClassVar[str] = "deleted"
    way: ClassVar[evictions.Way] = staticmethod(evictions.delete)

    def plan(self, target: Target, params: PodParams) -> Plan:
        """Find the pod and ask the server whether it would go. PlanError: nobody would make it anew."""
        name = placeholders.fill(params.pod, target, placeholders.dns)
        namespace = self.cluster.namespace_of(params.namespace, target)
        pod = self._read(name, namespace)
        _check(pod, bare=params.bare)
        grace = None if params.grace is None else int(params.grace)
        one = OnePod(namespace=namespace, pod=name, uid=pod.metadata.uid, grace=grace).model_dump(mode="json")
        self.way(self.cluster, one, rehearse=True)
        return Plan(
            action=self.action,
            summary=f"{self.verb} pod {namespace}/{name}{_whose(pod)}",
            params=one,
            prior_state={"uid": pod.metadata.uid},
            desired_state={"uid": None},
            disruption=owners.disruption(self.cluster, pod),
        )

    def apply(self, plan: Plan, attempt_id: str) -> Evidence:  # noqa: ARG002 # the UID tells
        """Take this very pod away. NotAppliedError: it is gone already, or a disruption budget forbids it now."""
        one = OnePod.model_validate(plan.params)
        # asked first, as the server tries again for ten seconds to evict a pod with a wrong UID
        if self._read(one.pod, one.namespace).metadata.uid != one.uid:
            raise NotAppliedError(f"pod {one.namespace}/{one.pod} was deleted and made anew since it was planned")
        self.way(self.cluster, plan.params)
        return Evidence(f"pod {one.namespace}/{one.pod} was {self.done}", {"uid": one.uid})

    def probe(self, plan: Plan, attempt_id: str) -> Probe:  # noqa: ARG002 # the UID tells
        """Look for the UID: gone, or about to end, is applied."""
        one = OnePod.model_validate(plan.params)
        try:
            pod = self._read(one.pod, one.namespace)
        except OutcomeError as error:
            return Probe.APPLIED if _status(error) == _NOT_FOUND else Probe.UNKNOWN
        there = pod.metadata.uid == one.uid and not pod.metadata.deletion_timestamp
        return Probe.NOT_APPLIED if there else Probe.APPLIED

    def undo(self, plan: Plan) -> Evidence:
        """Raise NotAppliedError: a pod that is gone stays gone."""
        one = OnePod.model_validate(plan.params)
        raise NotAppliedError(f"there is no undo for pod {one.namespace}/{one.pod}; its controller made a new one")

    def changed(self, plan: Plan) -> None:
        """Return None: nothing that we wrote is left to be changed."""
        del plan

    def _read(self, name: str, namespace: str) -> Any:
        return self.cluster.call(f"pod {namespace}/{name}", self.cluster.core.read_namespaced_pod, name, namespace)


class EvictPod(DeletePod):
    """Evicts a pod: as deleting it, but the disruption budgets of its workload have a say."""

    permissions: ClassVar[tuple[Permission, ...]] = (
        Permission("kubernetes", "/pods", ("get",)),
        Permission("kubernetes", "/pods/eviction", ("create",)),
        *owners.PERMISSIONS,
    )
    action: ClassVar[str] = "kubernetes.evict_pod"
    verb: ClassVar[str] = "evict"
    done: ClassVar[str] = "evicted"
    way: ClassVar[evictions.Way] = staticmethod(evictions.evict)


def _check(pod: Any, *, bare: bool) -> None:
    name = f"pod {pod.metadata.namespace}/{pod.metadata.name}"
    if owners.is_mirror(pod):
        raise PlanError(f"{name} is run by its node from a file; act upon the node instead")
    if pod.metadata.deletion_timestamp:
        raise PlanError(f"{name} is ending already")
    if owners.controller(pod) is None and not bare:
        raise PlanError(f"{name} has no controller, nobody would make it anew; say `bare: true` to lose it")


def _whose(pod: Any) -> str:
    owner = owners.controller(pod)
    return f" of {owner.kind} {owner.name}" if owner else ", which nobody makes anew"


def _status(error: Exception) -> int | None:
    return getattr(error.__cause__, "status", None)
