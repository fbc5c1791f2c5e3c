"""Who else writes to a workload and would set back what we change: an autoscaler, or a repository (GitOps)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from presagio.actions.base import Permission, PlanError
from presagio.actions.kubernetes.cluster import Cluster
from presagio.actions.kubernetes.workloads import Workload, WorkloadParams

PERMISSIONS = (Permission("kubernetes", "autoscaling/horizontalpodautoscalers", ("list",)),)

_OWNERS: Mapping[str, str] = {
    "argocd.argoproj.io/instance": "Argo CD",
    "argocd.argoproj.io/tracking-id": "Argo CD",
    "kustomize.toolkit.fluxcd.io/name": "Flux",
    "helm.toolkit.fluxcd.io/name": "Flux",
    "configmanagement.gke.io/managed": "Config Sync",
    "fleet.cattle.io/bundle-id": "Fleet",
    "objectset.rio.cattle.io/hash": "Fleet",
}
"""Labels and annotations by which the tools mark what they keep as the repository says."""


class GitOpsParams(WorkloadParams):
    """Which workload, and whether a repository that owns it matters."""

    gitops: Literal["refuse", "ignore"] = Field(
        "refuse", description="what to do with a workload that a GitOps tool sets back: refuse, or ignore that"
    )


def repository(what: str, document: Mapping[str, Any], params: GitOpsParams) -> None:
    """Raise PlanError if a GitOps tool owns the workload, unless the policy says to ignore that."""
    metadata = document["metadata"]
    marks = {**(metadata.get("labels") or {}), **(metadata.get("annotations") or {})}
    mark = next((mark for mark in _OWNERS if mark in marks), None)
    if mark and params.gitops == "refuse":
        raise PlanError(
            f"{what} is kept by {_OWNERS[mark]} as its repository says ({mark}): what is changed would be set back; "
            "change it there, or say `gitops: ignore`"
        )


def autoscaler(cluster: Cluster, workload: Workload) -> None:
    """Raise PlanError if a HorizontalPodAutoscaler (KEDA makes one too) sets the number of replicas."""
    ask = cluster.autoscaling.list_namespaced_horizontal_pod_autoscaler
    for one in cluster.call(f"autoscalers of namespace {workload.namespace}", ask, workload.namespace).items:
        scaled = one.spec.scale_target_ref
        if (scaled.kind.lower(), scaled.name) == (workload.kind, workload.name):
            raise PlanError(
                f"{workload} is scaled by the HorizontalPodAutoscaler {one.metadata.name!r}, which would set its own "
                "number again; raise its minReplicas instead"
            )
