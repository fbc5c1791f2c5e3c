"""What was done to services, and what came of it, told of for a day: from the ledger, however long that is."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from fake_world import START, World, policy
from sqlalchemy import Engine, event, insert

from presagio.actions.base import PlanError
from presagio.webhook.acts import KEPT, Act, acts, latest
from presagio.webhook.database import open_sqlite
from presagio.webhook.records import Records
from presagio.webhook.tables import Audit, Remediation, Spending

LADDER = policy(actions=[{"fix": {}}, {"other": {}}])
FACTS = '{"action":"fix"}'
FIXED = Act("shop", "restart", "fix")
OTHER = Act("shop", "restart", "other")


def outcome(act: Act, name: str) -> Act:
    return Act(act.service_id, act.policy, act.action, name)


def told(world: World) -> dict[Act, float]:
    return acts(world.engine, world.clock.now)


class TestActs:
    def test_nothing_was_done_at_first(self, world: World) -> None:
        assert told(world) == {}

    def test_an_action_is_one_from_the_moment_it_begins(self, world: World) -> None:
        world.fire()
        world.run()
        assert told(world) == {FIXED: START}

    def test_what_came_of_it_has_a_moment_of_its_own(self, world: World) -> None:
        world.prometheus.good = True
        world.fire()
        world.run(600.0)
        found = told(world)
        assert found.keys() == {FIXED, outcome(FIXED, "verified")}
        assert START + world.fix.settle_seconds < found[outcome(FIXED, "verified")] <= world.clock.now

    def test_a_dry_run_does_nothing(self, world: World) -> None:
        world.use(policy(mode="dry-run"))
        world.fire()
        world.run(600.0)
        assert world.case().acted_at == START
        assert told(world) == {}

    def test_each_rung_of_a_ladder_keeps_its_moment(self, world: World) -> None:
        world.use(LADDER)
        world.fire()
        world.rest()
        found = told(world)
        assert found.keys() == {FIXED, OTHER, outcome(OTHER, "escalated")}
        assert found[FIXED] == START
        assert START < found[OTHER] < found[outcome(OTHER, "escalated")]

    def test_what_is_given_to_a_person_untouched_is_no_act(self, world: World) -> None:
        world.fix.plan_error = PlanError("no")
        world.fire()
        world.rest()
        assert world.trail().endswith("escalated")
        assert told(world) == {}

    def test_each_service_has_its_own(self, world: World) -> None:
        for name in ("cart", "search"):
            world.fire(name, service_id=name)
        world.run()
        assert {act.service_id for act in told(world)} == {"cart", "search"}

    def test_the_last_time_counts(self, world: World) -> None:
        for turn in range(2):
            world.fire(f"f{turn}")
            world.rest()
            world.clock.advance(3600)
        assert told(world)[FIXED] == world.case(2).acted_at

    def test_after_a_day_it_is_over(self, world: World) -> None:
        world.fire()
        world.run()
        world.clock.now = START + KEPT - 1
        assert FIXED in told(world)
        world.clock.now = START + KEPT
        assert told(world) == {}

    def test_of_too_many_the_newest_are_told(self, world: World) -> None:
        for number in range(5):
            world.fire(str(number), service_id=str(number))
            world.run()
            world.clock.advance(1)
        assert {act.service_id for act in acts(world.engine, world.clock.now, most=2)} == {"3", "4"}


@pytest.mark.parametrize(
    ("facts", "service_id"), [("{", "shop"), ("[]", "shop"), ("{}", "shop"), ('{"action":1}', "shop"), (FACTS, None)]
)
def test_a_row_that_was_edited_is_left_out_with_what_came_of_it(facts: str, service_id: str | None) -> None:
    def row(seq: int, remediation: int, target: str, facts: str, service_id: str | None) -> object:
        return SimpleNamespace(
            seq=seq, time=START + seq, remediation_id=remediation, target=target, facts=facts,
            service_id=service_id, policy="restart",
        )  # fmt: skip

    rows = [row(1, 1, "intent", facts, service_id), row(2, 1, "verified", "{}", service_id)]
    assert latest([*rows, row(3, 2, "intent", FACTS, "shop")]) == {FIXED: START + 3}


def test_on_the_page_they_are_series(world: World) -> None:
    world.prometheus.good = True
    world.fire()
    world.run(600.0)
    labels = {"service_id": "shop", "policy": "restart", "action": "fix"}
    found = told(world)
    assert world.metric("remediation_last_action_timestamp_seconds", **labels) == START
    assert (
        world.metric("remediation_last_outcome_timestamp_seconds", **labels, outcome="verified")
        == found[outcome(FIXED, "verified")]
    )


@pytest.mark.parametrize(
    "ask",
    [lambda engine: acts(engine, START), lambda engine: Records(engine).spent_each(START - 3600)],
    ids=["acts", "budget"],
)
def test_what_was_long_ago_costs_nothing(ask: Callable[[Engine], object], tmp_path: Path) -> None:
    small, large = (filled(tmp_path / f"{long_ago}.db", long_ago) for long_ago in (120, 12_000))
    assert ask(small) == ask(large) != {}
    assert instructions(large, ask) < 1.1 * instructions(small, ask)


def filled(path: Path, long_ago: int, of_late: int = 50) -> Engine:
    """Return a ledger with the acts of remediations; its rows are not sealed."""
    engine = open_sqlite(path)
    moments = [*(START - 30 * KEPT + number for number in range(long_ago)), *(START - at for at in range(of_late))]
    cases = [
        {"id": number, "state": "closed", "reason": "hold_over", "outcome": "verified", "mode": "auto",
         "service_id": f"s{number % 40}", "policy": "p", "action": "fix", "fingerprint": "f", "alert": {},
         "acted_at": at, "finished_at": at, **dict.fromkeys(
             ("created_at", "entered_at", "not_before", "deadline", "starts_at"), at)}
        for number, at in enumerate(moments, 1)
    ]  # fmt: skip
    rows = [
        {"seq": 3 * number + place, "time": at, "remediation_id": number, "target": target,
         "facts": FACTS,
         **dict.fromkeys(("source", "reason", "who", "previous", "hmac"), "")}
        for number, at in enumerate(moments, 1)
        for place, target in enumerate(("planned", "intent", "verified"))
    ]  # fmt: skip
    spent = [{"remediation_id": number, "policy": "p", "spent_at": at} for number, at in enumerate(moments, 1)]
    with engine.begin() as connection:
        for table, values in ((Remediation, cases), (Audit, rows), (Spending, spent)):
            connection.execute(insert(table), values)
    return engine


def instructions(engine: Engine, ask: Callable[[Engine], object]) -> int:
    """Return how many instructions of SQLite's machine a question takes, in tens: no clock, and no guess."""
    count = 0

    def tick() -> int:
        nonlocal count
        count += 1
        return 0

    def watch(connection: object, *_: object) -> None:
        connection.set_progress_handler(tick, 10)  # type: ignore[attr-defined] # that of sqlite3

    event.listen(engine, "checkout", watch)
    ask(engine)
    engine.dispose()
    return count
