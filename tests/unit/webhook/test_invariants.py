"""What is always true, whatever happens in whatever order: random lives of the whole machine."""

import json
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from fake_world import Inline, Slow, World, after_the_effect, policy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from presagio.actions.base import ActionClass, NotAppliedError, Probe, UnknownOutcomeError
from presagio.webhook.errors import ApprovalError, ConflictError
from presagio.webhook.records import PAUSE
from presagio.webhook.statements import HOUR
from presagio.webhook.states import TERMINAL, State
from presagio.webhook.tables import Audit, Remediation

SAMPLES = 3
MEMORY = Path("/dev/shm")

TRUTHS = st.sampled_from([True, True, False, None, float("nan")])
SERVICES = st.sampled_from(["shop", "till"])
ALERTS = st.sampled_from(["f", "g", "h"])
STARTS = st.sampled_from([0.0, 600.0])

EVENTS = st.one_of(
    st.tuples(st.just("fire"), ALERTS, SERVICES, STARTS, st.booleans()),
    st.tuples(st.just("resolve"), ALERTS, SERVICES, STARTS),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 1.0, 30.0, 400.0, 2000.0])),
    st.tuples(st.just("good"), TRUTHS),
    st.tuples(st.just("holds"), st.booleans()),
    st.tuples(st.just("prometheus"), st.booleans()),
    st.tuples(st.just("alertmanager"), st.booleans()),
    st.tuples(st.just("work")),
    st.tuples(st.just("kill")),
    st.tuples(st.just("clock"), st.sampled_from([-3600.0, 3600.0])),
    st.tuples(st.just("pause"), st.booleans()),
    st.tuples(st.just("answer"), st.booleans(), st.booleans()),
    st.tuples(st.just("harms"), st.booleans()),
    st.tuples(st.just("meddle"), st.booleans()),
    st.tuples(st.just("apply"), st.sampled_from(["before", "unknown", "unknown after", "bug", "bug after"])),
    st.tuples(st.just("probe"), st.sampled_from(list(Probe))),
)

OUTCOMES: dict[str, Callable[[], Exception]] = {
    "before": lambda: NotAppliedError("before"),
    "unknown": lambda: UnknownOutcomeError("unknown"),
    "unknown after": lambda: after_the_effect(UnknownOutcomeError("unknown")),
    "bug": lambda: RuntimeError("bug"),
    "bug after": lambda: after_the_effect(RuntimeError("bug")),
}


class Life:
    """Carries events out. A kill loses what workers were doing: half of it before, half of it after the effect."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.kills = 0

    def live(self, event: tuple[Any, ...]) -> None:
        name, *arguments = event
        getattr(self, name)(*arguments)
        if name != "kill":
            self.world.run()
        self.one_at_a_time()

    def one_at_a_time(self) -> None:
        """No target is worked on by two remediations."""
        records = self.world.records
        intents = [
            case.service_id for case in records.recent(1000, [State.INTENT, State.UNKNOWN, State.ROLLING_BACK])
        ]
        assert len(intents) == len(set(intents))
        assert set(intents) <= {lease.target for lease in records.leases()}

    def fire(self, fingerprint: str, service: str, starts: float, active: bool) -> None:
        self.world.fire(f"{fingerprint}-{service}", 1_699_000_000.0 + starts, active, service_id=service)

    def resolve(self, fingerprint: str, service: str, starts: float) -> None:
        self.world.resolve(f"{fingerprint}-{service}", 1_699_000_000.0 + starts, service_id=service)

    def wait(self, seconds: float) -> None:
        self.world.run(seconds, every=max(1.0, seconds / 4))

    def clock(self, seconds: float) -> None:
        self.world.clock.advance(seconds)

    def good(self, value: bool | float | None) -> None:
        self.world.prometheus.good = value

    def holds(self, value: bool) -> None:
        self.world.prometheus.holds = value

    def prometheus(self, down: bool) -> None:
        self.world.prometheus.down = down

    def alertmanager(self, down: bool) -> None:
        self.world.alertmanager.down = down

    def apply(self, outcome: str) -> None:
        self.world.fix.script.append(OUTCOMES[outcome]())

    def probe(self, says: Probe) -> None:
        self.world.fix.says = says

    def pause(self, on: bool) -> None:
        self.world.ledger.switch(PAUSE, on, "bob", "", self.world.clock.now)

    def answer(self, approved: bool, stale: bool) -> None:
        """Answer whatever waits for approval; a stale answer names another plan."""
        for case in self.world.records.recent(1000, [State.AWAITING_APPROVAL]):
            with suppress(ApprovalError, ConflictError):
                self.world.answer(approved, "stale" if stale else None, case)
                assert not stale

    def harms(self, on: bool) -> None:
        self.world.prometheus.harms = on

    def meddle(self, on: bool) -> None:
        self.world.fix.meddled = "somebody else" if on else None

    def work(self) -> None:
        self.world.workers.work()

    def kill(self) -> None:
        self.kills += 1
        if self.kills % 2:
            self.world.workers.work()
        self.world.restart(Slow())


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    events=st.lists(EVENTS, max_size=25),
    kind=st.sampled_from(list(ActionClass)),
    undo=st.booleans(),
    mode=st.sampled_from(["auto", "auto", "approval", "dry-run"]),
    rungs=st.integers(1, 2),
    budget=st.integers(1, 4),
)
def test_every_alert_reaches_an_end_and_no_effect_happens_twice(
    events: list[tuple[Any, ...]], kind: ActionClass, undo: bool, mode: str, rungs: int, budget: int
) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        guards = {"cooldown": "30m", "max_per_hour": budget, "harm": ['harm{service_id="${service_id}"} > 0']}
        world = World(Path(folder), policy(mode=mode, actions=[{"fix": {}}] * rungs, guards=guards), workers=Slow())
        world.fix.action_class = kind
        world.fix.undo_facts = {"size": 0} if undo else None
        life = Life(world)
        for event in events:
            life.live(event)
        world.restart(Inline())
        world.prometheus.down = world.alertmanager.down = False
        world.ledger.switch(PAUSE, False, "bob", "", world.clock.now)
        world.rest()
        within_budget(world, budget)
        check(world, sum(event[0] == "fire" or event[0] == "resolve" for event in events))
        world.engine.dispose()


def check(world: World, notified: int) -> None:
    cases = world.records.recent(10_000)
    assert all(case.state in TERMINAL for case in cases)
    assert len(cases) <= notified
    assert world.inbox.backlog() == 0
    assert world.records.leases() == []
    world.verified_chain()
    effects = Counter(world.fix.effects)
    assert all(count == 1 for count in effects.values())
    for case in cases:
        story(world, case)
    if world.policies[0].mode == "dry-run":
        assert effects == {}


def within_budget(world: World, most: int) -> None:
    """In no hour more remediations were let to act than may; the clock may have been set back meanwhile."""
    spent = sorted(world.records.spent(0.0))
    for begin in spent:
        within = [moment for moment in spent if begin <= moment < begin + HOUR]
        assert len(within) <= most


def story(world: World, case: Remediation) -> None:
    rows = world.records.story(case.id)
    attempts = [json.loads(row.facts)["attempt_id"] for row in rows if row.target == State.INTENT]
    assert len(attempts) == len(set(attempts))
    for before, after in pairwise(rows):
        assert before.target == after.source
    for row in rows:
        if row.target == State.VERIFIED:
            last = [one["sample"] for one in json.loads(row.facts)["samples"]][-SAMPLES:]
            assert last == ["good"] * SAMPLES
    if world.fix.action_class is ActionClass.ONCE:
        never_twice(rows)


def never_twice(rows: list[Audit]) -> None:
    """After an unknown outcome, class D is not tried again: the probe says it was applied, or a person is told."""
    for index, row in enumerate(rows):
        if row.target == State.UNKNOWN:
            following = [later.target for later in rows[index + 1 :]]
            assert following[0] in (State.APPLIED, State.ESCALATED)


@given(st.lists(st.sampled_from(["f", "g", "h"]), min_size=1, max_size=12), st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_copies_and_orders_of_the_same_alerts_make_one_remediation_a_target(
    names: list[str], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        world = World(Path(folder))
        for name in names:
            world.fire(name)
            if data.draw(st.booleans()):
                world.run()
        world.run()
        assert len(world.fix.effects) == 1
        states = Counter(case.state for case in world.records.recent(100))
        assert states[State.SETTLING] == 1
        assert states[State.ATTACHED] == len(set(names)) - 1
        assert states[State.DROPPED] + len(set(names)) <= len(names)
        world.engine.dispose()
