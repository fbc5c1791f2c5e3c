"""The action `wait`: does nothing. What heals by itself needs no other, and every other is measured against it."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, Field, model_validator

from presagio.actions.base import ActionClass, Evidence, NotAppliedError, Permission, Plan, Probe, Target
from presagio.toolkit.schema import Model
from presagio.toolkit.units import Duration, format_duration


class WaitParams(Model):
    """What a policy may write under `wait:`; a bare duration is `for`."""

    seconds: Duration = Field(
        0.0, alias="for", ge=0, le=86400, description="how long, before the first look at Prometheus"
    )

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, params: object) -> object:
        return {"for": params} if isinstance(params, str) else params


class Wait:
    """Does nothing, for a while. Class A: there is nothing to be done twice."""

    Params: ClassVar[type[BaseModel]] = WaitParams
    action_class: ClassVar[ActionClass] = ActionClass.DESIRED_STATE
    settle_seconds: ClassVar[float] = 0.0
    permissions: ClassVar[tuple[Permission, ...]] = ()

    def plan(self, target: Target, params: WaitParams) -> Plan:
        """Return how long."""
        del target
        length = f" for {format_duration(params.seconds)}" if params.seconds else ""
        return Plan(
            action="wait",
            summary=f"wait{length}, and see whether it heals by itself",
            params={"for": params.seconds},
            settle_seconds=params.seconds,
        )

    def apply(self, plan: Plan, attempt_id: str) -> Evidence:  # noqa: ARG002 # nothing is done
        """Do nothing: the time passes while the webhook waits for the effect to show."""
        return Evidence("nothing was done", dict(plan.params))

    def probe(self, plan: Plan, attempt_id: str) -> Probe:  # noqa: ARG002 # nothing is done
        """Return APPLIED: it always is."""
        return Probe.APPLIED

    def undo(self, plan: Plan) -> Evidence:
        """Raise NotAppliedError: nothing was done."""
        del plan
        raise NotAppliedError("there is no undo for waiting")

    def changed(self, plan: Plan) -> None:
        """Return None: nothing was written."""
        del plan
