"""The recommender within the machine: what it may choose, what it learns from, and what it is told to leave."""

import json
from pathlib import Path
from typing import Any

import pytest
from fake_world import FakeAction, World, policy

from presagio.actions.base import PlanError
from presagio.webhook.policy import Policy
from presagio.webhook.records import FREEZE
from presagio.webhook.states import State
from presagio.webhook.tables import Trial

MINUTE = 60.0
LADDER: list[dict[str, Any]] = [{"fix": {}}, {"other": {}}]


def learned(**changes: Any) -> Policy:
    return policy(order="learned", actions=LADDER, guards={"cooldown": "0s", "max_per_hour": 1000}, **changes)


@pytest.fixture
def learning(tmp_path: Path) -> World:
    world = World(tmp_path, learned())
    world.fleet = world.fleet.model_copy(update={"max_per_hour": 1000})
    world.actions["wait"] = FakeAction("wait")
    world.use(learned())
    return world


def trials(world: World) -> list[Trial]:
    return world.records.trials(world.clock.time())


def planned(world: World) -> list[dict[str, Any]]:
    rows = [row for row in reversed(world.records.audit(10_000)) if row.target == State.PLANNED]
    return [json.loads(row.facts)["choice"] for row in rows]


class TestLadder:
    def test_each_action_and_to_wait_are_tried_once_and_then_a_person(self, learning: World) -> None:
        learning.fire()
        learning.run(3 * 60 * MINUTE)
        assert learning.case().state is State.ESCALATED
        tried = [choice["arm"].partition("#")[0] for choice in planned(learning)]
        assert sorted(tried) == ["fix", "other", "wait"]
        assert [trial.reward for trial in trials(learning)] == [0, 0, 0]

    def test_the_ledger_knows_how_likely_each_choice_was(self, learning: World) -> None:
        learning.fire()
        learning.run(3 * 60 * MINUTE)
        for choice, left in zip(planned(learning), (3, 2, 1), strict=True):
            assert len(choice["candidates"]) == left
            assert choice["propensity"] == choice["candidates"][choice["arm"]] > 0
            assert sum(choice["candidates"].values()) == pytest.approx(1)
            assert choice["situation"]["alert"] == "Leak"

    def test_an_action_that_cannot_be_planned_leaves_its_share_to_the_others(self, learning: World) -> None:
        learning.fix.plan_error = PlanError("too small")
        learning.fire()
        learning.run(MINUTE)
        choice = planned(learning)[0]
        assert sum(choice["candidates"].values()) == pytest.approx(1)
        assert choice["arm"].partition("#")[0] in {"other", "wait"}

    def test_a_rung_that_is_planned_again_is_not_drawn_again(self, learning: World) -> None:
        learning.use(learned(mode="approval"))
        learning.fire()
        learning.run(MINUTE)
        first = planned(learning)[0]
        for size in range(2, 8):  # another revision each time makes the plan stale
            learning.use(learned(mode="approval", description=f"revision {size}"))
            learning.run(5 * MINUTE)
        assert len(planned(learning)) > 3
        assert all(choice["arm"] == first["arm"] for choice in planned(learning))

    def test_the_order_of_the_policy_needs_no_draw(self, world: World) -> None:
        world.fire()
        world.run()
        assert (planned(world)[0]["propensity"], len(planned(world)[0]["candidates"])) == (1.0, 1)


class TestReward:
    def test_verified_is_a_success(self, learning: World) -> None:
        learning.prometheus.good = True
        learning.fire()
        learning.run(30 * MINUTE)
        assert [trial.reward for trial in trials(learning)] == [1]

    def test_what_nobody_can_tell_is_censored(self, learning: World) -> None:
        learning.prometheus.good = None
        learning.fire()
        learning.run(60 * MINUTE)
        assert [trial.reward for trial in trials(learning)] == [None]
        assert learning.records.judged([trials(learning)[0].arm], learning.clock.time()) == []

    def test_what_somebody_else_changed_is_censored(self, learning: World) -> None:
        for action in learning.actions.values():
            action.meddled = "size is 9"
        learning.prometheus.good = True
        learning.fire()
        learning.run(60 * MINUTE)
        assert [trial.reward for trial in trials(learning)] == [None]

    def test_what_did_not_last_is_taken_back(self, learning: World) -> None:
        learning.prometheus.good = True
        learning.fire("alert-1")
        learning.run(5 * MINUTE)
        assert [trial.reward for trial in trials(learning)] == [1]
        learning.prometheus.good = False
        learning.fire("alert-2")
        learning.run(2 * MINUTE)
        assert trials(learning)[0].reward == 0
        story = [json.loads(row.facts) for row in learning.records.story(1) if row.target == State.NEXT_RUNG]
        assert story[0]["reward_taken_back"] is True

    @pytest.mark.parametrize(("good", "reward"), [(True, 1.0), (False, 0.0), (None, None)])
    def test_a_dry_run_teaches_what_waiting_does(
        self, learning: World, good: bool | None, reward: float | None
    ) -> None:
        learning.use(learned(mode="dry-run"))
        learning.prometheus.good = good
        learning.fire()
        learning.run(60 * MINUTE)
        [trial] = trials(learning)
        assert (trial.arm.partition("#")[0], trial.choice["propensity"], trial.reward) == ("wait", 1.0, reward)

    def test_every_trial_is_told_by_the_audit(self, learning: World) -> None:
        learning.fire()
        learning.run(3 * 60 * MINUTE)
        told = [json.loads(row.facts) for row in reversed(learning.records.audit(10_000))]
        assert [facts["reward"] for facts in told if "reward" in facts] == [one.reward for one in trials(learning)]


class TestFreeze:
    def test_a_frozen_recommender_knows_what_it_knew(self, learning: World) -> None:
        learning.ledger.switch(FREEZE, True, "ann", "an incident", learning.clock.time())
        learning.fire()
        learning.run(3 * 60 * MINUTE)
        assert [choice["propensity"] for choice in planned(learning)] == [1, 1, 1]
        assert [choice["arm"].partition("#")[0] for choice in planned(learning)] == ["fix", "other", "wait"]

    def test_freezing_again_does_not_move_the_moment(self, learning: World) -> None:
        learning.ledger.switch(FREEZE, True, "ann", "", 100.0)
        learning.ledger.switch(FREEZE, True, "bob", "", 200.0)
        frozen = learning.records.frozen()
        assert frozen is not None
        assert frozen.since == 100.0
