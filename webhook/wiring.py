"""Where the webhook is put together: the only place that knows all its parts."""

from __future__ import annotations

import secrets
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry
from sqlalchemy import Engine

from presagio.actions import base
from presagio.toolkit.clock import Clock
from presagio.toolkit.log import get_log
from presagio.toolkit.prometheus import Prometheus
from presagio.webhook import chain
from presagio.webhook.acting_api import Counter
from presagio.webhook.alertmanager import Alertmanager
from presagio.webhook.config import WebhookConfig
from presagio.webhook.courier import Courier
from presagio.webhook.database import open_existing, open_sqlite
from presagio.webhook.errors import LedgerError
from presagio.webhook.inbox import Inbox
from presagio.webhook.ledger import Ledger
from presagio.webhook.loop import Loop
from presagio.webhook.metrics import LedgerCollector, Metrics
from presagio.webhook.orchestrator import Orchestrator
from presagio.webhook.postgresql import open_postgresql
from presagio.webhook.questions import Questions, Source
from presagio.webhook.records import Records
from presagio.webhook.replica import Replica
from presagio.webhook.retention import Keeper
from presagio.webhook.standing import Standing
from presagio.webhook.tools import Tools
from presagio.webhook.watchman import Watchman

_KEY = "ledger.key"
_ASKING = 4
"""Questions to Prometheus, Alertmanager and targets at a time."""
_LOCK = "orchestrator.lock"


@dataclass(frozen=True)
class Parts:
    """The webhook, put together and not yet started."""

    engine: Engine
    inbox: Inbox
    records: Records
    metrics: Metrics
    prometheus: Source
    loop: Loop
    counter: Counter
    workers: ThreadPoolExecutor
    replica: Replica | None


def ledger_path(config: WebhookConfig, storage: Path) -> Path:
    """Return where the ledger is: in the storage folder, unless the configuration says otherwise."""
    return storage / config.ledger.path


def ledger(config: WebhookConfig, storage: Path) -> Engine:
    """Return the ledger's database, made at the first start. Raises LedgerError."""
    return _shared(config) or open_sqlite(ledger_path(config, storage))


def existing_ledger(config: WebhookConfig, storage: Path) -> Engine:
    """Return the database of a ledger that is there. Raises LedgerError if it is not."""
    return _shared(config) or open_existing(ledger_path(config, storage))


def _shared(config: WebhookConfig) -> Engine | None:
    kept = config.ledger
    return None if kept.url is None else open_postgresql(kept.url, kept.password_file)


def key_path(config: WebhookConfig, storage: Path) -> Path:
    """Return where the key of the ledger's chain is."""
    return config.ledger.key_file or storage / _KEY


def key(config: WebhookConfig, storage: Path) -> bytes:
    """Return the ledger's key; make it at the first start. Raises LedgerError if the ledger is there without it."""
    path = key_path(config, storage)
    if config.ledger.key_file is None and not ledger_path(config, storage).exists():
        return chain.make_key(path)
    try:
        return chain.read_key(path)
    except LedgerError as error:
        raise LedgerError(
            f"{error}; without the ledger's key nothing can be added to it, restore the file"
        ) from error


def build(config: WebhookConfig, storage: Path, registry: CollectorRegistry, clock: Clock) -> Parts:
    """Return the webhook made of `config`. Raises LedgerError, SecretError."""
    secret = key(config, storage)
    engine = ledger(config, storage)
    records, metrics = Records(engine), Metrics(registry, config.policies)
    registry.register(LedgerCollector(records, clock, config.policies, config.guards.max_per_hour))
    chain.check_key(records.last_row(), secret)
    news = threading.Event()
    inbox, writer = Inbox(engine, news.set), Ledger(engine, secret, config.timers.evaluation_deadline)
    prometheus, alertmanager = Prometheus(config.prometheus), Alertmanager(config.alertmanager)
    questions = Questions(Prometheus(config.prometheus), alertmanager)
    tools = Tools(
        config.policies,
        records,
        Standing(records),
        questions,
        base.load,
        config.timers,
        lambda: secrets.token_hex(4),
        config.guards,
    )
    workers = ThreadPoolExecutor(config.timers.workers, "action")
    log = get_log("orchestrator")
    replica = None if config.ledger.url is None else Replica(engine, _name(), get_log("replica"))
    asking = ThreadPoolExecutor(_ASKING, "asking")
    machine = Orchestrator(
        writer, inbox, tools, replica or records, workers, metrics, log, on_outcome=news.set, at_once=asking.map
    )
    courier = Courier(writer, records, alertmanager, get_log("courier"), config.external_url)
    kept = config.ledger
    keeper = Keeper(writer, kept.retention, kept.archive, get_log("retention")) if kept.retention else None
    watchman = Watchman(engine, secret, metrics, get_log("watchman"))

    def afterwards(now: float) -> int:
        return courier.deliver(now) + (keeper.tidy(now) if keeper else 0) + watchman.look(now)

    loop = Loop(machine, afterwards, news, storage / _LOCK, clock, metrics, log)
    counter = Counter(tools, writer, clock, get_log("people"), news.set)
    return Parts(engine, inbox, records, metrics, prometheus, loop, counter, workers, replica)


def _name() -> str:
    """Return a name for this process that no other has, and that tells a person where it runs."""
    return f"{socket.gethostname()[:50]}-{secrets.token_hex(4)}"
