"""What changes a pod template: Kubernetes replaces the pods, one after the other, as the workload's strategy says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from presagio.actions.base import ActionClass, Disruption, Evidence, Permission, Plan, PlanError, Probe, Target
from presagio.actions.kubernetes import conflicts, preflight, workloads
from presagio.actions.kubernetes.cluster import OnCluster
from presagio.actions.kubernetes.conflicts import GitOpsParams
from presagio.actions.kubernetes.workloads import State, Workload


class Rollout(OnCluster):
    """An action that changes some places of a pod template, and can restore them. Class A: the plan holds them."""

    action_class: ClassVar[ActionClass] = ActionClass.DESIRED_STATE
    settle_seconds: ClassVar[float] = 120.0
    permissions: ClassVar[tuple[Permission, ...]] = workloads.permissions("get", "patch")
    name: ClassVar[str]

    def goal(self, workload: Workload, document: Mapping[str, Any], target: Target, params: Any) -> State:
        """Return what shall stand where. Raises PlanError."""
        raise NotImplementedError

    def words(self, workload: Workload, before: State, after: State) -> tuple[str, State, State]:
        """Return the plan's summary, and prior and desired state as people read them."""
        raise NotImplementedError

    def plan(self, target: Target, params: GitOpsParams) -> Plan:
        """Ask the server what there would be. Raises PlanError: it would refuse, or it is so already."""
        workload, document = workloads.find(self.cluster, params, target)
        preflight.check(self.cluster, workloads.of(workload.kind, self.permissions), workload.namespace)
        conflicts.repository(str(workload), document, params)
        check(workload, document)
        goal = self.goal(workload, document, target, params)
        before = {path: workloads.get(document, path) for path in goal}
        after = workloads.rehearse(self.cluster, workload, document, goal)
        if before == after:
            raise PlanError(f"{workload} is so already: nothing to change")
        summary, prior, desired = self.words(workload, before, after)
        return Plan(
            action=self.name,
            summary=summary,
            params={**workload.model_dump(mode="json"), "before": before, "after": after},
            prior_state=prior,
            undo=prior,
            desired_state=desired,
            disruption=disruption(document),
        )

    def apply(self, plan: Plan, attempt_id: str) -> Evidence:  # noqa: ARG002 # class A needs no attempt's id
        """Write it if what was planned from still stands there. Raises OutcomeError."""
        version = workloads.move(self.cluster, planned(plan), plan.params["before"], plan.params["after"])
        return Evidence(f"done: {plan.summary}", {"resource_version_before": version})

    def probe(self, plan: Plan, attempt_id: str) -> Probe:  # noqa: ARG002 # the state itself tells
        """Compare what stands there with the planned and the prior."""
        return workloads.probe(self.cluster, planned(plan), plan.params["before"], plan.params["after"])

    def undo(self, plan: Plan) -> Evidence:
        """Restore what was there if ours still stands. NotAppliedError: someone else changed it."""
        version = workloads.move(self.cluster, planned(plan), plan.params["after"], plan.params["before"])
        return Evidence(f"undone: {plan.summary}", {"resource_version_before": version})

    def changed(self, plan: Plan) -> str | None:
        """Return what somebody else has changed of it."""
        return workloads.changed(self.cluster, planned(plan), plan.params["after"])


def check(workload: Workload, document: Mapping[str, Any]) -> None:
    """Raise PlanError for a workload whose pods would not be replaced."""
    spec = document["spec"]
    if spec.get("paused"):
        raise PlanError(f"{workload} is paused: its pods would stay; `kubectl rollout resume` it")
    if not spec.get("replicas"):
        raise PlanError(f"{workload} has no replicas")
    if (spec.get("updateStrategy") or {}).get("type") == "OnDelete":
        raise PlanError(f"{workload} has the update strategy OnDelete: its pods would stay; delete them")


def disruption(document: Mapping[str, Any]) -> Disruption:
    """Return what is missing meanwhile, by the workload's strategy."""
    spec, status = document["spec"], document.get("status") or {}
    replicas, ready = int(spec["replicas"]), int(status.get("readyReplicas") or 0)
    return Disruption(replicas, ready, min(_unavailable(spec, replicas), ready))


def planned(plan: Plan) -> Workload:
    """Return the workload that a plan is for."""
    return Workload.model_validate({name: plan.params[name] for name in Workload.model_fields})


def container(workload: Workload, document: Mapping[str, Any], name: str | None) -> str:
    """Return the JSON pointer of a container, of the only one if none is named. Raises PlanError."""
    names = [one["name"] for one in document["spec"]["template"]["spec"]["containers"]]
    if name is None and len(names) > 1:
        raise PlanError(f"{workload} has the containers {', '.join(names)}; say which: `container`")
    if name is not None and name not in names:
        raise PlanError(f"{workload} has no container {name!r}, but {', '.join(names)}")
    return f"/spec/template/spec/containers/{names.index(name) if name else 0}"


def _unavailable(spec: Mapping[str, Any], replicas: int) -> int:
    """Return how many pods the strategy takes away at once; of per cents Kubernetes rounds this one down."""
    strategy = spec.get("strategy") or {}
    if strategy.get("type") == "Recreate":
        return replicas
    if not strategy:
        return 1  # a StatefulSet replaces one pod after the other
    limits = strategy.get("rollingUpdate") or {}
    most, surge = (limits.get(name, "25%") for name in ("maxUnavailable", "maxSurge"))
    fewer = replicas * int(most[:-1]) // 100 if isinstance(most, str) else int(most)
    more = -(-replicas * int(surge[:-1]) // 100) if isinstance(surge, str) else int(surge)
    return fewer if fewer or more else 1  # where neither may be, Kubernetes takes one away
