"""A Deployment or a StatefulSet: which one a policy means, and how some places in it are changed and restored.

A change is compare-and-set: it is written only while each place still has the value that it was planned from, against
the very version that was read. What else is in the workload, and who else writes it, does not matter.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field

from presagio.actions import placeholders
from presagio.actions.base import NotAppliedError, OutcomeError, Permission, Probe, Target
from presagio.actions.kubernetes.cluster import Cluster, ConflictError, DeletedError
from presagio.toolkit.schema import Model

Kind = Literal["deployment", "statefulset"]
Name = Annotated[str, AfterValidator(placeholders.check_template)]
State = Mapping[str, Any]
"""What stands at some places of a workload, each named by a JSON pointer (RFC 6901); None for nothing."""

_KINDS: Mapping[Kind, str] = {"deployment": "deployment", "statefulset": "stateful_set"}
_OWN: Mapping[Kind, tuple[str, ...]] = {
    "deployment": ("deployments", "replicasets"),
    "statefulset": ("statefulsets", "controllerrevisions"),
}
_TRIES = 5
T = TypeVar("T")


class WorkloadParams(Model):
    """Which workload."""

    deployment: Name = Field("${deployment}", description="name; ${label} may fill a part of it")
    statefulset: Name | None = Field(None, description="instead: name of a StatefulSet")
    namespace: Name | None = Field(
        None, description="its namespace; default: that of the credentials, as for kubectl"
    )


class Workload(Model):
    """The very workload: what a plan holds. It prints as people name it."""

    kind: Kind
    namespace: str
    name: str
    uid: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


def permissions(*verbs: str, part: str = "") -> tuple[Permission, ...]:
    """Return what is needed to do something with workloads of both kinds, or with a part of them."""
    return tuple(Permission("kubernetes", f"apps/{kind}s{part}", verbs) for kind in _KINDS)


def of(kind: Kind, permissions: Iterable[Permission]) -> list[Permission]:
    """Return the permissions without those that only another kind of workload needs."""
    others = tuple(f"apps/{thing}" for other, things in _OWN.items() if other != kind for thing in things)
    return [permission for permission in permissions if not permission.resource.startswith(others)]


def function(cluster: Cluster, verb: str, kind: Kind, part: str = "") -> Any:
    """Return the library's function for a kind of workload."""
    return getattr(cluster.apps, f"{verb}_namespaced_{_KINDS[kind]}{part}")


def choose(cluster: Cluster, params: WorkloadParams, target: Target) -> tuple[Kind, str, str]:
    """Return kind, namespace and name. Raises PlanError for a label that is missing or no name."""
    kind: Kind = "statefulset" if params.statefulset else "deployment"
    name = placeholders.fill(params.statefulset or params.deployment, target, placeholders.dns)
    return kind, cluster.namespace_of(params.namespace, target), name


def find(cluster: Cluster, params: WorkloadParams, target: Target) -> tuple[Workload, dict[str, Any]]:
    """Return the workload that a policy means, and what the server tells of it. Raises PlanError, NotAppliedError."""
    kind, namespace, name = choose(cluster, params, target)
    document = _ask(cluster, kind, namespace, name)
    return Workload(kind=kind, namespace=namespace, name=name, uid=document["metadata"]["uid"]), document


def read(cluster: Cluster, workload: Workload) -> dict[str, Any]:
    """Return what the server tells of this very workload. Raises NotAppliedError."""
    document = _ask(cluster, workload.kind, workload.namespace, workload.name)
    if document["metadata"]["uid"] != workload.uid:
        raise DeletedError(f"{workload} was deleted and made anew since it was planned")
    return document


def move(cluster: Cluster, workload: Workload, source: State, goal: State) -> str:
    """Compare and set; return the version before. Raises OutcomeError, also if something else stands there now."""
    return again(lambda: _move(cluster, workload, source, goal))


def rehearse(cluster: Cluster, workload: Workload, document: Mapping[str, Any], goal: State) -> State:
    """Ask the server whether it would; return the values in its own words. Raises PlanError, NotAppliedError."""
    would = _patch(cluster.rehearse, cluster, workload, _operations(document, goal))
    return {path: get(would, path) for path in goal}


def probe(cluster: Cluster, workload: Workload, source: State, goal: State) -> Probe:
    """Compare what stands there with what was planned, and with what was before."""
    try:
        found = _found(read(cluster, workload), goal)
    except OutcomeError:
        return Probe.UNKNOWN
    if found == dict(goal):
        return Probe.APPLIED
    return Probe.NOT_APPLIED if found == dict(source) else Probe.UNKNOWN


def changed(cluster: Cluster, workload: Workload, ours: State) -> str | None:
    """Return what somebody else has changed of it; None if nothing, or nobody can say."""
    try:
        found = _found(read(cluster, workload), ours)
    except DeletedError as error:
        return str(error)
    except OutcomeError:
        return None
    return None if found == dict(ours) else _foreign(workload, found, ours)


def again(step: Callable[[], T]) -> T:
    """Read, compare and write, anew if only something else changed meanwhile: the status of a workload often does."""
    for _ in range(_TRIES - 1):
        with suppress(ConflictError):
            return step()
    return step()


def get(document: Any, path: str) -> Any:
    """Return what stands at a JSON pointer, None for nothing."""
    for step in _steps(path):
        if isinstance(document, list):
            document = document[int(step)] if int(step) < len(document) else None
        else:
            document = document.get(step)
        if document is None:
            return None
    return document


def _move(cluster: Cluster, workload: Workload, source: State, goal: State) -> str:
    document = read(cluster, workload)
    found = _found(document, goal)
    if found != dict(goal):
        if found != dict(source):
            raise NotAppliedError(_foreign(workload, found, source))
        # with the version in it, the server refuses (409) what was changed since
        version = {
            "op": "replace",
            "path": "/metadata/resourceVersion",
            "value": document["metadata"]["resourceVersion"],
        }
        _patch(cluster.write, cluster, workload, [version, *_operations(document, goal)])
    return str(document["metadata"]["resourceVersion"])


def _patch(send: Callable[..., Any], cluster: Cluster, workload: Workload, operations: list[Any]) -> dict[str, Any]:
    patch, raw = function(cluster, "patch", workload.kind), {"_preload_content": False}
    written: dict[str, Any] = json.loads(
        send(str(workload), patch, workload.name, workload.namespace, operations, **raw).data
    )
    return written


def _operations(document: Any, goal: State) -> list[dict[str, Any]]:
    return [operation for path, value in goal.items() for operation in _set(document, path, value)]


def _set(document: Any, path: str, value: Any) -> Sequence[dict[str, Any]]:
    """Return JSON patch operations (RFC 6902) that set one place, with the map around it if there is none."""
    parent, there = path.rpartition("/")[0], get(document, path) is not None
    if get(document, path) == value:
        return []
    if value is None:
        return [{"op": "remove", "path": path}]
    around = [] if there or get(document, parent) is not None else [{"op": "add", "path": parent, "value": {}}]
    return [*around, {"op": "replace" if there else "add", "path": path, "value": value}]


def _found(document: Any, places: State) -> dict[str, Any]:
    return {path: get(document, path) for path in places}


def _foreign(workload: Workload, found: State, ours: State) -> str:
    path = next(path for path in ours if found[path] != ours[path])
    return f"{workload} has something else at {path} by now: someone else changed it"


def _ask(cluster: Cluster, kind: Kind, namespace: str, name: str) -> dict[str, Any]:
    ask = function(cluster, "read", kind)
    document: dict[str, Any] = cluster.document(f"{kind} {namespace}/{name}", ask, name, namespace)
    return document


def _steps(path: str) -> list[str]:
    return [step.replace("~1", "/").replace("~0", "~") for step in path.split("/")[1:]]
