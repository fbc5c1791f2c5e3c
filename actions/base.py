"""The contract of an action: plan, apply, probe, undo. shared words: docs/actions.md.

`plan` changes nothing. `apply` is called once for each attempt, after the attempt was stored; it either returns
evidence or raises one of the two errors that say whether the effect can have happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel

from presagio.toolkit.errors import PresagioError

Facts = Mapping[str, Any]
"""JSON-able facts for the ledger."""


class ActionClass(StrEnum):
    """How an action may be repeated after a crash."""

    DESIRED_STATE = "A"
    ATTEMPT_ID = "B"
    PROBED = "C"
    ONCE = "D"


class Probe(StrEnum):
    """Whether the effect of an attempt is in the world."""

    APPLIED = "applied"
    NOT_APPLIED = "not applied"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Target:
    """What is acted upon: the service and the labels that the alert and the series carry."""

    service_id: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Plan:
    """What will change. All of it goes into the plan hash and the ledger before anything is done."""

    action: str
    summary: str
    params: Facts
    prior_state: Facts = field(default_factory=dict)
    undo: Facts | None = None


@dataclass(frozen=True)
class Evidence:
    """What was seen of the effect: exit code, output, HTTP status, resource version."""

    summary: str
    facts: Facts = field(default_factory=dict)


class NotAppliedError(PresagioError):
    """Provably before the effect: it may be tried again later."""


class UnknownOutcomeError(PresagioError):
    """The effect may or may not have happened: a time-out, a broken connection."""


class Action(Protocol):
    """One kind of action. The constructor takes nothing; `Params` is what a policy may write."""

    Params: ClassVar[type[BaseModel]]
    action_class: ClassVar[ActionClass]
    settle_seconds: ClassVar[float]

    def plan(self, target: Target, params: BaseModel) -> Plan:
        """Return what would be done. Raises PresagioError if it cannot be planned (a placeholder without value)."""

    def apply(self, plan: Plan, attempt_id: str) -> Evidence:
        """Do it. Raises NotAppliedError or UnknownOutcomeError; anything else counts as unknown."""

    def probe(self, plan: Plan, attempt_id: str) -> Probe:
        """Return whether the attempt's effect is in the world."""

    def undo(self, plan: Plan) -> Evidence:
        """Restore what was ours to restore. Raises NotAppliedError where there is no undo."""
