"""How a pod is taken away: this very pod, by its UID, never another one that has its name by now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from presagio.actions.kubernetes.cluster import Cluster


class Way(Protocol):
    """One of the two ways; `rehearse` only asks the server whether it would."""

    def __call__(self, cluster: Cluster, pod: Mapping[str, Any], *, rehearse: bool = False) -> None:
        """Take the pod with this `namespace`, `pod`, `uid` and `grace` away. Raises OutcomeError."""


def delete(cluster: Cluster, pod: Mapping[str, Any], *, rehearse: bool = False) -> None:
    """Delete it, whatever the disruption budgets say."""
    name, namespace = pod["pod"], pod["namespace"]
    function = cluster.core.delete_namespaced_pod
    cluster.write(f"pod {namespace}/{name}", function, name, namespace, body=_options(pod, rehearse))


def evict(cluster: Cluster, pod: Mapping[str, Any], *, rehearse: bool = False) -> None:
    """Ask the server to evict it; it says no (429) if a disruption budget forbids that now."""
    name, namespace = pod["pod"], pod["namespace"]
    body = {
        "apiVersion": f"policy/{_version(cluster)}",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": namespace},
        "deleteOptions": _options(pod, rehearse),
    }
    function = cluster.core.create_namespaced_pod_eviction
    cluster.write(f"pod {namespace}/{name}", function, name, namespace, body)


def _options(pod: Mapping[str, Any], rehearse: bool) -> dict[str, Any]:
    """Return the options of the deletion. The server heeds `dryRun` only here once there is a body."""
    options: dict[str, Any] = {"preconditions": {"uid": pod["uid"]}}
    if pod.get("grace") is not None:
        options["gracePeriodSeconds"] = int(pod["grace"])
    return options | ({"dryRun": ["All"]} if rehearse else {})


def _version(cluster: Cluster) -> str:
    """Return the version of evictions that the server knows: v1beta1 before Kubernetes 1.22."""
    found = cluster.call("the API of pods", cluster.core.get_api_resources).resources
    return next((str(one.version) for one in found if one.name == "pods/eviction" and one.version), "v1")
