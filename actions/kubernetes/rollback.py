"""The action `kubernetes.rollback`: back to the pods of the revision before, as `kubectl rollout undo` goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel

from presagio.actions.base import Permission, PlanError, Target
from presagio.actions.kubernetes import workloads
from presagio.actions.kubernetes.conflicts import GitOpsParams
from presagio.actions.kubernetes.rollouts import Rollout
from presagio.actions.kubernetes.workloads import State, Workload

TEMPLATE = "/spec/template"

_HASH = "pod-template-hash"
_REVISION = "deployment.kubernetes.io/revision"


class RollbackParams(GitOpsParams):
    """What a policy may write under `kubernetes.rollback:`."""


class Rollback(Rollout):
    """Gives a workload the pod template of its previous revision, which Kubernetes keeps."""

    Params: ClassVar[type[BaseModel]] = RollbackParams
    permissions: ClassVar[tuple[Permission, ...]] = (
        *workloads.permissions("get", "patch"),
        Permission("kubernetes", "apps/replicasets", ("list",)),
        Permission("kubernetes", "apps/controllerrevisions", ("list",)),
    )
    name = "kubernetes.rollback"

    def goal(self, workload: Workload, document: Mapping[str, Any], target: Target, params: Any) -> State:
        """Return the template of the newest revision that has another one than the workload."""
        del target, params
        past = self._past(workload, document)
        current = workloads.get(document, TEMPLATE)
        older = [revision for revision, template in past if template == current]
        newest = max(older, default=max((revision for revision, _ in past), default=0) + 1)
        before = [(revision, template) for revision, template in past if revision < newest and template != current]
        if not before:
            raise PlanError(f"{workload} has no revision before this one to go back to")
        return {TEMPLATE: max(before, key=lambda one: one[0])[1]}

    def words(self, workload: Workload, before: State, after: State) -> tuple[str, State, State]:
        """Tell of the images: they are what mostly differs."""
        now, then = _images(before), _images(after)
        differ = [f"{name}: {image}" for name, image in then.items() if now.get(name) != image]
        what = ", ".join(differ) or "the same images, other settings"
        return f"roll {workload} back to its previous revision ({what})", now, then

    def _past(self, workload: Workload, document: Mapping[str, Any]) -> list[tuple[int, Any]]:
        """Return revisions and their templates."""
        labels = document["spec"]["selector"].get("matchLabels") or {}
        selector = {"label_selector": ",".join(f"{key}={value}" for key, value in labels.items())}
        if workload.kind == "statefulset":
            ask = self.cluster.apps.list_namespaced_controller_revision
            kept = self.cluster.document(f"revisions of {workload}", ask, workload.namespace, **selector)["items"]
            return [(int(one["revision"]), _without_patch(one["data"])) for one in kept if _is_of(one, workload)]
        ask = self.cluster.apps.list_namespaced_replica_set
        sets = self.cluster.document(f"replica sets of {workload}", ask, workload.namespace, **selector)["items"]
        return [(_revision(one), _without_hash(one["spec"]["template"])) for one in sets if _is_of(one, workload)]


def _is_of(thing: Mapping[str, Any], workload: Workload) -> bool:
    owners = thing["metadata"].get("ownerReferences") or ()
    return any(owner.get("controller") and owner["uid"] == workload.uid for owner in owners)


def _revision(replica_set: Mapping[str, Any]) -> int:
    return int((replica_set["metadata"].get("annotations") or {}).get(_REVISION, 0))


def _without_hash(template: Mapping[str, Any]) -> dict[str, Any]:
    labels = {key: value for key, value in template["metadata"].get("labels", {}).items() if key != _HASH}
    return {**template, "metadata": {**template["metadata"], "labels": labels}}


def _without_patch(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data["spec"]["template"].items() if key != "$patch"}


def _images(state: State) -> dict[str, str]:
    return {f"image of {one['name']}": one.get("image", "") for one in state[TEMPLATE]["spec"]["containers"]}
