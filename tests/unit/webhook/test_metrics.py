import pytest
from fake_world import World
from prometheus_client import CollectorRegistry, generate_latest
from sqlalchemy.exc import OperationalError

from presagio.webhook.metrics import LedgerCollector, Metrics
from presagio.webhook.policy import Policy
from presagio.webhook.states import BLOCKING, LIVE


def text(registry: CollectorRegistry) -> str:
    return generate_latest(registry).decode()


def test_known_label_sets_begin_at_zero(world: World) -> None:
    page = text(world.registry)
    for reason in BLOCKING:
        assert f'presagio_remediations_blocked_total{{reason="{reason}"}} 0.0' in page
    for state in LIVE:
        assert f'presagio_remediations{{state="{state}"}} 0.0' in page
    assert 'presagio_alerts_received_total{status="resolved"} 0.0' in page
    assert 'presagio_remediations_total{action="fix",policy="restart"} 0.0' in page
    assert 'presagio_remediations_finished_total{action="fix",outcome="verified",policy="restart"} 0.0' in page
    assert 'presagio_remediations_finished_total{action="none",outcome="self_resolved",policy="restart"} 0.0' in page


def test_the_head_of_the_ledger_is_one_series(world: World) -> None:
    world.fire()
    world.run()
    head = world.records.head()
    lines = [line for line in text(world.registry).splitlines() if line.startswith("presagio_ledger_head_info")]
    assert lines == [f'presagio_ledger_head_info{{hash="{head.hmac}",seq="{head.seq}"}} 1.0']


def test_live_remediations_by_state(world: World) -> None:
    world.fire()
    world.run()
    assert world.metric("remediations", state="settling") == 1
    assert world.metric("remediations_total", policy="restart", action="fix") == 1


def test_a_ledger_in_trouble_does_not_cost_the_page(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise OperationalError("select", {}, Exception("gone"))

    monkeypatch.setattr(world.records, "counts", broken)
    page = text(world.registry)
    assert "presagio_notifications_received_total 0.0" in page
    assert "presagio_ledger_head_info" not in page


def test_two_worlds_do_not_share_a_registry(world: World) -> None:
    registry = CollectorRegistry()
    policies: tuple[Policy, ...] = ()
    Metrics(registry, policies)
    registry.register(LedgerCollector(world.records, world.clock))
    assert "presagio_remediations_total{" not in text(registry)
