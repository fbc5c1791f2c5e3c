"""The action `kubernetes.restart`: a rolling restart of a workload's pods.

Class B: the pod template carries the attempt's id, by which Kubernetes makes new pods and we know the attempt again.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel

from presagio.actions.base import (
    ActionClass,
    Evidence,
    NotAppliedError,
    Permission,
    Plan,
    Probe,
    Target,
)
from presagio.actions.kubernetes import preflight, rollouts, workloads
from presagio.actions.kubernetes.cluster import OnCluster
from presagio.actions.kubernetes.job import ATTEMPT_ID
from presagio.actions.kubernetes.workloads import WorkloadParams

MARK = f"/spec/template/metadata/annotations/{ATTEMPT_ID.replace('/', '~1')}"
_SPEC = "/spec/template/spec"


class RestartParams(WorkloadParams):
    """What a policy may write under `kubernetes.restart:`."""


class Restart(OnCluster):
    """Has Kubernetes replace the pods one after the other, as `kubectl rollout restart` does."""

    Params: ClassVar[type[BaseModel]] = RestartParams
    action_class: ClassVar[ActionClass] = ActionClass.ATTEMPT_ID
    settle_seconds: ClassVar[float] = 120.0
    permissions: ClassVar[tuple[Permission, ...]] = workloads.permissions("get", "patch")

    def plan(self, target: Target, params: RestartParams) -> Plan:
        """Look at the workload and ask the server. PlanError: nothing would be restarted, or we may not."""
        workload, document = workloads.find(self.cluster, params, target)
        preflight.check(self.cluster, workloads.of(workload.kind, self.permissions), workload.namespace)
        rollouts.check(workload, document)
        workloads.rehearse(self.cluster, workload, document, {MARK: "plan"})
        before = workloads.get(document, MARK)
        return Plan(
            action="kubernetes.restart",
            summary=f"restart the pods of {workload}, one after the other",
            params={**workload.model_dump(mode="json"), "pods": workloads.get(document, _SPEC)},
            prior_state={"restarted by": before},
            desired_state={"restarted by": "this attempt"},
            disruption=rollouts.disruption(document),
        )

    def apply(self, plan: Plan, attempt_id: str) -> Evidence:
        """Mark the pod template. NotAppliedError: its pods are other ones than planned, by a deployment meanwhile."""
        workload = rollouts.planned(plan)
        before = {MARK: plan.prior_state["restarted by"], _SPEC: plan.params["pods"]}
        version = workloads.move(self.cluster, workload, before, {**before, MARK: attempt_id})
        return Evidence(f"{workload} restarts its pods", {"resource_version_before": version})

    def probe(self, plan: Plan, attempt_id: str) -> Probe:
        """Look for the attempt's id in the pod template."""
        return workloads.probe(
            self.cluster, rollouts.planned(plan), {MARK: plan.prior_state["restarted by"]}, {MARK: attempt_id}
        )

    def undo(self, plan: Plan) -> Evidence:
        """Raise NotAppliedError: the pods of before are gone."""
        raise NotAppliedError(f"there is no undo for the restart of {rollouts.planned(plan)}")

    def changed(self, plan: Plan) -> str | None:
        """Return that the pods are other ones now, by a deployment or a roll-back."""
        return workloads.changed(self.cluster, rollouts.planned(plan), {_SPEC: plan.params["pods"]})
