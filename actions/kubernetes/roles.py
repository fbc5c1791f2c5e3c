"""The least that Kubernetes must allow: RBAC rules made of the permissions that actions name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from presagio.actions.base import Permission
from presagio.actions.kubernetes import workloads
from presagio.actions.kubernetes.workloads import WorkloadParams

NAMESPACED, CLUSTER = "kubernetes", "kubernetes cluster"

_API = "rbac.authorization.k8s.io"


def narrowed(permissions: Iterable[Permission], params: object) -> list[Permission]:
    """Return the permissions without those for Deployments where a policy names a StatefulSet, or the other way."""
    if not isinstance(params, WorkloadParams):
        return list(permissions)
    return workloads.of("statefulset" if params.statefulset else "deployment", permissions)


def rules(permissions: Iterable[Permission], system: str = NAMESPACED) -> list[dict[str, Any]]:
    """Return the rules of a Role, or with `CLUSTER` those of a ClusterRole; sorted, each resource once."""
    verbs: dict[tuple[str, str], set[str]] = defaultdict(set)
    for permission in permissions:
        if permission.system == system:
            group, _, resource = permission.resource.partition("/")
            verbs[group, resource] |= set(permission.verbs)
    return [
        {"apiGroups": [group], "resources": [resource], "verbs": sorted(some)}
        for (group, resource), some in sorted(verbs.items())
    ]


def manifests(permissions: Iterable[Permission], namespaces: Iterable[str], user: str) -> list[dict[str, Any]]:
    """Return a Role and its binding for each namespace, and a ClusterRole if one is needed.

    user: the service account that the webhook runs as, as NAMESPACE:NAME.
    """
    wanted = list(permissions)
    namespace, _, account = user.partition(":")
    subject = {"kind": "ServiceAccount", "namespace": namespace, "name": account}
    within, everywhere = rules(wanted), rules(wanted, CLUSTER)
    found = [one for name in namespaces if within for one in _pair("Role", within, subject, name)]
    return [*found, *(_pair("ClusterRole", everywhere, subject) if everywhere else ())]


def _pair(
    kind: str, wanted: list[dict[str, Any]], subject: dict[str, str], namespace: str | None = None
) -> list[dict[str, Any]]:
    metadata = {"name": "presagio-remediation", **({"namespace": namespace} if namespace else {})}
    reference = {"apiGroup": _API, "kind": kind, "name": metadata["name"]}
    common = {"apiVersion": f"{_API}/v1", "metadata": metadata}
    return [
        {**common, "kind": kind, "rules": wanted},
        {**common, "kind": f"{kind}Binding", "roleRef": reference, "subjects": [subject]},
    ]
