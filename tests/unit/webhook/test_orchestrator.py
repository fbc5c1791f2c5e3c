"""Every transition that is walked already, driven by hand: fakes only where the machine ends."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fake_world import GUARDED, START, FakeAction, Inline, Slow, World, after_the_effect, alert, policy
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from presagio.actions.base import ActionClass, Evidence, NotAppliedError, Plan, PlanError, Probe, UnknownOutcomeError
from presagio.toolkit.errors import PluginError
from presagio.toolkit.prometheus import Vector
from presagio.webhook.guard_config import FleetGuards, Storm
from presagio.webhook.states import TRANSITIONS, Outcome, Reason, State
from presagio.webhook.timers import Timers
from presagio.webhook.tools import plan_of

UNTIL_INTENT = "received evaluating planned ready intent"
APPLIED = f"{UNTIL_INTENT} applied settling"
VERIFIED = f"{APPLIED} verifying verified holddown"

MINUTE, HOUR = 60.0, 3600.0

WALKED: set[tuple[State, State]] = set()
"""The ways that the tests of this file went, from the ledgers that they left."""


@pytest.fixture(autouse=True)
def walked(world: World) -> Iterator[None]:
    yield
    WALKED.update(world.walked())


class TestIntake:
    @pytest.mark.parametrize(
        ("labels", "active", "reason"),
        [
            ({"alertname": "Other"}, True, Reason.NO_POLICY),
            ({}, False, Reason.GHOST),
            ({"alertname": "PresagioRemediationEscalated"}, True, Reason.OURS),
        ],
    )
    def test_what_starts_nothing_is_dropped(
        self, world: World, labels: dict[str, str], active: bool, reason: Reason
    ) -> None:
        world.fire("f", START - 60, active, **labels)
        world.run()
        assert (world.trail(), world.case().reason) == ("received dropped", reason)
        assert world.metric("alerts_dropped_total", reason=reason) == 1

    def test_a_repeated_alert_is_a_duplicate(self, world: World) -> None:
        world.fire()
        world.run()
        world.fire()
        world.run()
        assert (world.trail(2), world.case(2).reason) == ("received dropped", Reason.DUPLICATE)
        assert len(world.fix.effects) == 1

    def test_three_copies_in_one_notification_are_one(self, world: World) -> None:
        world.alertmanager.firing.add("f")
        world.notify(*[alert("f", "firing", START)] * 3)
        world.run()
        assert [world.case(number).state for number in (1, 2, 3)] == [State.SETTLING, State.DROPPED, State.DROPPED]

    def test_another_alert_of_the_same_target_is_attached(self, world: World) -> None:
        world.fire("f")
        world.fire("g")
        world.run()
        assert (world.trail(2), world.case(2).reason) == ("received attached", Reason.OWNED)
        assert [member.fingerprint for member in world.records.members(1)] == ["f", "g"]

    def test_another_target_is_another_remediation(self, world: World) -> None:
        world.fire("f", service_id="shop")
        world.fire("g", service_id="till")
        world.run()
        assert [lease.target for lease in world.records.leases()] == ["shop", "till"]

    def test_a_resolved_alert_starts_nothing_and_wakes_who_waits(self, world: World) -> None:
        world.prometheus.down = True
        world.fire()
        world.run()
        assert world.case().state is State.BLOCKED
        world.prometheus.down = world.prometheus.holds = False
        world.resolve()
        world.run()
        assert (world.trail(2), world.case(2).reason) == ("received dropped", Reason.RESOLVED)
        assert world.trail() == "received evaluating blocked evaluating"

    def test_firing_after_resolved_is_taken_for_what_alertmanager_says_now(self, world: World) -> None:
        world.resolve()
        world.fire()
        world.run()
        assert (world.case(1).state, world.case(2).state) == (State.DROPPED, State.SETTLING)

    def test_what_a_person_has_is_left_to_the_person(self, world: World) -> None:
        world.fix.script = [UnknownOutcomeError("timed out")]
        world.fire()
        world.run(10)
        world.fire()
        world.run(HOUR)
        assert world.case(1).state is State.ESCALATED
        assert (world.trail(2), world.case(2).reason) == ("received dropped", Reason.WITH_A_PERSON)

    def test_alertmanager_that_cannot_be_asked_makes_no_ghosts(self, world: World) -> None:
        world.alertmanager.down = True
        world.fire()
        world.run()
        assert (world.trail(), world.case().reason) == ("received evaluating blocked", Reason.ALERTMANAGER)
        world.alertmanager.down = False
        world.run(MINUTE)
        assert world.case().state is State.SETTLING

    def test_a_stored_notification_of_another_version_blocks_nobody(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        world.inbox.store('{"version": "3"}', 1, "test", START)
        world.fire()
        world.run()
        assert world.case().state is State.SETTLING
        assert "stored notification cannot be read" in caplog.text


class TestEvaluation:
    def test_the_conditions_are_asked_and_kept(self, world: World) -> None:
        world.fire()
        world.run()
        facts = world.records.story(1)[2].facts
        assert '"condition":"problem{service_id=\\"shop\\"} > 0","holds":true' in facts
        assert (world.case().baseline or {})["sample"] == "bad"

    def test_a_condition_that_no_longer_holds_closes_after_k_samples(self, world: World) -> None:
        world.prometheus.holds = False
        world.fire()
        world.run(50)
        assert (world.trail(), len(world.samples())) == ("received evaluating", 2)
        world.run(20)
        assert (world.trail(), world.case().outcome) == ("received evaluating closed", Outcome.SELF_RESOLVED)
        assert len(world.samples()) == 3
        assert world.fix.effects == []

    def test_the_first_policy_whose_condition_holds_is_chosen(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        idle = policy("idle", when=['quiet{service_id="${service_id}"} > 0'], priority="critical")
        world.use(idle, policy("busy"))
        world.prometheus.good = None
        ask = world.prometheus.instant

        def quiet(query: str, time: float) -> Vector:
            return ask("nothing", time) if query.startswith("quiet") else ask(query, time)

        monkeypatch.setattr(world.prometheus, "instant", quiet)
        world.fire()
        world.run()
        assert world.case().policy == "busy"

    def test_without_conditions_the_alert_itself_is_the_condition(self, world: World) -> None:
        world.use(policy(when=[]))
        world.fire()
        world.run()
        assert world.case().state is State.SETTLING

    @pytest.mark.parametrize(("server", "reason"), [("prometheus", "prometheus"), ("alertmanager", "alertmanager")])
    def test_who_cannot_be_asked_blocks_and_is_asked_again(self, world: World, server: str, reason: Reason) -> None:
        getattr(world, server).down = True
        world.fire()
        world.run()
        assert (world.trail(), world.case().reason) == ("received evaluating blocked", Reason(reason))
        assert world.metric("remediations_blocked_total", reason=reason) == 1
        getattr(world, server).down = False
        world.run(MINUTE)
        assert world.trail() == f"received evaluating blocked {APPLIED.removeprefix('received ')}"

    @pytest.mark.parametrize("holds", [False, True])
    def test_half_an_answer_is_no_answer(self, world: World, holds: bool) -> None:
        """`count(up) < 3` holds while the store that has the others is away."""
        world.prometheus.holds, world.prometheus.partial = holds, True
        world.fire()
        world.run()
        assert (world.case().state, world.case().reason) == (State.BLOCKED, Reason.PROMETHEUS)

    def test_a_prometheus_that_is_down_is_asked_once_a_step(self, world: World) -> None:
        world.prometheus.down = True
        for number in range(20):
            world.fire(f"f{number}", service_id=f"s{number}")
        world.run()
        assert len(world.prometheus.asked) == 1

    def test_waits_grow_and_the_deadline_ends_them(self, world: World) -> None:
        world.prometheus.down = True
        world.fire()
        world.run(HOUR)
        assert (world.case().state, world.case().reason) == (State.ESCALATED, Reason.DEADLINE)
        assert 10 < world.states().count(State.BLOCKED) < 30

    def test_a_silenced_alert_is_not_acted_upon(self, world: World) -> None:
        world.prometheus.down = True
        world.fire()
        world.run()
        world.prometheus.down = False
        world.alertmanager.firing.clear()
        world.run(5 * MINUTE)
        assert (world.case().state, world.case().reason) == (State.BLOCKED, Reason.SILENCE)
        assert world.fix.effects == []

    def test_a_target_rests_after_a_remediation(self, world: World) -> None:
        world.fire()
        world.prometheus.good = True
        world.run(15 * MINUTE)
        assert world.trail() == f"{VERIFIED} closed"
        world.fire("g", starts=START + 15 * MINUTE)
        world.run()
        assert (world.case(2).state, world.case(2).reason) == (State.BLOCKED, Reason.COOLDOWN)
        assert world.case(2).not_before == START + 30 * MINUTE
        world.run(15 * MINUTE)
        assert len(world.fix.effects) == 2

    def test_a_cooldown_longer_than_the_deadline_escalates_nobody(self, world: World) -> None:
        world.use(policy(guards={"cooldown": "3h"}))
        world.fire()
        world.prometheus.good = True
        world.run(15 * MINUTE)
        world.fire("g", starts=START + 15 * MINUTE)
        world.run(2 * HOUR)
        assert world.case(2).state is State.BLOCKED
        world.run(HOUR)
        assert len(world.fix.effects) == 2

    def test_a_policy_that_was_withdrawn_does_nothing_more(self, world: World) -> None:
        world.prometheus.down = True
        world.fire()
        world.run()
        world.use(policy(match={"alertname": "Other"}))
        world.prometheus.down = False
        world.run(MINUTE)
        assert (world.case().state, world.case().outcome) == (State.CLOSED, Outcome.WITHDRAWN)

    def test_a_trial_that_becomes_real_takes_the_target(self, world: World) -> None:
        world.use(policy(mode="dry-run"))
        world.prometheus.down = True
        world.fire()
        world.run()
        assert world.case().owns == "dry run of shop"
        world.use(policy())
        world.prometheus.down = False
        world.run(MINUTE)
        assert (world.case().state, world.case().owns) == (State.SETTLING, "shop")

    def test_a_trial_that_becomes_real_waits_for_who_has_the_target(self, world: World) -> None:
        world.use(policy("trial", mode="dry-run"), policy("real", match={"alertname": "Real"}))
        world.prometheus.down = True
        world.fire("f")
        world.run()
        world.prometheus.down = False
        world.fire("g", alertname="Real")
        world.use(policy("trial"), policy("real", match={"alertname": "Real"}))
        world.run(40)
        assert world.case(2).state is State.SETTLING
        assert (world.case(1).state, world.case(1).reason) == (State.BLOCKED, Reason.OWNED)
        world.run(20 * MINUTE)
        assert world.case(1).reason is Reason.COOLDOWN

    def test_a_new_revision_of_the_policy_is_the_one_that_is_planned(self, world: World) -> None:
        world.prometheus.down = True
        world.fire()
        world.run()
        newer = policy(actions=[{"other": {}}])
        world.use(newer)
        world.prometheus.down = False
        world.run(MINUTE)
        assert (world.case().action, world.case().policy_revision) == ("other", newer.revision)

    def test_a_label_that_the_conditions_need_is_missing(self, world: World) -> None:
        world.use(policy(when=['problem{pod="${pod}"} > 0']))
        world.fire()
        world.run()
        assert (world.trail(), world.case().reason) == ("received evaluating escalated", Reason.UNPLANNABLE)
        assert "needs the label 'pod'" in world.alertmanager.sent[0]["annotations"]["description"]


class TestPlanning:
    @pytest.mark.parametrize(
        ("changes", "error", "message"),
        [
            ({"actions": [{"gone": {}}]}, None, "gone"),
            ({"actions": [{"fix": {"size": "many"}}]}, None, "valid integer"),
            ({}, PlanError("no such deployment"), "no such deployment"),
        ],
    )
    def test_what_cannot_be_planned_goes_to_a_person(
        self, world: World, changes: dict[str, Any], error: Exception | None, message: str
    ) -> None:
        def actions(name: str) -> FakeAction:
            if name == "gone":
                raise PluginError("no presagio.actions named 'gone'")
            return world.actions[name]

        world.use(policy(**changes))
        object.__setattr__(world.machine.tools, "actions", actions)
        world.fix.plan_error = error
        world.fire()
        world.run()
        assert (world.trail(), world.case().reason) == ("received evaluating escalated", Reason.UNPLANNABLE)
        assert message in world.records.unsent()[0].body["error"] if world.records.unsent() else message

    def test_a_target_that_cannot_be_asked_now_blocks(self, world: World) -> None:
        world.fix.plan_error = NotAppliedError("the API server is away")
        world.fire()
        world.run()
        assert (world.case().state, world.case().reason) == (State.BLOCKED, Reason.TARGET)
        world.fix.plan_error = None
        world.run(MINUTE)
        assert world.case().state is State.SETTLING

    def test_the_hash_is_of_the_whole_plan(self, world: World) -> None:
        world.fire("f", service_id="shop")
        world.fire("g", service_id="till")
        world.use(policy(actions=[{"fix": {"size": 1}}]))
        world.run()
        world.fire("h", service_id="shop", starts=START)
        first, second = world.case(1), world.case(2)
        assert first.plan_hash != second.plan_hash
        assert plan_of(first) == Plan("fix", "fix shop", {"size": 1}, {"size": 0})

    def test_a_dry_run_does_nothing_and_says_what_it_would_have_done(self, world: World) -> None:
        world.use(policy(mode="dry-run"))
        world.fire()
        world.run()
        assert (world.trail(), world.case().outcome) == ("received evaluating planned closed", Outcome.DRY_RUN)
        assert '"would_have":"fix shop"' in world.records.story(1)[-1].facts
        assert (world.fix.effects, world.records.leases()) == ([], [])
        assert world.metric("remediations_finished_total", policy="restart", action="fix", outcome="dry_run") == 1

    @pytest.mark.parametrize(("good", "found"), [(True, "healed"), (False, "persisted"), (None, "unknown")])
    def test_a_dry_run_is_observed_though_nobody_acted(self, world: World, good: bool | None, found: str) -> None:
        world.use(policy(mode="dry-run"))
        world.prometheus.good = good
        world.fire()
        world.run(MINUTE)
        ended = world.case().finished_at
        world.run(HOUR)
        last = json.loads(world.records.story(1)[-1].facts)
        assert (world.trail(), last["found"]) == ("received evaluating planned closed closed", found)
        assert len(last["samples"]) >= 3
        assert (world.case().outcome, world.case().finished_at) == (Outcome.DRY_RUN, ended)
        assert world.metric("dry_runs_observed_total", policy="restart", found=found) == 1
        assert world.metric("remediations_finished_total", policy="restart", action="fix", outcome="dry_run") == 1
        assert (world.fix.effects, world.alertmanager.sent) == ([], [])
        assert world.records.observable(world.clock.now) == []

    def test_a_dry_run_that_cannot_be_observed_says_so_and_wakes_nobody(self, world: World) -> None:
        world.use(policy(mode="dry-run"))
        world.fire()
        world.run()
        with world.engine.begin() as connection:
            connection.exec_driver_sql("update remediations set verification = null")
        world.run(HOUR)
        last = json.loads(world.records.story(1)[-1].facts)
        assert (last["found"], "error" in last, world.alertmanager.sent) == ("unknown", True, [])

    def test_dry_runs_rest_like_actions_and_never_keep_an_action_away(self, world: World) -> None:
        world.use(policy("trial", mode="dry-run"), policy("real", match={"alertname": "Real"}))
        world.fire("f")
        world.run()
        world.fire("f")
        world.run()
        assert (world.case(2).state, world.case(2).reason) == (State.BLOCKED, Reason.COOLDOWN)
        world.fire("g", alertname="Real")
        world.run()
        assert (world.trail(3), world.case(3).policy) == (APPLIED, "real")


class TestExecution:
    def test_the_attempt_is_stored_before_the_effect(self, world: World) -> None:
        slow = Slow()
        world.restart(slow)
        world.fire()
        world.run()
        assert world.trail() == UNTIL_INTENT
        assert world.fix.effects == []
        slow.work()
        world.run()
        assert (world.trail(), world.fix.effects) == (APPLIED, [world.case().attempt_id])
        assert world.case().evidence == {"summary": "done", "facts": {"attempt_id": world.case().attempt_id}}

    def test_one_slow_action_does_not_stop_the_others(self, world: World) -> None:
        slow = Slow()
        world.restart(slow)
        world.fire("f", service_id="shop")
        world.run()
        world.fire("g", service_id="till")
        world.run()
        slow.work()
        world.run()
        assert len(world.fix.effects) == 2

    def test_no_more_actions_at_once_than_workers(self, world: World) -> None:
        slow = Slow()
        world.timers = Timers(workers=4)
        world.restart(slow)
        for number in range(6):
            world.fire(f"f{number}", service_id=f"s{number}")
        world.run()
        assert [world.case(number).state for number in range(1, 7)] == [State.INTENT] * 4 + [State.READY] * 2
        slow.work(1)
        world.run()
        assert world.case(5).state is State.INTENT

    def test_a_plan_that_waited_too_long_for_a_worker_is_made_again(self, world: World) -> None:
        slow = Slow()
        world.timers = Timers(workers=1)
        world.restart(slow)
        world.fire("f", service_id="shop")
        world.fire("g", service_id="till")
        world.run(2 * MINUTE)
        world.prometheus.holds = False
        slow.work()
        world.run(2 * MINUTE)
        assert world.trail(2) == "received evaluating planned ready evaluating closed"
        assert len(world.fix.effects) == 1

    def test_provably_before_the_effect_is_tried_again_after_a_back_off(self, world: World) -> None:
        world.fix.script = [NotAppliedError("no such file")] * 2
        world.fire()
        world.run(50)
        assert (world.trail(), world.case().not_before) == (f"{UNTIL_INTENT} not_applied", START + MINUTE)
        world.run(3 * MINUTE)
        assert len(world.fix.effects) == 1
        times = [row.time - START for row in world.records.story(1) if row.target == "intent"]
        assert times == [0, MINUTE, 3 * MINUTE]
        attempts = {
            row.facts.split('"attempt_id":"')[1][:16] for row in world.records.story(1) if row.target == "intent"
        }
        assert len(attempts) == 3

    def test_five_back_offs_and_then_a_person(self, world: World) -> None:
        world.fix.script = [NotAppliedError("no such file")] * 9
        world.fire()
        world.run(HOUR)
        assert (world.case().state, world.case().reason) == (State.ESCALATED, Reason.ATTEMPTS_USED)
        times = [(row.time - START) / MINUTE for row in world.records.story(1) if row.target == "intent"]
        assert times == [0, 1, 3, 7, 15, 31]
        assert world.fix.effects == []

    def test_a_problem_that_goes_away_during_the_back_off_is_left_alone(self, world: World) -> None:
        world.fix.script = [NotAppliedError("no such file")]
        world.fire()
        world.run()
        world.prometheus.holds = False
        world.run(5 * MINUTE)
        assert world.case().outcome is Outcome.SELF_RESOLVED
        assert world.records.leases() == []

    @pytest.mark.parametrize("error", [UnknownOutcomeError("timed out"), ValueError("a bug"), OSError("broken pipe")])
    @pytest.mark.parametrize("said", list(Probe))
    def test_an_unknown_outcome_of_class_d_never_runs_twice(
        self, world: World, error: Exception, said: Probe
    ) -> None:
        world.fix.script, world.fix.says = [after_the_effect(error)], said
        world.fire()
        world.run(3 * HOUR)
        assert len(world.fix.effects) == 1
        if said is Probe.APPLIED:
            assert f"{UNTIL_INTENT} unknown applied" in world.trail()
        else:
            assert (world.trail(), world.case().reason) == (f"{UNTIL_INTENT} unknown escalated", Reason.CANNOT_SAY)

    @pytest.mark.parametrize("kind", [ActionClass.DESIRED_STATE, ActionClass.ATTEMPT_ID, ActionClass.PROBED])
    def test_the_other_classes_are_tried_again_if_the_probe_says_so(self, world: World, kind: ActionClass) -> None:
        world.fix.action_class = kind
        world.fix.script, world.fix.says = [UnknownOutcomeError("timed out")], Probe.NOT_APPLIED
        world.fire()
        world.run(2 * MINUTE)
        assert f"{UNTIL_INTENT} unknown not_applied evaluating planned ready intent applied" in world.trail()
        assert len(world.fix.effects) == 1

    def test_a_worker_that_never_answers_is_given_up_at_the_deadline(self, world: World) -> None:
        slow = Slow()
        world.restart(slow)
        world.fire()
        world.run(15 * MINUTE)
        assert world.trail() == f"{UNTIL_INTENT} unknown"
        world.run(15 * MINUTE)
        assert (world.trail(), world.case().reason) == (f"{UNTIL_INTENT} unknown escalated", Reason.DEADLINE)
        slow.work()
        world.run(HOUR)
        assert world.trail() == f"{UNTIL_INTENT} unknown escalated"


class TestCrash:
    @pytest.mark.parametrize(("said", "end"), [(Probe.UNKNOWN, "escalated"), (Probe.NOT_APPLIED, "escalated")])
    def test_an_intent_found_at_the_start_is_unknown(self, world: World, said: Probe, end: str) -> None:
        world.fix.says = said
        world.restart(Slow())
        world.fire()
        world.run()
        assert world.trail() == UNTIL_INTENT
        world.restart(Slow())
        world.run()
        world.workers.work()
        world.run()
        assert world.trail() == f"{UNTIL_INTENT} unknown {end}"
        assert world.fix.effects == []

    def test_a_crash_between_effect_and_outcome_is_found_out_by_the_probe(self, world: World) -> None:
        slow = Slow()
        world.restart(slow)
        world.fire()
        world.run()
        slow.work()
        world.fix.says = Probe.APPLIED
        world.restart(Inline())
        world.run()
        assert (world.trail(), len(world.fix.effects)) == (f"{UNTIL_INTENT} unknown applied settling", 1)

    def test_a_crash_during_the_undo_of_class_d_goes_to_a_person(self, world: World) -> None:
        slow = Slow()
        world.fix.undo_facts = {"size": 0}
        world.restart(slow)
        world.fire()
        world.run()
        slow.work()
        world.run(10 * MINUTE)
        assert world.case().state is State.ROLLING_BACK
        world.restart(Slow())
        world.run()
        assert (world.case().state, world.case().reason) == (State.ESCALATED, Reason.CRASH)
        assert world.fix.undone == []

    def test_the_undo_of_other_classes_is_done_again(self, world: World) -> None:
        world.fix.undo_facts, world.fix.action_class = {"size": 0}, ActionClass.DESIRED_STATE
        slow = Slow()
        world.restart(slow)
        world.fire()
        world.run()
        slow.work()
        world.run(10 * MINUTE)
        world.restart(Slow())
        world.run()
        world.workers.work()
        world.run()
        assert world.fix.undone == ["fix shop"]
        assert State.ROLLED_BACK in world.states()

    def test_an_outcome_that_cannot_be_written_is_written_later(self, world: World) -> None:
        slow = Slow()
        world.restart(slow)
        world.fire()
        world.run()
        slow.work()
        with world.engine.begin() as connection:
            connection.exec_driver_sql("create trigger full before update on remediations begin "
                                       "select raise(abort, 'disk is full'); end")  # fmt: skip
        with pytest.raises(Exception, match="disk is full"):
            world.machine.step(world.clock.now)
        with world.engine.begin() as connection:
            connection.exec_driver_sql("drop trigger full")
        world.run()
        assert (world.trail(), len(world.fix.effects)) == (APPLIED, 1)

    def test_after_a_night_off_what_was_applied_is_verified_by_the_samples_of_the_night(self, world: World) -> None:
        world.fire()
        world.run()
        world.prometheus.good = True
        world.clock.advance(9 * HOUR)
        world.restart()
        world.run()
        assert world.trail() == VERIFIED
        assert [one["time"] - START for one in world.samples()] == [60, 90, 120]

    def test_after_a_night_off_what_was_not_decided_goes_to_a_person(self, world: World) -> None:
        world.prometheus.down = True
        world.fire()
        world.run()
        world.clock.advance(9 * HOUR)
        world.restart()
        world.run()
        assert (world.case().state, world.case().reason) == (State.ESCALATED, Reason.DEADLINE)


class TestOrder:
    """What is to be done comes before what is only watched."""

    def test_an_alert_does_not_wait_for_all_that_are_watched(self, world: World) -> None:
        world.fleet = FleetGuards(max_per_hour=100, storm=Storm(least=100))
        world.use(policy(guards={"cooldown": "0", "max_per_hour": 100}))
        for number in range(20):
            world.fire(f"f{number}", service_id=f"s{number}")
        world.run(60.0)
        assert [len(world.case(number).samples or ()) for number in range(1, 21)] == [1] * 20
        world.clock.advance(30.0)
        world.fire("late", service_id="late")
        world.machine.step(world.clock.now)
        assert world.fix.effects[20:] == [world.case(21).attempt_id]
        looked = [len(world.case(number).samples or ()) for number in range(1, 21)]
        assert sorted(looked) == [1] * 12 + [2] * 8
        world.run()
        assert [len(world.case(number).samples or ()) for number in range(1, 21)] == [2] * 20

    def test_who_is_watched_has_his_turn_while_alerts_come(self, world: World) -> None:
        world.fleet = FleetGuards(max_per_hour=1000, storm=Storm(least=1000))
        world.use(policy(guards={"cooldown": "0", "max_per_hour": 1000}))
        world.prometheus.good = True
        world.fire("first", service_id="first")
        world.run()
        for number in range(40):
            world.clock.advance(5.0)
            for other in range(10):
                world.fire(f"f{number}-{other}", service_id=f"s{number}-{other}")
            world.machine.step(world.clock.now)
        assert world.case(1).state is State.HOLDDOWN


class TestVerification:
    @pytest.fixture
    def applied(self, world: World) -> World:
        world.fire()
        world.run()
        assert world.trail() == APPLIED
        return world

    def test_settles_for_the_action_and_for_the_range_of_the_query(self, world: World) -> None:
        world.use(policy(verify={"query": 'rate(memory{service_id="${service_id}"}[5m]) < 5'}))
        world.fire()
        world.run()
        assert world.case().not_before == START + 60 + 300

    def test_n_good_samples_in_a_row_are_success(self, applied: World) -> None:
        applied.prometheus.good = True
        applied.run(110)
        assert applied.case().state is State.VERIFYING
        applied.run(10)
        assert (applied.trail(), applied.case().outcome) == (VERIFIED, Outcome.VERIFIED)

    def test_a_bad_sample_begins_the_count_anew(self, applied: World) -> None:
        applied.prometheus.good = True
        applied.run(100)
        applied.prometheus.good = False
        applied.run(20)
        applied.prometheus.good = True
        applied.run(80)
        assert applied.case().state is State.VERIFYING
        applied.run(20)
        assert applied.case().state is State.HOLDDOWN
        assert [one["sample"] for one in applied.samples()] == ["good", "good", "bad", "good", "good", "good"]

    @pytest.mark.parametrize("nothing", [None, float("nan")])
    def test_no_data_is_never_success(self, applied: World, nothing: float | None) -> None:
        applied.prometheus.good = nothing
        applied.run(HOUR)
        assert f"{APPLIED} verifying inconclusive escalated" == applied.trail()
        assert {one["sample"] for one in applied.samples()} == {"no data"}

    def test_a_gap_begins_the_count_anew(self, applied: World) -> None:
        applied.prometheus.good = True
        applied.run(100)
        applied.prometheus.down = True
        applied.run(20)
        applied.prometheus.down = False
        applied.run(50)
        assert applied.case().state is State.VERIFYING
        assert [one["sample"] for one in applied.samples()][:3] == ["good", "good", "no data"]

    def test_still_bad_at_the_deadline_is_ineffective(self, applied: World) -> None:
        applied.run(10 * MINUTE)
        assert applied.trail() == f"{APPLIED} verifying ineffective escalated"
        assert applied.case().reason is Reason.LADDER_USED
        assert applied.samples()[-1]["time"] == START + 60 + 300

    def test_a_metric_and_a_message_for_the_person(self, applied: World) -> None:
        applied.run(10 * MINUTE)
        labels = {"policy": "restart", "action": "fix", "outcome": "escalated"}
        assert applied.metric("remediations_finished_total", **labels) == 1
        (sent,) = applied.alertmanager.sent
        assert sent["labels"] == {
            "alertname": "PresagioRemediationEscalated", "service_id": "shop", "policy": "restart", "action": "fix",
            "reason": "ladder_used", "severity": "critical", "remediation": "1",
        }  # fmt: skip
        assert applied.records.unsent() == []

    def test_a_message_waits_for_alertmanager(self, applied: World) -> None:
        applied.alertmanager.down = True
        applied.run(10 * MINUTE)
        assert (applied.alertmanager.sent, len(applied.records.unsent())) == ([], 1)
        applied.alertmanager.down = False
        applied.run(MINUTE)
        assert (len(applied.alertmanager.sent), applied.records.unsent()) == (1, [])


class TestAftermath:
    def test_the_ladder_goes_on(self, world: World) -> None:
        world.use(policy(actions=[{"fix": {}}, {"other": {}}]))
        world.fire()
        world.run(6.5 * MINUTE)
        assert world.trail() == f"{APPLIED} verifying ineffective next_rung {APPLIED.removeprefix('received ')}"
        assert (len(world.fix.effects), len(world.actions["other"].effects)) == (1, 1)
        assert (world.case().rung, world.case().action) == (1, "other")
        assert len(world.records.leases()) == 1

    def test_the_next_rung_is_not_taken_if_the_problem_went_away(self, world: World) -> None:
        world.use(policy(actions=[{"fix": {}}, {"other": {}}]))
        world.fire()
        world.run(MINUTE)
        world.prometheus.holds = False
        world.run(10 * MINUTE)
        assert world.case().outcome is Outcome.SELF_RESOLVED
        assert world.actions["other"].effects == []

    def test_what_did_not_help_is_undone_and_a_person_told(self, world: World) -> None:
        world.fix.undo_facts = {"size": 0}
        world.fire()
        world.run(10 * MINUTE)
        assert world.trail() == f"{APPLIED} verifying ineffective rolling_back rolled_back holddown escalated"
        assert (world.fix.undone, world.case().outcome) == (["fix shop"], Outcome.ESCALATED)

    def test_what_did_not_help_is_undone_and_the_ladder_goes_on(self, world: World) -> None:
        world.use(policy(actions=[{"fix": {}}, {"other": {}}]))
        world.fix.undo_facts = {"size": 0}
        world.fire()
        world.run(8 * MINUTE)
        assert "rolling_back rolled_back holddown next_rung evaluating" in world.trail()
        assert len(world.actions["other"].effects) == 1

    def test_undone_and_gone_closes_after_the_hold(self, world: World) -> None:
        world.fix.undo_facts = {"size": 0}
        world.fire()
        world.run(MINUTE)
        world.prometheus.holds = False
        world.run(20 * MINUTE)
        assert world.trail().endswith("rolled_back holddown closed")
        assert world.case().outcome is Outcome.ROLLED_BACK

    def test_an_undo_that_fails_goes_to_a_person(self, world: World) -> None:
        world.fix.undo_facts, world.fix.undo_error = {"size": 0}, NotAppliedError("someone else changed it")
        world.fire()
        world.run(10 * MINUTE)
        assert world.trail().endswith("ineffective rolling_back escalated")
        assert world.case().reason is Reason.UNDO_FAILED

    def test_a_quiet_hold_is_the_end(self, world: World) -> None:
        world.fire()
        world.prometheus.good = True
        world.run(12 * MINUTE)
        assert (world.trail(), world.case().outcome) == (f"{VERIFIED} closed", Outcome.VERIFIED)
        assert world.metric("remediation_duration_seconds_sum") == 12 * MINUTE

    def test_a_recurrence_within_the_hold_is_the_next_rungs(self, world: World) -> None:
        world.use(policy(actions=[{"fix": {}}, {"other": {}}]))
        world.fire()
        world.prometheus.good = True
        world.run(5 * MINUTE)
        world.fire(starts=START + 4 * MINUTE)
        world.run()
        assert (world.trail(2), world.case(2).reason) == ("received attached", Reason.OWNED)
        assert world.trail() == f"{VERIFIED} next_rung {APPLIED.removeprefix('received ')}"
        assert len(world.actions["other"].effects) == 1

    def test_a_late_alert_within_the_hold_is_no_recurrence(self, world: World) -> None:
        world.fire()
        world.prometheus.good = True
        world.run(5 * MINUTE)
        world.prometheus.holds = False
        world.fire(starts=START + 4 * MINUTE)
        world.run(10 * MINUTE)
        assert world.trail() == f"{VERIFIED} closed"

    def test_another_problem_of_the_target_waits_for_the_end_of_the_hold(self, world: World) -> None:
        world.use(policy(), policy("clean", match={"alertname": "Full"}, guards={"cooldown": "0"}))
        world.fire()
        world.prometheus.good = True
        world.run(5 * MINUTE)
        world.fire("g", alertname="Full")
        world.run()
        assert world.trail(2) == "received"
        world.run(8 * MINUTE)
        assert (world.trail(1), world.case(2).policy) == (f"{VERIFIED} closed", "clean")
        assert State.APPLIED in world.states(2)


class TestFailures:
    def test_a_stage_that_fails_is_tried_again_and_ends_at_its_deadline(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        world.fix.plan_error = RuntimeError("a bug of the plug-in")
        world.fire()
        world.run(HOUR)
        assert (world.case().state, world.case().reason) == (State.ESCALATED, Reason.DEADLINE)
        assert "stage failed" in caplog.text

    def test_a_stage_that_fails_after_the_effect_ends_too(self, world: World) -> None:
        world.fire()
        world.run()
        with world.engine.begin() as connection:
            connection.execute(text("update remediations set verification = '{}'"))
        world.run(3 * HOUR)
        assert world.case().state is State.ESCALATED

    def test_evidence_that_json_has_no_word_for_is_kept_as_text(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        odd = Evidence("done", {"when": set, "what": b"x"})
        monkeypatch.setattr(world.fix, "apply", lambda plan, attempt_id: odd)
        world.fire()
        world.run()
        assert world.trail() == APPLIED

    def test_a_transition_that_another_took_first_is_lost_and_nothing_else(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        world.fire()
        world.machine.step(world.clock.now)
        stale = world.machine.tools.records.due(world.clock.now)
        world.run()
        object.__setattr__(world.records, "due", lambda *_: stale)
        assert world.machine.step(world.clock.now) == 0
        assert "transition lost" in caplog.text
        del world.records.__dict__["due"]

    def test_a_database_that_is_gone_is_the_callers_to_see(self, world: World) -> None:
        world.fire()
        with world.engine.begin() as connection:
            connection.exec_driver_sql("alter table remediations rename to elsewhere")
        with pytest.raises(OperationalError, match="no such table"):
            world.machine.step(world.clock.now)
        with world.engine.begin() as connection:
            connection.exec_driver_sql("alter table elsewhere rename to remediations")


def test_every_way_of_the_table_was_walked(request: pytest.FixtureRequest) -> None:
    here = [item for item in request.session.items if item.path == request.path]
    if len(here) < 80:
        pytest.skip("only some tests of this file run")
    # By its deadline anything may be escalated: one test of that suffices, there are several.
    used = {(way.source, way.target) for way in TRANSITIONS if way.target is not State.ESCALATED}
    assert used - WALKED == GUARDED
    assert {way for way in WALKED if way[1] is not State.ESCALATED} - used == set()
