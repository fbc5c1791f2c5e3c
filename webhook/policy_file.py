"""action_policies.json, the form that users already have: service -> actions -> command, conditions, priority.

It loads as it is. A metric's name means the service's signal of that name, else the metric that the service submits;
all conditions of an action must hold; any alert with that service_id makes the webhook look.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from presagio.toolkit.errors import ConfigError
from presagio.toolkit.labels import escape
from presagio.toolkit.log import Log
from presagio.toolkit.positions import Document
from presagio.toolkit.schema import ConfigFile, Finding, Mistake, Model
from presagio.webhook import commandline
from presagio.webhook.criteria import Verify
from presagio.webhook.lint import check_action
from presagio.webhook.policy import Mode, Policy, Priority

_THRESHOLD = re.compile(r"\s*(>=|<=|==|!=|>|<)\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*")
_NEGATED = {">": "<=", ">=": "<", "<": ">=", "<=": ">", "==": "!=", "!=": "=="}
_BELOW = frozenset({"<", "<="})


@dataclass(frozen=True)
class Threshold:
    """An operator and a number: `> 80`."""

    operator: str
    number: str

    @property
    def negated(self) -> str:
        """Return the comparison that holds when this one does not."""
        return f"{_NEGATED[self.operator]} {self.number}"

    def __str__(self) -> str:
        return f"{self.operator} {self.number}"


def _threshold(text: object) -> Threshold:
    match = _THRESHOLD.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"one of > >= < <= == != and a number, such as '> 80', got {text!r}")
    return Threshold(match[1], match[2])


def _command(command: str) -> str:
    commandline.action(command)
    return command


Limit = Annotated[Threshold, BeforeValidator(_threshold)]
Text = Annotated[str, Field(min_length=1, max_length=1024)]


class Conditions(Model):
    """What must hold, all of it, before the action is done."""

    metrics: Mapping[Text, Limit] = Field(default_factory=dict, description='name of a metric: "> 80"')
    anomaly_score: Limit | None = Field(None, description='the service\'s highest score: "> 0.6"')

    @model_validator(mode="after")
    def _any(self) -> Conditions:
        if not self.metrics and self.anomaly_score is None:
            raise ValueError("at least one of metrics and anomaly_score, got neither")
        return self

    def expressions(self, service_id: str) -> tuple[tuple[str, Threshold], ...]:
        """Return each condition as PromQL of one series, and what it is compared with."""
        found = [(_metric(service_id, name, limit), limit) for name, limit in self.metrics.items()]
        if self.anomaly_score is not None:
            service = escape(service_id)
            found.append((f'max(presagio_anomaly_score{{service_id="{service}"}})', self.anomaly_score))
        return tuple(found)


class Entry(Model):
    """One action of a service."""

    description: str = Field("", description="for people")
    command: Annotated[str, AfterValidator(_command)] = Field(
        description="command line, split once and run without a shell; ${service_id} and other labels are filled in"
    )
    conditions: Conditions = Field(description="what must hold")
    priority: Priority = Field(Priority.MEDIUM, description="critical, high, medium or low: which goes first")
    mode: Mode | None = Field(
        None, description="dry-run, approval or auto; default: action_policies.mode of webhook.yml"
    )


class Service(Model):
    """The actions of one service."""

    description: str = Field("", description="for people")
    actions: Mapping[Text, Entry] = Field(description="name of an action: what it is")

    @field_validator("actions")
    @classmethod
    def _some(cls, actions: Mapping[str, Entry]) -> Mapping[str, Entry]:
        if not actions:
            raise ValueError("at least one action, got none")
        return actions


class PolicyFile(Model):
    """The whole file: each of its keys is a service_id."""

    services: Mapping[Text, Service] = Field(min_length=1)


class _ByService(ConfigFile[PolicyFile]):
    """Reads the file as if its services stood under a key of their own, and reports without that key."""

    def validate(self, document: Document, file: str) -> PolicyFile:
        """Return the model of a parsed document. Raises ConfigError with all its mistakes."""
        lines = {("services", *path): line for path, line in document.lines.items()}
        duplicates = [(("services", *path), line) for path, line in document.duplicates]
        try:
            return super().validate(Document({"services": document.data}, lines, duplicates), file)
        except ConfigError as error:
            raise ConfigError([_shorter(one) for one in error.mistakes if isinstance(one, Mistake)]) from None


def policies(file: PolicyFile, mode: Mode, log: Log | None = None) -> tuple[Policy, ...]:
    """Return a policy `service/action` for each action; `mode` is for those that have none of their own."""
    return tuple(
        _policy(service_id, name, entry, mode, log)
        for service_id, service in file.services.items()
        for name, entry in service.actions.items()
    )


def lint(file: PolicyFile) -> Iterator[Finding]:
    """Yield what is wrong with the actions that the commands mean."""
    for service_id, service in file.services.items():
        for name, entry in service.actions.items():
            place = ("services", service_id, "actions", name, "command")
            for finding in check_action(commandline.action(entry.command), ()):
                yield replace(finding, path=place)


def _policy(service_id: str, name: str, entry: Entry, mode: Mode, log: Log | None) -> Policy:
    action = commandline.action(entry.command)
    if log and "command" not in action:
        understood = json.dumps(action)
        log.info("command is understood as an action", policy=f"{service_id}/{name}", action=understood)
    found = entry.conditions.expressions(service_id)
    return Policy(
        name=f"{service_id}/{name}",
        description=entry.description,
        match={"service_id": service_id},
        when=tuple(f"{expression} {limit}" for expression, limit in found),
        mode=entry.mode or mode,
        priority=entry.priority,
        actions=(action,),
        verify=_verify(found),
    )


def _verify(found: tuple[tuple[str, Threshold], ...]) -> Verify:
    """Return how success is told: data is there for every condition, and not all of them hold any more."""
    return Verify(
        query=" or ".join(f"{expression} {limit.negated}" for expression, limit in found),
        data=" + ".join(expression for expression, _ in found),
    )


def _metric(service_id: str, name: str, limit: Threshold) -> str:
    """Return the series of the service that is nearest to its limit: the highest for >, the lowest for <."""
    worst = "min" if limit.operator in _BELOW else "max"
    service, metric = escape(service_id), escape(name)
    return (
        f'({worst}(presagio_signal_value{{service_id="{service}",signal="{metric}"}}) '
        f'or {worst}(presagio_submitted_value{{service_id="{service}",metric="{metric}"}}))'
    )


def _shorter(mistake: Mistake) -> Mistake:
    return replace(mistake, path=mistake.path.removeprefix("services").lstrip("."))


def _recognises(data: Mapping[str, Any]) -> bool:
    return any(isinstance(value, Mapping) and "actions" in value for value in data.values())


FILE = _ByService(kind="action_policies", model=PolicyFile, recognises=_recognises, lint=lint)
