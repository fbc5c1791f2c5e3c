"""The webhook verifies its own ledger: what is whole is said to be, what was changed is found."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_world import KEY, START, World
from sqlalchemy import event

from presagio.toolkit.log import get_log
from presagio.webhook.retention import Keeper
from presagio.webhook.watchman import EVERY, WHOLE, Watchman

DAY = 86_400.0
AGAIN = 601.0
"""Seconds after which a ledger that was found broken is walked again."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A world whose ledger need not verify at the end: here it is harmed."""
    made = World(tmp_path)
    yield made
    made.engine.dispose()


@pytest.fixture(autouse=True)
def _short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("presagio.webhook.watchman._ROWS", 5)


@pytest.fixture
def watchman(world: World) -> Watchman:
    return Watchman(world.engine, KEY, world.metrics, get_log("watchman"))


def lived(world: World, *names: str) -> None:
    world.prometheus.good = True
    for name in names:
        world.fire(name, START - 60, service_id=name)
    world.rest()


def look(world: World, watchman: Watchman, later: float = 0.0) -> float:
    """Look until there is nothing more to walk, and return what the metric says then."""
    world.clock.advance(later)
    while watchman.look(world.clock.now):
        pass
    return whole(world)


def whole(world: World) -> float:
    value = world.registry.get_sample_value("presagio_ledger_verified")
    assert value is not None
    return value


def harm(world: World, *statements: str) -> None:
    with world.engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def said(caplog: pytest.LogCaptureFixture) -> str:
    """Return why the ledger is broken, as the log has it."""
    (record,) = [one for one in caplog.records if one.msg == "the ledger is broken"]
    return str(vars(record)["fields"]["error"])


def test_nothing_is_said_before_it_is_known(world: World, watchman: Watchman) -> None:
    lived(world, "a")
    assert math.isnan(whole(world))
    assert watchman.look(world.clock.now) == 5
    assert math.isnan(whole(world))
    assert world.metric("ledger_last_verified_timestamp_seconds") == 0
    assert look(world, watchman) == 1
    assert world.metric("ledger_last_verified_timestamp_seconds") == world.clock.now


def test_an_empty_ledger_is_whole_and_so_is_what_comes_then(world: World, watchman: Watchman) -> None:
    assert look(world, watchman) == 1
    lived(world, "a", "b")
    assert look(world, watchman, EVERY) == 1


def test_each_row_is_read_once_until_the_next_whole_walk(world: World, watchman: Watchman) -> None:
    lived(world, "a", "b", "c")
    look(world, watchman)
    asked: list[str] = []
    event.listen(world.engine, "before_cursor_execute", lambda *about: asked.append(about[2]))
    assert watchman.look(world.clock.now + EVERY - 1) == 0
    assert asked == []
    assert look(world, watchman, EVERY) == 1
    assert len([one for one in asked if "audit.facts" in one]) == 1


@pytest.mark.parametrize(
    ("statements", "found"),
    [
        (["update audit set facts = '{}' where seq = 3"], "audit row 3 was changed"),
        (["update audit set who = 'nobody' where seq = 8"], "audit row 8 was changed"),
        (["delete from audit where seq = 1"], "audit rows up to 1 are missing"),
        (["delete from audit where seq = 5"], "audit row 5 is missing: row 4 is followed by row 6"),
        (["delete from audit where seq = 6"], "audit row 6 is missing: row 5 is followed by row 7"),
        (["delete from audit where seq = (select max(seq) from audit)"], "is missing: the ledger ended at row"),
        (["update ledger_head set seq = 4"], "the head of the ledger says row 4"),
    ],
)
def test_the_first_walk_finds_what_was_changed(
    world: World, watchman: Watchman, caplog: pytest.LogCaptureFixture, statements: list[str], found: str
) -> None:
    lived(world, "a", "b")
    harm(world, *statements)
    assert look(world, watchman) == 0
    assert found in said(caplog)
    assert world.metric("ledger_last_verified_timestamp_seconds") == 0


def test_new_rows_are_verified_within_a_minute_and_old_ones_within_a_day(world: World, watchman: Watchman) -> None:
    lived(world, "a")
    assert look(world, watchman) == 1
    lived(world, "b")
    harm(world, "update audit set who = 'nobody' where seq = 2")
    assert look(world, watchman, EVERY) == 1
    assert look(world, watchman, WHOLE) == 0


def test_a_new_row_that_nobody_sealed_is_found_within_a_minute(world: World, watchman: Watchman) -> None:
    lived(world, "a")
    assert look(world, watchman) == 1
    seq = world.records.head().seq
    lived(world, "b")
    harm(world, f"update audit set facts = '{{}}' where seq = {seq + 2}")
    assert look(world, watchman, EVERY) == 0


def test_a_last_row_that_was_sealed_anew_is_found_within_a_minute(
    world: World, watchman: Watchman, caplog: pytest.LogCaptureFixture
) -> None:
    lived(world, "a")
    assert look(world, watchman) == 1
    harm(world, "update audit set hmac = 'x' where seq = (select seq from ledger_head)")
    assert look(world, watchman, EVERY) == 0
    assert "was changed since it was verified" in said(caplog)


@pytest.mark.parametrize("others", [0, 2])
def test_rows_that_were_cut_off_are_missed_though_the_head_was_set_back(
    world: World, watchman: Watchman, others: int, caplog: pytest.LogCaptureFixture
) -> None:
    lived(world, "a", "b")
    assert look(world, watchman) == 1
    last = world.records.head().seq
    harm(
        world,
        f"delete from audit where seq > {last - 3 - others}",
        "update ledger_head set seq = (select max(seq) from audit)",
        "update ledger_head set hmac = (select hmac from audit order by seq desc limit 1)",
    )
    assert world.verified_chain() == last - 3 - others
    assert look(world, watchman, EVERY) == 0
    assert f"the ledger went on to {last}" in said(caplog)


def test_what_was_broken_stays_so_until_it_is_restored(world: World, watchman: Watchman) -> None:
    lived(world, "a", "b")
    harm(world, "update audit set who = 'nobody' where seq = 2")
    assert look(world, watchman) == 0
    lived(world, "c")
    assert look(world, watchman, AGAIN) == 0
    harm(world, "update audit set who = 'orchestrator' where seq = 2")
    assert look(world, watchman, EVERY) == 0
    assert look(world, watchman, AGAIN) == 1


def test_retention_breaks_nothing_wherever_the_walk_is(world: World, watchman: Watchman) -> None:
    lived(world, "a", "b")
    assert watchman.look(world.clock.now) == 5
    world.clock.advance(40 * DAY)
    assert Keeper(world.ledger, 30 * DAY, None, get_log("retention")).tidy(world.clock.now) > 5
    assert look(world, watchman) == 1
    lived(world, "c")
    assert look(world, watchman, EVERY) == 1
    assert look(world, watchman, WHOLE) == 1


def test_another_key_breaks_all(world: World) -> None:
    lived(world, "a")
    assert look(world, Watchman(world.engine, b"x" * 32, world.metrics, get_log("watchman"))) == 0
