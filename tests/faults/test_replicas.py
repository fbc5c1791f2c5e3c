"""Two webhooks on one PostgreSQL, killed with -9 at any moment and started again: everything happens, and once."""

import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from deaths import ENDED, Death, Note, Surgery, begun, die_at_commits, ended, forked
from fake_world import START, World, policy
from servers import PostgresBinaries, PostgreSQL
from sqlalchemy.exc import SQLAlchemyError

from presagio.actions.base import ActionClass
from presagio.toolkit.log import get_log
from presagio.webhook.postgresql import open_postgresql
from presagio.webhook.replica import Replica
from presagio.webhook.states import TERMINAL, Reason, State
from presagio.webhook.timers import Timers

ROUNDS = 3
ALERTS = 12
KILLS = 14
SPEED = 240.0
"""Seconds of the remediations' time in one of ours: so that waits of minutes are over soon."""

SILENCE = 2.0
BUDGET = 9


@dataclass(frozen=True)
class Theatre:
    """What both replicas share: the database, the world, and the time."""

    url: str
    folder: Path
    kind: ActionClass
    undo: bool
    heals: bool
    begun: float

    @property
    def done(self) -> Note:
        return Note(self.folder / "effects")

    @property
    def killed(self) -> Note:
        return Note(self.folder / "killed")

    def now(self) -> float:
        return START + (time.time() - self.begun) * SPEED

    def world(self, death: Death, name: str) -> World:
        guards = {"cooldown": "0", "max_per_hour": BUDGET}
        ladder = policy(actions=[{"fix": {}}] * 2, guards=guards)
        world = World(
            self.folder, ladder, timers=Timers(ready_patience=3600.0), workers=ThreadPoolExecutor(4),
            database=lambda: open_postgresql(self.url),
        )  # fmt: skip
        action = Surgery("fix", self.done, Note(self.folder / f"undone-{name}"), death)
        action.action_class = self.kind
        action.undo_facts = {"size": 0} if self.undo else None
        world.actions["fix"] = action
        world.prometheus.good = self.heals
        world.alertmanager.firing.update(f"alert-{number}" for number in range(ALERTS))
        world.counter = iter(lambda: random.randrange(2**32), None)  # type: ignore[assignment] # tokens of two
        return world

    def live(self, moment: int) -> None:
        """Work as one replica does, until nothing is live for anybody."""
        death, name = Death(moment), f"replica-{os.getpid()}-{random.randrange(2**32):x}"
        world = self.world(death, name)
        replica = Replica(world.engine, name, get_log("replica"), SILENCE)
        world.claims = replica
        world.use(*world.policies)
        replica.start()
        die_at_commits(world, death)
        while world.inbox.backlog() or world.machine.busy or world.records.next_due() is not None:
            try:
                if not world.machine.step(self.now()) + world.courier.deliver(self.now()):
                    threading.Event().wait(0.02)
            except SQLAlchemyError:  # the loop of the webhook tries again, too
                threading.Event().wait(0.05)


@pytest.fixture(scope="module")
def server(postgres_binaries: PostgresBinaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgreSQL]:
    with PostgreSQL(postgres_binaries, tmp_path_factory.mktemp("postgresql") / "server") as started:
        yield started


def nurse(theatre: Theatre, number: int, chance: random.Random) -> None:
    """Let a replica live, and start it again whenever it was killed."""
    log = theatre.folder / f"log-{number}"
    for kills in range(KILLS + 1):
        moment = chance.randint(1, 80) if kills < KILLS else 0
        code = forked(lambda: theatre.live(moment), log)  # noqa: B023 # called at once
        if code == ENDED:
            return
        assert code == -signal.SIGKILL
        theatre.killed.add(str(number))


@pytest.mark.timeout(600)
def test_two_replicas_under_kill_9_do_everything_once(
    server: PostgreSQL, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(os.environ.get("PRESAGIO_SEED") or random.randrange(2**32))
    print(f"PRESAGIO_SEED={seed} repeats it")  # noqa: T201 # shown if the test fails
    chance = random.Random(seed)
    kills, seen = 0, Counter[str]()
    for number in range(ROUNDS):
        folder = tmp_path / str(number)
        folder.mkdir()
        server.sql(f"create database round{number}")
        url = server.url.replace("/postgres?", f"/round{number}?")
        theatre = Theatre(
            url, folder, chance.choice(list(ActionClass)), chance.random() < 0.5, chance.random() < 0.5, time.time()
        )
        kills += operate(theatre, chance)
        seen += judge(theatre)
    with capsys.disabled():
        told = ", ".join(f"{count} {what}" for what, count in seen.most_common())
        print(f"\n{kills} kills of two replicas: 0 lost, 0 doubled, all ended, all chains verify ({told})")  # noqa: T201


def operate(theatre: Theatre, chance: random.Random) -> int:
    """Let alerts come while two replicas live; return how often they were killed."""
    world = theatre.world(Death(0), "sender")
    world.clock.now = theatre.now()
    for number in range(ALERTS):
        world.fire(f"alert-{number}", service_id=f"service-{number}")
    world.engine.dispose()
    seeds = [random.Random(chance.randrange(2**32)) for _ in range(2)]
    lives = [partial(nurse, theatre, number, one) for number, one in enumerate(seeds)]
    nurses = [begun(live, theatre.folder / f"log-{number}") for number, live in enumerate(lives)]
    codes = [ended(child) for child in nurses]
    assert codes == [ENDED, ENDED], "\n".join(log.read_text()[-4000:] for log in theatre.folder.glob("log-*"))
    return len(theatre.killed.lines())


def judge(theatre: Theatre) -> Counter[str]:
    """Check what must be true of a ledger that two have lived to its end; return what happened."""
    world = theatre.world(Death(0), "judge")
    cases, rows = world.records.recent(10_000), world.records.audit(100_000)
    assert {case.fingerprint for case in cases} == {f"alert-{number}" for number in range(ALERTS)}, (
        "an alert was lost"
    )
    assert len(cases) == ALERTS, "an alert was opened twice"
    assert {case.state for case in cases} <= TERMINAL, "a remediation has no end"
    assert world.records.leases() == []
    assert world.records.unsent() == [], "somebody was not told"
    assert world.verified_chain() == len(rows)
    done = theatre.done.lines()
    intents = {json.loads(row.facts)["attempt_id"] for row in rows if row.target == State.INTENT}
    assert set(done) <= intents, "something was done that was not written down before"
    rungs = Counter(tuple(one.split("-")[1:3]) for one in done)
    assert not [rung for rung, count in rungs.items() if count > 1], "something was done twice"
    spent = sorted(world.records.spent(0.0))
    assert all(sum(begin <= one < begin + 3600 for one in spent) <= BUDGET for begin in spent)
    workers = {row.worker for row in cases}
    assert workers == {None}, "somebody still claims what has ended"
    world.engine.dispose()
    crashes = sum(row.reason == Reason.CRASH for row in rows)
    outcomes = Counter(str(case.outcome or case.state) for case in cases)
    return outcomes + Counter(effects=len(done), alerts=len(cases), crashes=crashes)
