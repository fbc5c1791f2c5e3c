"""The actions on one node: `kubernetes.cordon` (no new pods) and `kubernetes.drain` (and the pods elsewhere).

Class A: what shall be is in the plan. The node carries a mark of ours, so that only our own cordon is undone.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar

from pydantic import BaseModel, Field

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
from presagio.actions.kubernetes import owners
from presagio.actions.kubernetes.cluster import ConflictError, OnCluster
from presagio.actions.kubernetes.pods import Name
from presagio.toolkit.schema import Model

MARK = "presagio/cordoned"

_CONTROL_PLANE = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
_TRIES = 5


class NodeParams(Model):
    """What a policy may write under `kubernetes.cordon:`."""

    node: Name = Field("${node}", description="name; ${label} may fill a part of it")
    min_nodes: int = Field(1, ge=1, description="never leave fewer nodes that are ready and take pods than this")
    control_plane: bool = Field(False, description="also a node of the control plane")


class Cordoning(Model):
    """The very node and the mark that makes a cordon ours: what a plan holds."""

    node: str
    uid: str
    mark: str


class Cordon(OnCluster):
    """Keeps new pods off a node; those that run there stay."""

    Params: ClassVar[type[BaseModel]] = NodeParams
    action_class: ClassVar[ActionClass] = ActionClass.DESIRED_STATE
    settle_seconds: ClassVar[float] = 10.0
    permissions: ClassVar[tuple[Permission, ...]] = (
        Permission("kubernetes cluster", "/nodes", ("get", "list", "patch")),
    )

    def plan(self, target: Target, params: NodeParams) -> Plan:
        """Look at the node and at those that would be left. Raises PlanError if it must not be cordoned."""
        node = self.allowed(target, params)
        if node.spec.unschedulable:
            raise PlanError(f"node {node.metadata.name!r} is cordoned already")
        return Plan(
            action="kubernetes.cordon",
            summary=f"cordon node {node.metadata.name}",
            params=cordoning(node).model_dump(mode="json"),
            prior_state={"unschedulable": False},
            undo={"unschedulable": False},
            desired_state={"unschedulable": True},
        )

    def apply(self, plan: Plan, attempt_id: str) -> Evidence:  # noqa: ARG002 # class A needs no attempt's id
        """Cordon it, unless somebody else has."""
        return self.cordon(_planned(plan))

    def probe(self, plan: Plan, attempt_id: str) -> Probe:  # noqa: ARG002 # the mark tells
        """Look at the node: cordoned by us, by somebody else, or not."""
        node = _planned(plan)
        try:
            found = self.read(node)
        except OutcomeError:
            return Probe.UNKNOWN
        if not found.spec.unschedulable:
            return Probe.NOT_APPLIED
        return Probe.APPLIED if _ours(found, node) else Probe.UNKNOWN

    def undo(self, plan: Plan) -> Evidence:
        """Let pods onto the node again, if our cordon still stands."""
        if plan.undo is None:
            raise NotAppliedError(f"node {plan.params['node']!r} was cordoned before us: no undo")
        return _again(lambda: self._uncordon(_planned(plan)))

    def changed(self, plan: Plan) -> str | None:
        """Return that our cordon does not stand any more, or None."""
        node = _planned(plan)
        with suppress(OutcomeError):
            found = self.read(node)
            if not found.spec.unschedulable or not _ours(found, node):
                return f"node {node.node!r} is not cordoned by us any more: someone else changed it"
        return None

    def allowed(self, target: Target, params: NodeParams) -> Any:
        """Return the node. Raises PlanError if it is of the control plane, or too few would be left."""
        name = placeholders.fill(params.node, target, placeholders.dns)
        node = self.cluster.call(f"node {name}", self.cluster.core.read_node, name)
        if not params.control_plane and any(label in (node.metadata.labels or {}) for label in _CONTROL_PLANE):
            raise PlanError(f"node {name!r} is of the control plane; say `control_plane: true` to act upon it")
        nodes = self.cluster.call("the nodes", self.cluster.core.list_node).items
        left = sum(one.metadata.name != name and takes_pods(one) for one in nodes)
        if left < params.min_nodes:
            least = params.min_nodes
            raise PlanError(f"without node {name!r} {left} nodes would take pods, fewer than min_nodes: {least}")
        return node

    def read(self, node: Cordoning) -> Any:
        """Return the very node. Raises NotAppliedError if it cannot be read, or another one has its name."""
        found = self.cluster.call(f"node {node.node}", self.cluster.core.read_node, node.node)
        if found.metadata.uid != node.uid:
            raise NotAppliedError(f"node {node.node!r} was deleted and made anew since it was planned")
        return found

    def cordon(self, node: Cordoning) -> Evidence:
        """Cordon it with our mark; nothing is done twice."""
        return _again(lambda: self._cordon(node))

    def _cordon(self, node: Cordoning) -> Evidence:
        found = self.read(node)
        if not found.spec.unschedulable:
            self._patch(found, unschedulable=True, mark=node.mark)
            return Evidence(f"node {node.node} was cordoned", {"node": node.node})
        if _ours(found, node):
            return Evidence(f"node {node.node} is cordoned already", {"node": node.node})
        raise NotAppliedError(f"node {node.node!r} is cordoned by someone else")

    def _uncordon(self, node: Cordoning) -> Evidence:
        found = self.read(node)
        if not _ours(found, node):
            raise NotAppliedError(f"node {node.node!r} is not cordoned by us any more: someone else changed it")
        self._patch(found, unschedulable=None, mark=None)
        return Evidence(f"node {node.node} was uncordoned", {"node": node.node})

    def _patch(self, found: Any, *, unschedulable: bool | None, mark: str | None) -> None:
        metadata = {"resourceVersion": found.metadata.resource_version, "annotations": {MARK: mark}}
        body = {"metadata": metadata, "spec": {"unschedulable": unschedulable}}
        name = found.metadata.name
        self.cluster.write(f"node {name}", self.cluster.core.patch_node, name, body)


def cordoning(node: Any) -> Cordoning:
    """Return what a plan holds of a node; its mark is the node's version at the plan."""
    meta = node.metadata
    return Cordoning(node=meta.name, uid=meta.uid, mark=meta.resource_version)


def takes_pods(node: Any) -> bool:
    """Return whether the scheduler may put pods onto the node."""
    return owners.is_ready(node) and not node.spec.unschedulable


def _planned(plan: Plan) -> Cordoning:
    return Cordoning.model_validate({key: plan.params[key] for key in Cordoning.model_fields})


def _ours(found: Any, node: Cordoning) -> bool:
    return bool(found.spec.unschedulable) and (found.metadata.annotations or {}).get(MARK) == node.mark


def _again(step: Callable[[], Evidence]) -> Evidence:
    """Read, compare and write, anew if only something else of the node changed meanwhile: its status often does."""
    for _ in range(_TRIES - 1):
        with suppress(ConflictError):
            return step()
    return step()
