from pathlib import Path

import pytest
from fake_world import World, policy
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
    registry.register(LedgerCollector(world.records, world.clock, policies, 30))
    assert "presagio_remediations_total{" not in text(registry)


class TestBudgets:
    def test_begin_as_the_configuration_says(self, world: World) -> None:
        assert world.metric("remediation_budget_remaining", policy="restart") == 6
        assert world.metric("remediation_fleet_budget_remaining") == 30

    def test_what_acts_takes_a_place_for_an_hour(self, world: World) -> None:
        world.fire()
        world.run()
        assert world.metric("remediation_budget_remaining", policy="restart") == 5
        assert world.metric("remediation_fleet_budget_remaining") == 29
        world.clock.advance(3599)
        assert world.metric("remediation_budget_remaining", policy="restart") == 5
        world.clock.advance(1)
        assert world.metric("remediation_budget_remaining", policy="restart") == 6
        assert world.metric("remediation_fleet_budget_remaining") == 30

    def test_a_dry_run_takes_none(self, world: World) -> None:
        world.use(policy(mode="dry-run"))
        world.fire()
        world.run()
        assert world.metric("remediation_budget_remaining", policy="restart") == 6

    def test_at_nothing_remediations_wait(self, tmp_path: Path) -> None:
        world = World(
            tmp_path, policy(guards={"cooldown": "30m", "max_per_hour": 1}), policy("other", match={"a": "b"})
        )
        for name in ("cart", "search"):
            world.fire(name, service_id=name)
        world.run()
        assert world.metric("remediation_budget_remaining", policy="restart") == 0
        assert world.metric("remediation_budget_remaining", policy="other") == 6
        assert world.metric("remediations_blocked_total", reason="budget") == 1
        world.engine.dispose()

    def test_a_limit_that_was_lowered_leaves_nothing_not_less(self, world: World) -> None:
        for name in ("cart", "search"):
            world.fire(name, service_id=name)
        world.run()
        registry = CollectorRegistry()
        lowered = (policy(guards={"max_per_hour": 1}),)
        registry.register(LedgerCollector(world.records, world.clock, lowered, 1))
        assert registry.get_sample_value("presagio_remediation_budget_remaining", {"policy": "restart"}) == 0
        assert registry.get_sample_value("presagio_remediation_fleet_budget_remaining") == 0

    def test_a_policy_that_is_gone_still_counts_for_all(self, world: World) -> None:
        world.fire()
        world.run()
        registry = CollectorRegistry()
        registry.register(LedgerCollector(world.records, world.clock, (), 30))
        assert registry.get_sample_value("presagio_remediation_fleet_budget_remaining") == 29
