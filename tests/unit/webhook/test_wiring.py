import json
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from presagio.toolkit.clock import ManualClock
from presagio.toolkit.errors import ConfigError
from presagio.webhook import wiring
from presagio.webhook.config import WebhookConfig
from presagio.webhook.errors import LedgerError
from presagio.webhook.ledger import Ledger
from presagio.webhook.moves import Arrival
from presagio.webhook.server import WebhookWing
from presagio.webhook.wiring import Parts

CONFIG = WebhookConfig()


def build(folder: Path, config: WebhookConfig = CONFIG) -> Parts:
    return wiring.build(config, folder, CollectorRegistry(), ManualClock(1000.0))


def built_once(folder: Path) -> None:
    parts = build(folder)
    parts.inbox.store('{"version": "4", "status": "firing", "alerts": []}', 0, "test", 1.0)
    parts.engine.dispose()


def test_the_key_is_made_with_the_ledger(tmp_path: Path) -> None:
    built_once(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} >= {"ledger.db", "ledger.key"}
    built_once(tmp_path)


def test_a_ledger_without_its_key_is_refused(tmp_path: Path) -> None:
    built_once(tmp_path)
    (tmp_path / "ledger.key").unlink()
    with pytest.raises(LedgerError, match="without the ledger's key nothing can be added to it, restore the file"):
        build(tmp_path)
    assert not (tmp_path / "ledger.key").exists()


def test_a_key_that_the_configuration_names_is_never_made(tmp_path: Path) -> None:
    config = WebhookConfig.model_validate({"ledger": {"key_file": tmp_path / "vault" / "key"}})
    with pytest.raises(LedgerError, match="cannot be read"):
        build(tmp_path, config)
    assert not (tmp_path / "vault").exists()


def test_a_wrong_key_is_refused(tmp_path: Path) -> None:
    parts = build(tmp_path)
    parts.inbox.store("{}", 1, "test", 1.0)
    arrived = [(parts.inbox.waiting()[0], [Arrival("f", 0.0, {})])]
    Ledger(parts.engine, wiring.key(CONFIG, tmp_path)).open(arrived, 1.0)
    parts.engine.dispose()
    (tmp_path / "ledger.key").write_text("ab" * 32)
    with pytest.raises(LedgerError, match="key does not fit its last row, 1; restore the key, or the ledger"):
        build(tmp_path)


def test_the_configuration_brings_its_action_policies(tmp_path: Path) -> None:
    (tmp_path / "webhook.yml").write_text("api: {authentication: none}\naction_policies: {file: policies.json}\n")
    policies = tmp_path / "policies.json"
    action = {"command": "/bin/true", "conditions": {"anomaly_score": "> 1"}}
    policies.write_text(json.dumps({"shop": {"actions": {"x": action}}}))
    config = WebhookWing().file.load(tmp_path / "webhook.yml")
    assert [policy.name for policy in config.policies] == ["shop/x"]
    policies.write_text('{"shop": {}}')
    with pytest.raises(ConfigError, match=r"policies\.json:1: shop\.actions: expected a value"):
        WebhookWing().file.load(tmp_path / "webhook.yml")
