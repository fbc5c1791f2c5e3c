"""Whose a pod is: the controller that makes it anew, and how many pods that one wants and has."""

from __future__ import annotations

from typing import Any

from presagio.actions.base import Disruption, Permission
from presagio.actions.kubernetes.cluster import Cluster

PERMISSIONS = (
    Permission("kubernetes", "apps/replicasets", ("get",)),
    Permission("kubernetes", "apps/deployments", ("get",)),
    Permission("kubernetes", "apps/statefulsets", ("get",)),
    Permission("kubernetes", "apps/daemonsets", ("get",)),
)

_MIRROR = "kubernetes.io/config.mirror"
_READERS = {
    "ReplicaSet": "read_namespaced_replica_set",
    "Deployment": "read_namespaced_deployment",
    "StatefulSet": "read_namespaced_stateful_set",
    "DaemonSet": "read_namespaced_daemon_set",
}


def controller(thing: Any) -> Any | None:
    """Return the reference to what makes an object anew once it is gone; None if nothing does."""
    return next((owner for owner in thing.metadata.owner_references or () if owner.controller), None)


def is_mirror(pod: Any) -> bool:
    """Return whether the pod is only the picture of one that the kubelet runs from a file."""
    return _MIRROR in (pod.metadata.annotations or {})


def is_ready(thing: Any) -> bool:
    """Return whether a pod or a node says that it is ready."""
    conditions = (thing.status and thing.status.conditions) or ()
    return any(condition.type == "Ready" and condition.status == "True" for condition in conditions)


def disruption(cluster: Cluster, pod: Any) -> Disruption:
    """Return what is lost with the pod. The pods of an owner of another kind each count for themselves."""
    lost = int(is_ready(pod))
    workload = _workload(cluster, pod)
    if workload is None:
        return Disruption(1, lost, lost)
    status = workload.status
    if hasattr(status, "desired_number_scheduled"):
        return Disruption(status.desired_number_scheduled, status.number_ready or 0, lost)
    return Disruption(workload.spec.replicas, status.ready_replicas or 0, lost)


def _workload(cluster: Cluster, thing: Any) -> Any | None:
    """Return the highest workload above a pod: the deployment above the replica set."""
    owner = controller(thing)
    if owner is None or owner.kind not in _READERS:
        return None
    namespace = thing.metadata.namespace
    what = f"{owner.kind} {namespace}/{owner.name}"
    found = cluster.call(what, getattr(cluster.apps, _READERS[owner.kind]), owner.name, namespace)
    return _workload(cluster, found) or found
