"""webhook.yml: whom the webhook asks, and by which policies it acts."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from presagio.actions import base
from presagio.toolkit.errors import ConfigError, PluginError
from presagio.toolkit.positions import Path as Place
from presagio.toolkit.positions import parse
from presagio.toolkit.prometheus import PrometheusConfig
from presagio.toolkit.schema import ConfigFile, Finding, Mistake, Model
from presagio.toolkit.webconfig import AuthConfig
from presagio.webhook.policy import Mode, Policy
from presagio.webhook.timers import Timers

_STEP = re.compile(r"[^.\[\]]+")


class AlertmanagerConfig(PrometheusConfig):
    """Where Alertmanager is and who we are to it."""

    url: str = Field("http://localhost:9093", description="base URL, with its path prefix if it has one")


class ActionPolicies(Model):
    """An action_policies.json beside the policies of this file."""

    file: Path = Field(description="its path, from the folder of this file")
    mode: Mode = Field(Mode.DRY_RUN, description="for all actions in it that have no mode of their own")


class Ledger(Model):
    """The store of notifications and remediations."""

    path: Path = Field(Path("ledger.db"), description="SQLite file, from --storage.path")
    key_file: Path | None = Field(
        None, description="key of the ledger's chain; without it one is made in --storage.path at the first start"
    )


class Limits(Model):
    """Caps that keep a storm from costing the machine."""

    body_bytes: int = Field(8 << 20, ge=1024, description="largest notification taken")
    pending_alerts: int = Field(
        20_000,
        ge=1,
        description="stored alerts not yet looked at; beyond it Alertmanager is told to send again (503)",
    )


class WebhookConfig(Model):
    """The whole file."""

    alertmanager: AlertmanagerConfig = Field(default_factory=AlertmanagerConfig, description="who sends alerts")
    prometheus: PrometheusConfig = Field(default_factory=PrometheusConfig, description="whom conditions are asked")
    policies: tuple[Policy, ...] = Field((), description="which alert starts what")
    action_policies: ActionPolicies | None = Field(None, description="an action_policies.json that you have")
    ledger: Ledger = Field(default_factory=Ledger, description="the store")
    limits: Limits = Field(default_factory=Limits, description="caps")
    timers: Timers = Field(default_factory=Timers, description="how long each step of a remediation may take")
    api: AuthConfig = Field(default_factory=AuthConfig, description="who may send notifications and ask")


def lint(config: WebhookConfig) -> Iterator[Finding]:
    """Yield the mistakes that no field alone shows."""
    yield from config.api.lint(("api",))
    counts = Counter(policy.name for policy in config.policies)
    for index, policy in enumerate(config.policies):
        place: Place = ("policies", index)
        if counts[policy.name] > 1:
            yield Finding((*place, "name"), "a name that no other policy has", repr(policy.name))
        for rung, action in enumerate(policy.actions):
            for name, params in action.items():
                yield from _action(name, params, (*place, "actions", rung, name))


def _action(name: str, params: Any, place: Place) -> Iterator[Finding]:
    try:
        model = base.load(name).Params
    except PluginError as error:
        yield Finding(place, "an installed action", str(error))
    else:
        yield from _params(model, {} if params is None else params, place)


def _params(model: type[BaseModel], params: Any, place: Place) -> Iterator[Finding]:
    """Validate an action's parameters as if they were a file of their own."""
    document = parse(json.dumps(params, default=str), json=True)
    try:
        ConfigFile("action", model, _never).validate(document, "")
    except ConfigError as error:
        for mistake in error.mistakes:
            if isinstance(mistake, Mistake):
                yield Finding((*place, *_steps(mistake.path)), mistake.expected, mistake.got)


def _never(_: Mapping[str, Any]) -> bool:
    return False


def _steps(dotted: str) -> Place:
    return tuple(int(step) if step.isdigit() else step for step in _STEP.findall(dotted))


FILE = ConfigFile(
    kind="webhook",
    model=WebhookConfig,
    recognises=lambda data: bool({"policies", "action_policies", "alertmanager", "ledger"} & set(data)),
    lint=lint,
)
