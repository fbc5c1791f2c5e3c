"""The action `kubernetes.set_environment`: other variables for a container, as for a switch that a program has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from presagio.actions import placeholders
from presagio.actions.base import PlanError, Target
from presagio.actions.kubernetes import rollouts, workloads
from presagio.actions.kubernetes.conflicts import GitOpsParams
from presagio.actions.kubernetes.rollouts import Rollout
from presagio.actions.kubernetes.workloads import Name, State, Workload
from presagio.toolkit.labels import Name as Variable


class EnvironmentParams(GitOpsParams):
    """What a policy may write under `kubernetes.set_environment:`."""

    container: str | None = Field(None, description="its name; not needed if there is only one")
    set: dict[Variable, Name] = Field(min_length=1, description="variables; ${label} may fill a part of a value")


class SetEnvironment(Rollout):
    """Sets variables; what the policy does not name stays. Those that come from a Secret or ConfigMap are refused."""

    Params: ClassVar[type[BaseModel]] = EnvironmentParams
    name = "kubernetes.set_environment"

    def goal(
        self, workload: Workload, document: Mapping[str, Any], target: Target, params: EnvironmentParams
    ) -> State:
        """Return the container's variables, and its name: another one in its place is not touched."""
        at = rollouts.container(workload, document, params.container)
        wanted = {key: placeholders.fill(text, target, placeholders.name) for key, text in params.set.items()}
        found = workloads.get(document, f"{at}/env") or []
        referring = [one["name"] for one in found if one["name"] in wanted and "valueFrom" in one]
        if referring:
            raise PlanError(
                f"variable {referring[0]!r} of {workload} comes from elsewhere (valueFrom); change it there"
            )
        there = {one["name"] for one in found}
        changed = [{**one, "value": wanted[one["name"]]} if one["name"] in wanted else one for one in found]
        added = [{"name": key, "value": value} for key, value in wanted.items() if key not in there]
        return {f"{at}/name": workloads.get(document, f"{at}/name"), f"{at}/env": [*changed, *added]}

    def words(self, workload: Workload, before: State, after: State) -> tuple[str, State, State]:
        """Tell of each variable that differs."""
        (name,) = (value for path, value in after.items() if path.endswith("/name"))
        prior, desired = _variables(before), _variables(after)
        keys = sorted(key for key in desired if prior.get(key) != desired[key])
        summary = f"set {', '.join(f'{key}={desired[key]}' for key in keys)} in container {name} of {workload}"
        return summary, {key: prior.get(key) for key in keys}, {key: desired[key] for key in keys}


def _variables(state: State) -> dict[str, str]:
    (variables,) = (value or [] for path, value in state.items() if path.endswith("/env"))
    return {one["name"]: one.get("value", "") for one in variables}
