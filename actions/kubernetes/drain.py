"""The action `kubernetes.drain`: cordons a node and evicts its pods, as far as disruption budgets let them go.

Class A: what shall be is a cordoned node without pods. After a crash, or when the time was too short, it goes on.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from presagio.actions.base import (
    ActionClass,
    Disruption,
    Evidence,
    NotAppliedError,
    OutcomeError,
    Permission,
    Plan,
    PlanError,
    Probe,
    Target,
    UnknownOutcomeError,
)
from presagio.actions.kubernetes import evictions, owners
from presagio.actions.kubernetes.cluster import Cluster
from presagio.actions.kubernetes.nodes import Cordon, Cordoning, NodeParams, cordoning, takes_pods
from presagio.toolkit.units import Duration, format_duration

_PAUSE = 2.0
_MOST = 5
_HOST_NAME = 63
_ENDED = ("Succeeded", "Failed")
_LATER = (404, 409, 429)


class DrainParams(NodeParams):
    """What a policy may write under `kubernetes.drain:`."""

    timeout: Duration = Field(300.0, gt=0, description="how long it asks again where a budget says no")
    bare: bool = Field(False, description="also pods without a controller, which nobody makes anew")
    empty_dir: bool = Field(False, description="also pods with an emptyDir, whose content is lost")


class Draining(Cordoning):
    """The very node and how long to try: what a plan holds."""

    timeout: float


class Drain(Cordon):
    """Empties a node. Pods of daemon sets and those that the node runs from files stay."""

    Params: ClassVar[type[BaseModel]] = DrainParams
    action_class: ClassVar[ActionClass] = ActionClass.DESIRED_STATE
    settle_seconds: ClassVar[float] = 120.0
    permissions: ClassVar[tuple[Permission, ...]] = (
        *Cordon.permissions,
        Permission("kubernetes cluster", "/pods", ("list",)),
        Permission("kubernetes cluster", "/pods/eviction", ("create",)),
    )

    def __init__(self, cluster: Cluster | None = None, sleep: Callable[[float], None] = time.sleep) -> None:
        super().__init__(cluster)
        self._sleep = sleep

    def plan(self, target: Target, params: DrainParams) -> Plan:  # type: ignore[override] # its own parameters
        """Look at the node, its pods and the other nodes. Raises PlanError if it must not be drained."""
        node = self.allowed(target, params)
        name = node.metadata.name
        pods = self._pods(name)
        _check_ourselves(node, pods)
        leaving = [pod for pod in pods if _leaves(pod)]
        for pod in leaving:
            _check(pod, params)
        cordoned = bool(node.spec.unschedulable)
        params_ = Draining(**cordoning(node).model_dump(), timeout=params.timeout)
        return Plan(
            action="kubernetes.drain",
            summary=f"cordon node {name} and evict its {len(leaving)} pods",
            params=params_.model_dump(mode="json"),
            prior_state={"unschedulable": cordoned, "pods": sorted(map(_name, leaving))},
            undo=None if cordoned else {"unschedulable": False},
            desired_state={"unschedulable": True, "pods": []},
            disruption=self._disruption(node, params),
        )

    def apply(self, plan: Plan, attempt_id: str) -> Evidence:  # noqa: ARG002 # class A needs no attempt's id
        """Cordon, then evict until no pod is left. UnknownOutcomeError: the time is over and pods are left."""
        node = Draining.model_validate(plan.params)
        if plan.undo is not None:
            self.cordon(node)
        end = time.monotonic() + node.timeout
        refused = self._evict(node)
        while refused and time.monotonic() < end:
            self._sleep(_PAUSE)
            refused = self._evict(node)
        if refused:
            raise UnknownOutcomeError(_left(node, refused), Evidence(_left(node, refused), {"pods": refused}))
        return Evidence(f"node {node.node} was drained", {"node": node.node})

    def probe(self, plan: Plan, attempt_id: str) -> Probe:  # noqa: ARG002 # the node and its pods tell
        """Return whether the node is cordoned and empty; if not, the same plan goes on where it was."""
        node = Draining.model_validate(plan.params)
        try:
            done = bool(self.read(node).spec.unschedulable) and not self._staying(node)
        except OutcomeError:
            return Probe.UNKNOWN
        return Probe.APPLIED if done else Probe.NOT_APPLIED

    def changed(self, plan: Plan) -> str | None:
        """Return that our cordon does not stand any more, or None; nothing where it never was ours."""
        return super().changed(plan) if plan.undo is not None else None

    def _evict(self, node: Draining) -> dict[str, str]:
        """Ask for each pod that is left; return those that may not go now, and why."""
        refused = {}
        try:
            for pod in self._staying(node):
                if reason := self._ask(pod):
                    refused[_name(pod)] = reason
        except OutcomeError as error:
            raise UnknownOutcomeError(f"node {node.node!r} is cordoned, its pods not all evicted: {error}") from error
        return refused

    def _ask(self, pod: Any) -> str | None:
        meta = pod.metadata
        try:
            evictions.evict(self.cluster, {"namespace": meta.namespace, "pod": meta.name, "uid": meta.uid})
        except NotAppliedError as error:
            if getattr(error.__cause__, "status", None) not in _LATER:
                raise
            return str(error)
        return None

    def _staying(self, node: Draining) -> list[Any]:
        """Return the pods that shall leave and are not about to."""
        return [pod for pod in self._pods(node.node) if _leaves(pod)]

    def _pods(self, node: str) -> list[Any]:
        function = self.cluster.core.list_pod_for_all_namespaces
        found = self.cluster.call(f"the pods of node {node}", function, field_selector=f"spec.nodeName={node}")
        return list(found.items)

    def _disruption(self, node: Any, params: NodeParams) -> Disruption:
        """Return what the cluster loses: here a node is the replica."""
        nodes = self.cluster.call("the nodes", self.cluster.core.list_node).items
        return Disruption(len(nodes), sum(map(takes_pods, nodes)), int(takes_pods(node)), params.min_nodes)


def _leaves(pod: Any) -> bool:
    owner = owners.controller(pod)
    stays = owners.is_mirror(pod) or (owner is not None and owner.kind == "DaemonSet")
    ended = pod.metadata.deletion_timestamp or pod.status.phase in _ENDED
    return not stays and not ended


def _check(pod: Any, params: DrainParams) -> None:
    if owners.controller(pod) is None and not params.bare:
        raise PlanError(f"pod {_name(pod)} has no controller, nobody would make it anew; say `bare: true` to lose it")
    if not params.empty_dir and any(volume.empty_dir for volume in pod.spec.volumes or ()):
        raise PlanError(f"pod {_name(pod)} keeps data in an emptyDir; say `empty_dir: true` to lose them")


def _check_ourselves(node: Any, pods: list[Any]) -> None:
    """Raise PlanError if this process runs there: its host's name is that of its pod, or of the node."""
    own = socket.gethostname()
    hosts = {node.metadata.name, (node.metadata.labels or {}).get("kubernetes.io/hostname")}
    hosts |= {(pod.spec.hostname or pod.metadata.name)[:_HOST_NAME] for pod in pods}
    if own in hosts:
        raise PlanError(f"node {node.metadata.name!r} runs Presagio itself and is never drained by it")


def _name(pod: Any) -> str:
    return f"{pod.metadata.namespace}/{pod.metadata.name}"


def _left(node: Draining, refused: dict[str, str]) -> str:
    some = "; ".join([*refused.values()][:_MOST])
    limit = format_duration(node.timeout)
    return f"node {node.node!r} is cordoned; after {limit} {len(refused)} pods are left: {some}"
