"""The action `notify`: a person is told, through Alertmanager. A person is an action too.

It changes nothing in the world: what shall be told is stored together with the outcome, in one transaction, and is
delivered from there at least once. Class A: telling it again tells the same.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, Field

from presagio.actions import placeholders
from presagio.actions.base import ActionClass, Evidence, NotAppliedError, Permission, Plan, Probe, Target
from presagio.toolkit.schema import Model

Text = Annotated[str, AfterValidator(placeholders.check_template)]


class NotifyParams(Model):
    """What a policy may write under `notify:`; a bare text is `text`."""

    text: Text = Field(min_length=1, max_length=2000, description="what to tell; ${label} fills a part of it")
    severity: Literal["critical", "warning", "info"] = Field(
        "warning", description="label of the alert that is sent; Alertmanager routes by it"
    )


class Notify:
    """Tells people. Whether it helped is seen as after any other action: in Prometheus."""

    Params: ClassVar[type[BaseModel]] = NotifyParams
    action_class: ClassVar[ActionClass] = ActionClass.DESIRED_STATE
    settle_seconds: ClassVar[float] = 0.0
    permissions: ClassVar[tuple[Permission, ...]] = ()

    def plan(self, target: Target, params: NotifyParams) -> Plan:
        """Return the text with its placeholders filled. Raises PlanError for a value that is not plain text."""
        text = placeholders.fill(params.text, target, placeholders.plain)
        told = {"severity": params.severity, "text": text}
        return Plan(action="notify", summary=f"tell people ({params.severity}): {text}", params=told)

    def apply(self, plan: Plan, attempt_id: str) -> Evidence:  # noqa: ARG002 # to tell it again does no harm
        """Return the message: the webhook stores it with the outcome, and delivers it."""
        return Evidence("people are told", dict(plan.params), message=dict(plan.params))

    def probe(self, plan: Plan, attempt_id: str) -> Probe:  # noqa: ARG002 # nothing is in the world yet
        """Return NOT_APPLIED: what was not stored with the outcome was not told."""
        return Probe.NOT_APPLIED

    def undo(self, plan: Plan) -> Evidence:
        """Raise NotAppliedError: what was told stays told."""
        del plan
        raise NotAppliedError("there is no undo for a message")

    def changed(self, plan: Plan) -> None:
        """Return None: nothing was written."""
        del plan
