"""What is removed, what stays, and that the chain still tells the truth."""

import json
from pathlib import Path

import pytest
from fake_world import KEY, START, World
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from presagio.toolkit.log import get_log
from presagio.webhook import archive
from presagio.webhook.errors import LedgerError
from presagio.webhook.retention import EVERY, Keeper
from presagio.webhook.tables import Audit, Base, Head

DAY = 86_400.0


def keeper(world: World, keep: float = 30 * DAY, folder: Path | None = None) -> Keeper:
    return Keeper(world.ledger, keep, folder, get_log("test"))


def lived(world: World, name: str) -> None:
    """Let an alert be remedied whole, with a copy that is attached and a ghost that is dropped."""
    world.prometheus.good = True
    world.fire(name, START - 60, service_id=name)
    world.run(30)
    world.fire(f"{name}-too", START - 60, service_id=name)
    world.fire(f"{name}-ghost", active=False, service_id=name)
    world.rest()


def rows(world: World) -> dict[str, int]:
    with Session(world.engine) as session:
        return {name: session.scalar(select(func.count()).select_from(table)) or 0
                for name, table in Base.metadata.tables.items()}  # fmt: skip


def test_what_ended_long_ago_is_removed_and_the_rest_verifies(world: World, tmp_path: Path) -> None:
    lived(world, "old")
    before = world.records.head().seq
    world.clock.advance(40 * DAY)
    lived(world, "new")
    assert keeper(world, folder=tmp_path / "archive").tidy(world.clock.now) == before
    assert world.verified_chain() == world.records.head().seq - before
    assert {case.service_id for case in world.records.recent(10)} == {"new", None}
    left = rows(world)
    assert (left["inbox"], left["remediations"], left["membership"], left["spending"]) == (3, 3, 2, 1)
    (file,) = (tmp_path / "archive").iterdir()
    assert file.name == f"audit-1-{before}.jsonl"
    assert archive.verify(file, KEY) == before


def test_what_has_not_ended_stays_with_all_that_came_after_it(world: World) -> None:
    world.prometheus.down = True
    world.fire("waiting")
    world.run(60)
    world.clock.advance(40 * DAY)
    assert keeper(world).tidy(world.clock.now) == 0
    assert world.records.get(1) is not None
    world.prometheus.down = False
    world.rest()


def test_it_goes_on_where_it_was_and_verifies_each_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("presagio.webhook.retention._ROWS", 7)
    for name in ("a", "b", "c"):
        lived(world, name)
    world.clock.advance(40 * DAY)
    ours, total = keeper(world), world.records.head().seq
    removed = 0
    while step := ours.tidy(world.clock.now):
        removed += step
        world.verified_chain()
    assert removed == total
    assert rows(world)["remediations"] == 0
    assert ours.tidy(world.clock.now + EVERY - 1) == 0
    lived(world, "d")
    world.verified_chain()


def test_rows_that_somebody_else_removed_are_missed(world: World) -> None:
    lived(world, "old")
    with Session(world.engine) as session, session.begin():
        kept = {row.seq: dict(row.__dict__) for row in session.scalars(select(Audit).where(Audit.seq <= 3))}
        session.execute(text("delete from audit where seq <= 3"))
    with pytest.raises(LedgerError, match="audit rows up to 3 are missing, and no row says that they were removed"):
        world.verified_chain()
    with Session(world.engine) as session, session.begin():
        columns = [column.name for column in Audit.__table__.columns]
        session.add_all(Audit(**{name: row[name] for name in columns}) for row in kept.values())


def test_a_removal_cannot_be_made_up(world: World) -> None:
    lived(world, "old")
    with Session(world.engine) as session, session.begin():
        head = session.get_one(Head, 1)
        third = session.get_one(Audit, 3).hmac
        facts = json.dumps({"through": 3, "hmac": third, "from": 1})
        session.add(
            Audit(seq=head.seq + 1, time=0.0, source="", target="removed", reason="retention", who="orchestrator",
                  facts=facts, previous=head.hmac, hmac="f" * 64)
        )  # fmt: skip
        saved = (head.seq, head.hmac)
        head.seq, head.hmac = head.seq + 1, "f" * 64
    with pytest.raises(LedgerError, match=f"audit row {saved[0] + 1} was changed"):
        world.verified_chain()
    with Session(world.engine) as session, session.begin():
        session.execute(text(f"delete from audit where seq > {saved[0]}"))
        head = session.get_one(Head, 1)
        head.seq, head.hmac = saved


def test_without_its_archive_nothing_is_removed(world: World, tmp_path: Path) -> None:
    lived(world, "old")
    world.clock.advance(40 * DAY)
    (tmp_path / "archive").write_text("no folder")
    before = rows(world)
    assert keeper(world, folder=tmp_path / "archive").tidy(world.clock.now) == 0
    assert rows(world) == before
