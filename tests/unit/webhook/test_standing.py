"""What one step remembers, and what is given away before it is written."""

from fake_world import START, World

from presagio.webhook.moves import Budget
from presagio.webhook.records import PAUSE
from presagio.webhook.standing import Standing

BUDGET = Budget("restart", 2, 3)
HOUR = 3600.0


def left(standing: Standing, policy: str | None, most: int) -> bool:
    return standing.spent_up(START - HOUR, policy, most) is None


def test_what_is_promised_is_not_given_twice(world: World) -> None:
    standing = Standing(world.records)
    assert (left(standing, "restart", 2), left(standing, None, 3)) == (True, True)
    standing.promise(BUDGET)
    assert (left(standing, "restart", 2), left(standing, None, 3)) == (True, True)
    standing.promise(BUDGET)
    assert (left(standing, "restart", 2), left(standing, None, 3), left(standing, "other", 2)) == (False, True, True)
    standing.begin()
    assert left(standing, "restart", 2)


def test_what_was_spent_counts_with_what_is_promised(world: World) -> None:
    world.fire()
    world.run()
    standing = Standing(world.records)
    assert left(standing, "restart", 2)
    standing.promise(BUDGET)
    assert standing.spent_up(START - HOUR, "restart", 2) == START


def test_a_switch_is_asked_for_once_in_a_step(world: World) -> None:
    standing = Standing(world.records)
    assert standing.paused() is None
    world.ledger.switch(PAUSE, True, "alice", "", START)
    assert standing.paused() is None
    standing.begin()
    assert standing.paused() is not None
