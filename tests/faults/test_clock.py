"""The clock jumps by an hour, at any moment of a remediation: it ends, acts once, and proves what it says."""

import json
from pathlib import Path

import pytest
from fake_world import World

from presagio.webhook.states import TERMINAL, Outcome, State

MOMENTS = (
    State.RECEIVED, State.EVALUATING, State.PLANNED, State.READY, State.APPLIED, State.SETTLING, State.VERIFYING,
    State.VERIFIED, State.HOLDDOWN,
)  # fmt: skip
HOUR = 3600.0


def step_to(world: World, state: State) -> None:
    for _ in range(100):
        if state in world.states():
            return
        if not world.machine.step(world.clock.now):
            world.clock.now = world.machine.next_due() or world.clock.now + 1.0
    raise AssertionError(f"it never was {state}: {world.trail()}")


@pytest.mark.parametrize("jump", [-HOUR, HOUR], ids=["back", "forth"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_clock_that_jumps_by_an_hour_neither_doubles_nor_forgets(
    moment: State, jump: float, tmp_path: Path
) -> None:
    world = World(tmp_path)
    world.prometheus.good = True
    world.fire(service_id="shop/cart")
    world.machine.step(world.clock.now)
    step_to(world, moment)
    world.clock.now += jump
    world.rest()
    case = world.case()
    assert case.state in TERMINAL
    assert len(world.fix.effects) <= 1
    assert world.records.leases() == []
    if case.outcome is Outcome.VERIFIED:
        facts = [json.loads(row.facts) for row in world.records.story(1) if row.target == State.VERIFIED]
        assert sum(sample["sample"] == "good" for sample in facts[-1]["samples"]) >= 3, facts
    else:
        assert case.state is State.ESCALATED
    world.verified_chain()
    world.engine.dispose()
