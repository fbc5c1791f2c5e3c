"""What people and guards do to a remediation: approval, pause, budget, storm, windows, blast radius, harm."""

from collections.abc import Iterator

import pytest
from fake_world import GUARDED, START, Slow, World, alert, policy

from presagio.actions.base import Disruption, PlanError
from presagio.webhook.errors import ApprovalError, ConflictError
from presagio.webhook.guard_config import FleetGuards, Storm
from presagio.webhook.moves import Budget, Move
from presagio.webhook.records import PAUSE
from presagio.webhook.states import Outcome, Reason, State
from presagio.webhook.windows import Window

ASKED = "received evaluating planned awaiting_approval"
APPLIED = "received evaluating planned ready intent applied settling"
MINUTE, HOUR = 60.0, 3600.0

WALKED: set[tuple[State, State]] = set()


@pytest.fixture(autouse=True)
def walked(world: World) -> Iterator[None]:
    yield
    WALKED.update(world.walked())


def until(world: World, state: State) -> None:
    """Step until the first remediation is in a state, and not further."""
    world.machine.stretch = 1
    while (found := world.records.get(1)) is None or found.state is not state:
        assert world.machine.step(world.clock.now)


class TestApproval:
    @pytest.fixture
    def asked(self, world: World) -> World:
        world.use(policy(mode="approval"))
        world.fire()
        world.run()
        assert world.trail() == ASKED
        return world

    def test_a_person_is_asked_and_nothing_is_done(self, asked: World) -> None:
        assert asked.fix.effects == []
        (sent,) = asked.alertmanager.sent
        assert sent["labels"]["alertname"] == "PresagioRemediationAwaitingApproval"
        assert (sent["labels"]["severity"], sent["labels"]["remediation"]) == ("warning", "1")
        assert "waits for approval: fix shop" in sent["annotations"]["summary"]
        assert sent["annotations"]["link"] == "https://presagio.test/remediations/1"
        assert asked.records.leases() == []

    def test_what_is_approved_is_done(self, asked: World) -> None:
        after = asked.answer(True)
        asked.run()
        assert (after.state, asked.trail()) == (State.READY, f"{ASKED} ready intent applied settling")
        assert asked.fix.effects == [asked.case().attempt_id]
        (approved,) = [row for row in asked.records.story(1) if row.target == State.READY]
        assert (approved.who, approved.reason) == ("alice", Reason.APPROVED)
        assert asked.records.spent(START - HOUR) == [START]

    def test_that_it_was_answered_ends_the_request(self, asked: World) -> None:
        asked.run(MINUTE)
        asked.answer(True)
        asked.run()
        first, second = asked.alertmanager.sent
        assert first["labels"] == second["labels"]
        assert first["startsAt"] == second["startsAt"] < second["endsAt"] < first["endsAt"]

    def test_what_is_refused_is_not_done_and_not_asked_again(self, asked: World) -> None:
        asked.answer(False)
        asked.fire()
        asked.run(HOUR)
        assert (asked.trail(), asked.case().outcome) == (f"{ASKED} cancelled", Outcome.REFUSED)
        assert (asked.trail(2), asked.case(2).reason) == ("received dropped", Reason.WITH_A_PERSON)
        assert asked.fix.effects == []

    def test_no_answer_means_no(self, asked: World) -> None:
        asked.run(15 * MINUTE)
        assert (asked.trail(), asked.case().outcome) == (f"{ASKED} cancelled", Outcome.EXPIRED)
        with pytest.raises(ApprovalError, match="does not wait for approval, it is 'cancelled'"):
            asked.answer(True)

    def test_a_late_answer_is_no_answer(self, asked: World) -> None:
        asked.clock.advance(15 * MINUTE)
        with pytest.raises(ApprovalError, match="the time to approve remediation 1 is over"):
            asked.answer(True)

    def test_an_answer_for_another_plan_is_none(self, asked: World) -> None:
        with pytest.raises(ApprovalError, match="the answer is for the plan 'beef', remediation 1 has another one"):
            asked.answer(True, plan_hash="beef")
        asked.run()
        assert asked.fix.effects == []

    def test_of_two_answers_one_counts(self, asked: World) -> None:
        stale = asked.case()
        asked.answer(True)
        with pytest.raises(ConflictError):
            asked.answer(False, case=stale)
        asked.run()
        assert len(asked.fix.effects) == 1

    def test_a_plan_of_another_revision_is_made_anew(self, asked: World) -> None:
        before = asked.case().plan_hash
        asked.use(policy(mode="approval", actions=[{"fix": {"size": 2}}]))
        with pytest.raises(ApprovalError, match="the policy 'restart' was changed since"):
            asked.answer(True)
        asked.run(MINUTE)
        assert asked.trail() == f"{ASKED} evaluating planned awaiting_approval"
        assert asked.case().plan_hash != before

    def test_what_heals_meanwhile_needs_no_answer(self, asked: World) -> None:
        asked.prometheus.holds = False
        asked.run(5 * MINUTE)
        assert (asked.trail(), asked.case().outcome) == (f"{ASKED} evaluating closed", Outcome.SELF_RESOLVED)

    def test_prometheus_that_is_down_ends_no_request(self, asked: World) -> None:
        asked.prometheus.down = True
        asked.run(5 * MINUTE)
        assert asked.trail() == ASKED

    def test_an_approval_spends_the_budget_like_any_other(self, asked: World) -> None:
        asked.fleet = FleetGuards(max_per_hour=0)
        asked.use(*asked.policies)
        with pytest.raises(ApprovalError, match="it may not act now"):
            asked.answer(True)

    def test_while_all_is_paused_nothing_is_approved(self, asked: World) -> None:
        asked.ledger.switch(PAUSE, True, "bob", "", START)
        with pytest.raises(ApprovalError, match="paused"):
            asked.answer(True)


class TestPause:
    def test_new_work_waits_and_work_in_flight_ends(self, world: World) -> None:
        world.fire("f", service_id="shop")
        world.run()
        world.ledger.switch(PAUSE, True, "bob", "deploying", START)
        world.fire("g", service_id="till")
        world.prometheus.good = True
        world.run(10 * MINUTE)
        assert (world.case(1).outcome, world.case(2).reason) == (Outcome.VERIFIED, Reason.PAUSED)
        assert len(world.fix.effects) == 1
        world.ledger.switch(PAUSE, False, "bob", "", world.clock.now)
        world.run(10 * MINUTE)
        assert len(world.fix.effects) == 2
        assert [row.reason for row in world.records.audit(1000) if row.remediation_id is None] == ["switch"] * 2
        world.verified_chain()

    def test_it_comes_before_an_attempt_or_after_it(self, world: World) -> None:
        slow = Slow()
        world.restart(slow)
        world.fire()
        until(world, State.READY)
        ready = world.case()
        world.ledger.switch(PAUSE, True, "bob", "", START)
        with pytest.raises(ConflictError, match="acting was paused by 'bob'"):
            world.ledger.move(ready, Move(State.INTENT, Reason.ATTEMPT), START)
        world.run()
        assert world.trail().endswith("ready evaluating blocked")
        assert slow.waiting == []

    def test_it_is_heeded_between_plan_and_lease(self, world: World) -> None:
        world.fire()
        until(world, State.PLANNED)
        world.ledger.switch(PAUSE, True, "bob", "", START)
        world.run()
        assert world.trail() == "received evaluating planned evaluating blocked"


class TestBudget:
    def test_a_thousand_candidates_for_one_slot(self, world: World) -> None:
        world.fleet = FleetGuards(max_per_hour=1, storm=Storm(least=10_000))
        world.use(policy(guards={"max_per_hour": 5}))
        names = [f"f{number}" for number in range(1000)]
        world.alertmanager.firing |= set(names)
        world.notify(*(alert(name, "firing", START, service_id=f"s{name}") for name in names))
        world.run()
        assert len(world.fix.effects) == 1
        assert world.metric("remediations_blocked_total", reason=Reason.BUDGET) == 999
        assert len(world.records.spent(0.0)) == 1

    def test_a_place_is_free_an_hour_later(self, world: World) -> None:
        world.use(policy(guards={"max_per_hour": 1}))
        world.prometheus.good = True
        world.fire("f", service_id="shop")
        world.fire("g", service_id="till")
        world.run(10 * MINUTE)
        assert (len(world.fix.effects), world.case(2).not_before) == (1, START + HOUR)
        world.run(HOUR)
        assert len(world.fix.effects) == 2

    def test_it_is_counted_again_in_the_transaction(self, world: World) -> None:
        world.fire()
        until(world, State.PLANNED)
        tight = Budget("restart", 0, 30)
        with pytest.raises(ConflictError, match="the budget of restart, 0 an hour, was spent"):
            world.ledger.move(world.case(), Move(State.READY, Reason.AUTO, budget=tight), START)
        assert (world.records.leases(), world.records.spent(0.0)) == ([], [])


class TestOthers:
    def test_in_a_storm_new_work_waits_and_work_in_flight_ends(self, world: World) -> None:
        world.fleet = FleetGuards(storm=Storm(least=3, percent=10))
        world.use(policy())
        world.prometheus.services = 25.0
        for number in range(2):
            world.fire(f"f{number}", service_id=f"s{number}")
        world.run()
        assert len(world.fix.effects) == 2
        for number in range(2, 6):
            world.fire(f"f{number}", service_id=f"s{number}")
        world.run(MINUTE)
        assert len(world.fix.effects) == 2
        assert Reason.STORM in {world.case(number).reason for number in range(3, 7)}
        world.prometheus.good = True
        world.prometheus.services = 1000.0
        world.run(10 * MINUTE)
        assert len(world.fix.effects) == 6

    def test_outside_of_its_window_a_policy_waits(self, world: World) -> None:
        # START is a Tuesday, 22:13:20 UTC.
        world.use(policy(guards={"windows": [{"begin": "23:00", "end": "24:00"}]}))
        world.fire()
        world.run(MINUTE)
        assert (world.case().reason, world.case().not_before) == (Reason.WINDOW, START + 2800)
        world.run(HOUR)
        assert len(world.fix.effects) == 1

    def test_in_maintenance_nothing_is_done(self, world: World) -> None:
        world.fleet = FleetGuards(maintenance=(Window(begin="22:00", end="23:00"),))
        world.use(policy())
        world.fire()
        world.run(MINUTE)
        assert (world.case().reason, world.fix.effects) == (Reason.WINDOW, [])

    def test_what_would_take_away_too_much_waits(self, world: World) -> None:
        world.fix.disruption = Disruption(replicas=4, available=3, unavailable=1)
        world.fire()
        world.run(20)
        assert (world.case().reason, world.fix.effects) == (Reason.BLAST_RADIUS, [])
        world.fix.disruption = Disruption(replicas=4, available=4, unavailable=1)
        world.run(2 * MINUTE)
        assert len(world.fix.effects) == 1

    @pytest.mark.parametrize(
        "labels", [{"namespace": "kube-system"}, {"job": "prometheus"}, {"deployment": "kube-prometheus-stack"},
                   {"service_id": "monitoring/alertmanager-main"}, {"deployment": "presagio-webhook"}],
    )  # fmt: skip
    def test_what_is_protected_is_a_persons(self, world: World, labels: dict[str, str]) -> None:
        world.fire("f", START - 60, True, **labels)
        world.run(MINUTE)
        assert (world.trail(), world.case().reason) == ("received evaluating escalated", Reason.PROTECTED)
        assert world.fix.effects == []

    @pytest.mark.parametrize("job", ["presagio", "prometheus-presagio-exporter"])
    def test_the_job_of_our_exporter_says_nothing_of_a_service(self, world: World, job: str) -> None:
        world.fire("f", START - 60, True, job=job)
        world.run(MINUTE)
        assert len(world.fix.effects) == 1

    def test_harm_ends_the_wait_and_is_undone(self, world: World) -> None:
        world.use(policy(guards={"harm": ['harm{service_id="${service_id}"} > 0']}))
        world.fix.undo_facts = {"size": 0}
        world.fire()
        world.run(20)
        world.prometheus.harms = True
        world.run(20)
        assert world.trail().startswith(f"{APPLIED} rolling_back rolled_back holddown")
        assert world.fix.undone == ["fix shop"]

    def test_harm_that_cannot_be_undone_is_a_persons(self, world: World) -> None:
        world.use(policy(guards={"harm": ['harm{service_id="${service_id}"} > 0']}))
        world.prometheus.harms = True
        world.fire()
        world.run(MINUTE)
        assert (world.trail(), world.case().reason) == (f"{APPLIED} escalated", Reason.HARM)

    def test_what_somebody_else_changed_proves_nothing(self, world: World) -> None:
        world.fix.meddled = "size is 7, not 1"
        world.prometheus.good = True
        world.fire()
        world.run(10 * MINUTE)
        assert world.trail() == f"{APPLIED} verifying superseded closed"
        assert world.case().outcome is Outcome.SUPERSEDED

    def test_what_cannot_be_planned_leaves_its_place_to_the_next(self, world: World) -> None:
        world.use(policy(actions=[{"fix": {}}, {"other": {}}]))
        world.fix.plan_error = PlanError("has 20 replicas already")
        world.fire()
        world.run(MINUTE)
        assert (world.case().rung, len(world.actions["other"].effects)) == (1, 1)

    def test_a_person_who_is_an_action_is_told(self, world: World) -> None:
        world.fix.message = {"severity": "info", "text": "look at shop"}
        world.fire()
        world.run()
        (sent,) = world.alertmanager.sent
        assert sent["labels"]["alertname"] == "PresagioRemediationNotified"
        assert sent["labels"]["severity"] == "info"
        assert "look at shop" in sent["annotations"]["summary"]


def test_the_ways_of_this_file_were_walked(request: pytest.FixtureRequest) -> None:
    here = [item for item in request.session.items if item.path == request.path]
    if len(here) < 30:
        pytest.skip("only some tests of this file run")
    assert WALKED.issuperset(GUARDED)
