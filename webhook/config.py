"""webhook.yml: whom the webhook asks, and by which policies it acts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from presagio.toolkit.errors import ConfigError
from presagio.toolkit.link_config import LinkConfig
from presagio.toolkit.log import Log
from presagio.toolkit.positions import Path as Place
from presagio.toolkit.prometheus import PrometheusConfig
from presagio.toolkit.schema import ConfigFile, Finding, Mistake, Model
from presagio.toolkit.units import Duration
from presagio.toolkit.webconfig import AuthConfig
from presagio.webhook import policy_file
from presagio.webhook.guard_config import FleetGuards
from presagio.webhook.lint import check_action
from presagio.webhook.policy import Mode, Policy
from presagio.webhook.timers import Timers


class AlertmanagerConfig(LinkConfig):
    """Where Alertmanager is and who we are to it."""

    url: str = Field("http://localhost:9093", description="base URL, with its path prefix if it has one")


class ActionPolicies(Model):
    """An action_policies.json beside the policies of this file."""

    file: Path = Field(description="its path, from the folder of this file")
    mode: Mode = Field(Mode.DRY_RUN, description="for all actions in it that have no mode of their own")


class Ledger(Model):
    """The store of notifications and remediations."""

    path: Path = Field(Path("ledger.db"), description="SQLite file, from --storage.path")
    url: str | None = Field(
        None,
        description="PostgreSQL instead, for several replicas: `postgresql://user@host/database?sslmode=verify-full`",
    )
    password_file: Path | None = Field(None, description="password for `url`, read at each connection")
    key_file: Path | None = Field(
        None, description="key of the ledger's chain; without it one is made in --storage.path at the first start"
    )
    retention: Annotated[Duration, Field(ge=86_400)] | None = Field(
        None, description="what ended longer ago is removed; without it nothing ever is"
    )
    archive: Path | None = Field(
        None, description="folder into which audit rows are written before they are removed, one file each time"
    )

    @field_validator("url")
    @classmethod
    def _postgresql(cls, url: str | None) -> str | None:
        parts = urlsplit(url or "")
        if parts.password is not None:
            raise ValueError("an address without a password, which belongs into password_file, got both together")
        if url is not None and (parts.scheme != "postgresql" or not parts.hostname):
            raise ValueError(f"an address such as postgresql://user@host/database, got {url!r}")
        return url


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
    guards: FleetGuards = Field(default_factory=FleetGuards, description="limits on acting, of all policies together")
    timers: Timers = Field(default_factory=Timers, description="how long each step of a remediation may take")
    external_url: Annotated[str, Field(pattern=r"^https?://[^\s]+$")] | None = Field(
        None, description="where people reach these pages: alerts that need a person link to it"
    )
    api: AuthConfig = Field(default_factory=AuthConfig, description="who may send notifications and ask")


def lint(config: WebhookConfig) -> Iterator[Finding]:
    """Yield the mistakes that no field alone shows."""
    yield from config.api.lint(("api",))
    yield from _lint_ledger(config.ledger)
    counts = Counter(policy.name for policy in config.policies)
    for index, policy in enumerate(config.policies):
        place: Place = ("policies", index)
        if counts[policy.name] > 1:
            yield Finding((*place, "name"), "a name that no other policy has", repr(policy.name))
        for rung, action in enumerate(policy.actions):
            yield from check_action(action, (*place, "actions", rung))


def _lint_ledger(ledger: Ledger) -> Iterator[Finding]:
    if ledger.url is None:
        return
    if ledger.key_file is None:
        yield Finding(("ledger",), "key_file, the same for all replicas, where there is a url", "none")


FILE = ConfigFile(
    kind="webhook",
    model=WebhookConfig,
    recognises=lambda data: bool({"policies", "action_policies", "alertmanager", "ledger"} & set(data)),
    lint=lint,
)


def load(path: Path, log: Log) -> tuple[WebhookConfig, tuple[Policy, ...]]:
    """Return webhook.yml and all its policies, those of its action_policies.json last. Raises ConfigError."""
    config = FILE.load(path)
    if config.action_policies is None:
        return config, config.policies
    source = path.parent / config.action_policies.file
    others = policy_file.policies(policy_file.FILE.load(source), config.action_policies.mode, log)
    names = {policy.name for policy in config.policies}
    clashes = [Mistake(str(path), 1, "policies", "names that no other policy has", repr(one.name))
               for one in others if one.name in names]  # fmt: skip
    if clashes:
        raise ConfigError(clashes)
    return config, (*config.policies, *others)
