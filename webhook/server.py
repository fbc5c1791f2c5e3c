"""The webhook as a server: the orchestrator in the background, the API and the pages in front."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flask import Flask
from prometheus_client import generate_latest
from sqlalchemy.exc import SQLAlchemyError

from presagio.toolkit import web
from presagio.toolkit.log import get_log
from presagio.toolkit.schema import ConfigFile
from presagio.toolkit.serve import Context
from presagio.toolkit.webconfig import Guard
from presagio.webhook import api, dashboard, wiring
from presagio.webhook import config as configuration
from presagio.webhook.api import Desk
from presagio.webhook.config import FILE, WebhookConfig
from presagio.webhook.dashboard import View
from presagio.webhook.wiring import Parts

_PATIENCE = 100.0


@dataclass(frozen=True)
class WithPolicies(ConfigFile[WebhookConfig]):
    """webhook.yml together with its action_policies.json: a mistake in either is met at load, by the master."""

    def load(self, path: Path) -> WebhookConfig:
        """Return the configuration with all policies in it. Raises ConfigError with the mistakes of both files."""
        config, policies = configuration.load(path, get_log("policies"))
        return config.model_copy(update={"policies": policies, "action_policies": None})


class Webhook:
    """A running webhook: what toolkit.serve starts and stops in the worker."""

    def __init__(self, app: Flask, parts: Parts) -> None:
        self.app = app
        self.parts = parts

    def start(self) -> None:
        """Start the orchestrator; on SQLite it waits for an older worker to let go of the ledger."""
        if self.parts.replica is not None:
            self.parts.replica.start()
        self.parts.loop.start()

    def stop(self) -> None:
        """Begin nothing new, and wait for actions that run: an outcome that nobody writes goes to a person."""
        self.parts.loop.stop(_PATIENCE)
        self.parts.workers.shutdown(wait=False, cancel_futures=True)
        if self.parts.replica is not None:
            self.parts.replica.stop()
        self.parts.engine.dispose()


class WebhookWing:
    """`presagio webhook` for toolkit.serve."""

    name = "webhook"
    file: ConfigFile[WebhookConfig] = WithPolicies(FILE.kind, FILE.model, FILE.recognises, FILE.lint)

    def build(self, config: WebhookConfig, context: Context) -> Webhook:
        """Put the webhook together. Raises LedgerError, and SecretError if the API has no key."""
        parts = wiring.build(config, context.arguments.storage_path, context.registry, context.clock)
        guard = Guard(config.api, context.log)
        app = web.create(_site(parts, config, context), context.registry, context.log)
        room = config.limits.pending_alerts
        desk = Desk(parts.inbox, parts.records, parts.metrics, context.clock, get_log("api"), room)
        app.register_api(api.create(desk, parts.counter, guard))
        app.register_blueprint(
            dashboard.create(View(parts.records, parts.prometheus, context.clock), parts.counter, guard)
        )
        return Webhook(app, parts)


def _site(parts: Parts, config: WebhookConfig, context: Context) -> web.Site:
    return web.Site(
        title="Presagio webhook",
        description="Receives Alertmanager's notifications, remedies by policy, and checks that it helped.",
        metrics=lambda: generate_latest(context.registry),
        ready=lambda: _ready(parts),
        reload=context.reload,
        landing=False,
        max_body=config.limits.body_bytes,
    )


def _ready(parts: Parts) -> str | None:
    try:
        parts.records.head()
    except SQLAlchemyError as error:
        return f"the ledger cannot be read: {error}"
    return None if parts.loop.alive else "the orchestrator has ended; see the log"
