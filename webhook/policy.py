"""Policies: which alert starts what, in which mode, by which actions. Pure: nothing here asks anyone."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any

from pydantic import AfterValidator, Field, field_validator

from presagio.actions.base import Target
from presagio.toolkit.errors import PresagioError
from presagio.toolkit.schema import Model
from presagio.webhook import promql
from presagio.webhook.criteria import Condition, Verification, Verify, When, bound, queries
from presagio.webhook.guard_config import Guards
from presagio.webhook.payload import Alert
from presagio.webhook.recommender import WAIT

_REGEX = "=~"
_LONGEST = 350
"""Characters of a service_id in the ledger; the rest of a longer one becomes a hash."""

_SERVICE_LABELS = (("service_id",), ("namespace", "deployment"), ("instance",), ("job",))


class PolicyError(PresagioError):
    """A policy cannot be applied to an alert: the alert lacks a label that a placeholder names."""


class Mode(StrEnum):
    """How far a policy may go by itself."""

    DRY_RUN = "dry-run"
    APPROVAL = "approval"
    AUTO = "auto"


class Order(StrEnum):
    """Who says which action of a ladder is next."""

    AS_LISTED = "as-listed"
    LEARNED = "learned"


class Priority(StrEnum):
    """Which of several matching policies goes first; declared from the most urgent on."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


_ORDER = list(Priority)


def _matcher(value: str) -> str:
    if value.startswith(_REGEX):
        try:
            re.compile(value.removeprefix(_REGEX))
        except re.error as error:
            raise ValueError(f"a regular expression after =~ ({error}), got {value!r}") from None
    return value


Matcher = Annotated[str, AfterValidator(_matcher)]


class Policy(Model):
    """One policy of webhook.yml, or one action of action_policies.json."""

    name: str = Field(min_length=1, max_length=200, description="unique; names the policy in ledger and metrics")
    description: str = Field("", description="for people")
    match: Mapping[str, Matcher] = Field(
        description='labels that the alert has: equal, or fully matching a regular expression "=~a|b"'
    )
    when: tuple[When, ...] = Field((), description="PromQL conditions that must all hold before anything is done")
    mode: Mode = Field(Mode.DRY_RUN, description="dry-run, approval or auto: how far it may go by itself")
    priority: Priority = Field(Priority.MEDIUM, description="critical, high, medium or low: which policy goes first")
    actions: tuple[Mapping[str, Any], ...] = Field(description="ladder of actions, tried in order")
    order: Order = Field(
        Order.AS_LISTED,
        description="as-listed: the actions as they stand here; learned: the likeliest to help first, or to wait",
    )
    verify: Verify = Field(description="how success is told")
    guards: Guards = Field(default_factory=Guards, description="limits on acting")

    @field_validator("match")
    @classmethod
    def _not_everything(cls, match: Mapping[str, str]) -> Mapping[str, str]:
        if all(_satisfies("", wanted) for wanted in match.values()):
            raise ValueError(f"at least one label that the alert must have, got {dict(match)}")
        return match

    @field_validator("actions")
    @classmethod
    def _one_each(cls, actions: tuple[Mapping[str, Any], ...]) -> tuple[Mapping[str, Any], ...]:
        if not actions:
            raise ValueError("at least one action, got none")
        for action in actions:
            if len(action) != 1:
                raise ValueError(f"one action an item, such as '- command: {{argv: [...]}}', got {list(action)}")
        return actions

    @property
    def steps(self) -> tuple[Step, ...]:
        """Return the ladder."""
        found = ((name, params) for action in self.actions for name, params in action.items())
        return tuple(Step(name, {} if params is None else params) for name, params in found)

    @property
    def rungs(self) -> tuple[Step, ...]:
        """Return all that may be tried: the ladder and, where its order is learned, to wait."""
        waits = any(step.action == WAIT for step in self.steps)
        return self.steps if self.order is Order.AS_LISTED or waits else (*self.steps, Step(WAIT, {}))

    @cached_property
    def revision(self) -> str:
        """Return a hash of the policy's content (16 hex digits): another content, another revision."""
        content = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether the labels satisfy all of `match`; an absent label is an empty one."""
        return all(_satisfies(labels.get(name, ""), wanted) for name, wanted in self.match.items())


@dataclass(frozen=True)
class Step:
    """One rung of a ladder: a registered action and the parameters that its Params validates."""

    action: str
    params: Any


def matching(policies: Sequence[Policy], alert: Alert) -> tuple[Policy, ...]:
    """Return all policies that match an alert, the most urgent first, then in the order of the file.

    Several may match, each with its own conditions (an `action_policies.json` has one for each action of a service):
    the first whose conditions hold is the one to carry out.
    """
    found = [policy for policy in policies if policy.matches(alert.labels)]
    return tuple(sorted(found, key=lambda policy: _ORDER.index(policy.priority)))


def select(policies: Sequence[Policy], alert: Alert) -> Policy | None:
    """Return the most urgent policy that matches an alert, whatever its conditions say; see `matching`."""
    return next(iter(matching(policies, alert)), None)


def target(alert: Alert) -> Target:
    """Return what an alert is about: its service_id, else namespace/deployment, instance, job or fingerprint."""
    for names in _SERVICE_LABELS:
        values = [alert.labels.get(name, "") for name in names]
        if all(values):
            return _target("/".join(values), alert)
    return _target(alert.fingerprint, alert)


def conditions(policy: Policy, target: Target) -> tuple[Condition, ...]:
    """Return the policy's conditions for a target. Raises PolicyError if it lacks a label that they name."""
    return tuple(Condition(_filled(policy, query, target)) for query in policy.when)


def harms(policy: Policy, target: Target) -> tuple[Condition, ...]:
    """Return what would tell that an action does harm. Raises PolicyError if the target lacks a label they name."""
    return tuple(Condition(_filled(policy, query, target)) for query in policy.guards.harm)


def verification(policy: Policy, target: Target) -> Verification:
    """Return how success is told for a target. Raises PolicyError if it lacks a label that the query names."""
    verify = policy.verify
    query, *data = (_filled(policy, text, target) for text in queries(verify))
    reach = max(map(promql.longest_range, (query, *data)))
    limit = None if verify.data else bound(query)
    return Verification(query, tuple(data), verify.samples, verify.interval, verify.deadline, reach, limit)


def _target(service_id: str, alert: Alert) -> Target:
    if len(service_id) > _LONGEST:
        digest = hashlib.sha256(service_id.encode()).hexdigest()[:16]
        service_id = f"{service_id[: _LONGEST - 20]}...{digest}"
    return Target(service_id, {**alert.labels, "service_id": service_id})


def _satisfies(value: str, wanted: str) -> bool:
    if wanted.startswith(_REGEX):
        return re.fullmatch(wanted.removeprefix(_REGEX), value) is not None
    return value == wanted


def _filled(policy: Policy, query: str, target: Target) -> str:
    try:
        return promql.fill(query, target.labels)
    except KeyError as error:
        raise PolicyError(
            f"policy {policy.name!r} needs the label {error.args[0]!r}, which the alert of {target.service_id!r} "
            f"does not carry; keep it in the alert rule, or match only alerts that have it"
        ) from None
