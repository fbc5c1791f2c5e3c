"""The contract of an action: plan, apply, probe, undo. Every action is described in docs/actions.md.

`plan` changes nothing. `apply` is called once for each attempt, after the attempt was stored; it either returns
evidence or raises one of the two errors that say whether the effect can have happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Protocol, TypeVar

from pydantic import BaseModel, TypeAdapter

from presagio.toolkit import plugins
from presagio.toolkit.errors import PresagioError

Facts = Mapping[str, Any]
"""JSON-able facts for the ledger."""

ParamsT_contra = TypeVar("ParamsT_contra", bound=BaseModel, contravariant=True)


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
class Permission:
    """What an action must be allowed to do, for documentation and for the roles that are made of it.

    system: "kubernetes" (within a namespace), "kubernetes cluster", "redis", "postgres" or "host". resource: in
    Kubernetes "group/resource" or "group/resource/subresource" (the core group is empty: "/pods"), else in words.
    verbs: those of Kubernetes.
    """

    system: str
    resource: str
    verbs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Disruption:
    """What the service loses while the action is carried out, in replicas; the guard of the blast radius judges it.

    replicas: how many the service shall have. available: how many can serve now. unavailable: how many of these the
    action takes away at once. min_available: how many somebody else (a disruption budget) wants to stay.
    """

    replicas: int
    available: int
    unavailable: int
    min_available: int = 0


@dataclass(frozen=True)
class Plan:
    """What will change. All of it goes into the plan hash and the ledger before anything is done.

    The facts survive JSON unchanged: `apply` must do the same with a plan that was read back from the ledger.
    prior_state, desired_state: how it is and how it shall be, with the same keys, so that people see the difference.
    undo: None where nothing can be undone. disruption: None where no replica is touched. settle_seconds: where the
    parameters say how long it takes to show; else that of the class of the action.
    """

    action: str
    summary: str
    params: Facts
    prior_state: Facts = field(default_factory=dict)
    undo: Facts | None = None
    desired_state: Facts = field(default_factory=dict)
    disruption: Disruption | None = None
    settle_seconds: float | None = None


@dataclass(frozen=True)
class Evidence:
    """What was seen of the effect: exit code, output, HTTP status, resource version.

    message: what a person must be told because of it: labels beside our own, and a text; it is stored together with
    the outcome, and delivered by Alertmanager.
    """

    summary: str
    facts: Facts = field(default_factory=dict)
    message: Facts | None = None


class PlanError(PresagioError):
    """It cannot be planned for this target, now or later: a placeholder without value, a bound that forbids it."""


class OutcomeError(PresagioError):
    """An attempt that did not end well; `evidence` is what was seen of it, for the ledger."""

    def __init__(self, message: str, evidence: Evidence | None = None) -> None:
        super().__init__(message)
        self.evidence = evidence or Evidence(message)


class NotAppliedError(OutcomeError):
    """Provably before the effect: it may be tried again later."""


class UnknownOutcomeError(OutcomeError):
    """The effect may or may not have happened: a time-out, a broken connection."""


_PLAN = TypeAdapter(Plan)


class Action(Protocol[ParamsT_contra]):
    """One kind of action. The constructor needs no argument; `Params` is what a policy may write."""

    Params: ClassVar[type[BaseModel]]
    action_class: ClassVar[ActionClass]
    settle_seconds: ClassVar[float]
    permissions: ClassVar[tuple[Permission, ...]]

    def plan(self, target: Target, params: ParamsT_contra) -> Plan:
        """Return what would be done. Raises PlanError, or NotAppliedError if the world cannot be asked now."""

    def apply(self, plan: Plan, attempt_id: str) -> Evidence:
        """Do it. Raises NotAppliedError or UnknownOutcomeError; anything else counts as unknown."""

    def probe(self, plan: Plan, attempt_id: str) -> Probe:
        """Return whether the attempt's effect is in the world. Raises nothing that it can help: UNKNOWN."""

    def undo(self, plan: Plan) -> Evidence:
        """Restore what was ours to restore. Raises NotAppliedError where there is no undo, or it is not ours now."""

    def changed(self, plan: Plan) -> str | None:
        """Return what somebody else has changed since of that which we wrote; None if nothing, or nobody can say.

        Asked after the action was applied, while its success is watched. Raises nothing that it can help.
        """


def restored(document: Mapping[str, Any]) -> Plan:
    """Return a plan as it was before `dataclasses.asdict` and JSON."""
    return _PLAN.validate_python(dict(document))


def load(name: str) -> Action[Any]:
    """Return the action registered as `name`. Raises PluginError with a suggestion if there is none."""
    action: Action[Any] = plugins.load(plugins.ACTIONS, name)()
    return action
