"""Remediations as the API gives them: plain documents, and their description for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, Field

from presagio.webhook.states import Outcome, Reason, State
from presagio.webhook.story import tell
from presagio.webhook.tables import Audit, Remediation


class Stored(BaseModel):
    """The notification is on the disk."""

    status: str = Field("stored", description="stored")
    notification: int = Field(description="its number in the inbox", examples=[17])
    alerts: int = Field(description="how many alerts it has", examples=[2])
    duplicate: bool = Field(description="whether the same body was waiting there already")


class Summary(BaseModel):
    """One remediation. Times are Unix seconds."""

    id: int = Field(examples=[42])
    state: State
    reason: Reason = Field(description="why it is in this state")
    outcome: Outcome | None = Field(description="how it ended")
    alertname: str = Field(examples=["PresagioFailurePredicted"])
    service_id: str | None = Field(examples=["shop/checkout"])
    policy: str | None
    action: str | None
    mode: str | None = Field(examples=["dry-run"])
    created_at: float
    finished_at: float | None


class Remediations(BaseModel):
    """A page of remediations, the newest first."""

    remediations: list[Summary]
    next_before: int | None = Field(description="pass it as `before` for the next page; null at the end")


class RemediationPath(BaseModel):
    """Which remediation."""

    remediation: int = Field(ge=1, le=1 << 62, description="its id")


class Transition(BaseModel):
    """One step of the story: a row of the ledger."""

    seq: int = Field(description="number of the row")
    time: float
    source: str = Field(description="state before; empty at the beginning")
    target: State
    reason: Reason
    who: str
    text: str = Field(description="the same in words")
    facts: dict[str, Any] = Field(description="what was stored with it")


class Detail(Summary):
    """One remediation with all that is known of it."""

    fingerprint: str = Field(description="Alertmanager's own hash of the alert's labels")
    alert: dict[str, Any]
    policy_revision: str | None
    choice: dict[str, Any] | None = Field(description="why this action: the chance of each, as it was drawn")
    plan: dict[str, Any] | None
    plan_hash: str | None
    attempt_id: str | None
    attempts: int
    evidence: dict[str, Any] | None
    verification: dict[str, Any] | None
    baseline: dict[str, Any] | None
    samples: list[dict[str, Any]]
    not_before: float = Field(description="nothing happens before")
    deadline: float = Field(description="the state is left by then")
    story: list[Transition]


def summary(case: Remediation) -> Summary:
    """Return a remediation in short."""
    return Summary(**_short(case))


def detail(case: Remediation, rows: Iterable[Audit]) -> Detail:
    """Return a remediation with its story."""
    names = set(Detail.model_fields) - set(Summary.model_fields) - {"samples", "story"}
    rest = {name: getattr(case, name) for name in names}
    return Detail(**_short(case), **rest, samples=case.samples or [], story=[_transition(row) for row in rows])


def _short(case: Remediation) -> dict[str, Any]:
    names = set(Summary.model_fields) - {"alertname"}
    return {"alertname": alertname(case), **{name: getattr(case, name) for name in names}}


def alertname(case: Remediation) -> str:
    """Return the name of the alert that began it."""
    return str(case.alert.get("labels", {}).get("alertname", ""))


def _transition(row: Audit) -> Transition:
    line = tell(row)
    return Transition(**{name: getattr(line, name) for name in Transition.model_fields})
