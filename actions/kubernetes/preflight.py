"""Asks the server, before anything is planned, whether we may do what an action needs: an access review.

Everybody who is logged in may ask this about himself; whoever may not is told by the request that is made next.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from presagio.actions.base import NotAppliedError, Permission, PlanError
from presagio.actions.kubernetes.cluster import Cluster

NAMESPACED = "kubernetes"


def check(cluster: Cluster, permissions: Sequence[Permission], namespace: str) -> None:
    """Raise PlanError naming the first permission within a namespace that we do not have."""
    for permission in permissions:
        for verb in permission.verbs if permission.system == NAMESPACED else ():
            with suppress(NotAppliedError):
                if not _may(cluster, verb, permission.resource, namespace):
                    group, _, resource = permission.resource.partition("/")
                    raise PlanError(
                        f"we may not {verb} {resource}{group and f' of {group}'} in namespace {namespace!r}; "
                        "bind a Role that lets us, see docs/actions.md"
                    )


def _may(cluster: Cluster, verb: str, resource: str, namespace: str) -> bool:
    group, _, rest = resource.partition("/")
    kind, _, part = rest.partition("/")
    attributes = {"group": group, "resource": kind, "subresource": part, "verb": verb, "namespace": namespace}
    body: dict[str, Any] = {"spec": {"resourceAttributes": attributes}}
    ask = cluster.authorization.create_self_subject_access_review
    return bool(cluster.call("what we may do", ask, body).status.allowed)
