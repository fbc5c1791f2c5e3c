"""Moves remediations through the table of states: `step(now)` moves each that is due as far as it goes.

Each state has a stage, a function that decides and writes nothing. Effects run in workers; their outcomes are
collected, and written, by the thread that steps. One orchestrator may work on a SQLite file at a time (see loop.py);
on PostgreSQL each takes what the others have not (see replica.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

from presagio.actions.base import NotAppliedError
from presagio.toolkit.log import Log
from presagio.webhook import aftermath, approval, evaluation, execution, intake, observation, verify
from presagio.webhook.errors import ConflictError
from presagio.webhook.inbox import Inbox
from presagio.webhook.ledger import Ledger
from presagio.webhook.moves import Arrival, Move, Run, Stay
from presagio.webhook.payload import PayloadError
from presagio.webhook.records import Without
from presagio.webhook.replica import Claims
from presagio.webhook.states import SELF_TIMED, TERMINAL, Reason, State
from presagio.webhook.tables import Notification, Remediation
from presagio.webhook.tools import Tools, escalate

Stage = Callable[[Remediation, Tools, float], Move | Stay | Run]

STAGES: Mapping[State, Stage] = {
    State.RECEIVED: intake.admit,
    State.EVALUATING: evaluation.evaluate,
    State.BLOCKED: evaluation.retry,
    State.PLANNED: execution.release,
    State.AWAITING_APPROVAL: approval.wait,
    State.READY: execution.begin,
    State.INTENT: execution.recover,
    State.UNKNOWN: execution.ask,
    State.NOT_APPLIED: execution.back_off,
    State.APPLIED: verify.settle,
    State.SETTLING: verify.start,
    State.VERIFYING: verify.watch,
    State.VERIFIED: aftermath.verified,
    State.INEFFECTIVE: aftermath.ineffective,
    State.SUPERSEDED: aftermath.superseded,
    State.INCONCLUSIVE: aftermath.inconclusive,
    State.ROLLING_BACK: aftermath.resume,
    State.ROLLED_BACK: aftermath.rolled_back,
    State.NEXT_RUNG: aftermath.next_rung,
    State.HOLDDOWN: aftermath.hold,
    State.CLOSED: observation.observe,
}
"""What decides in each state that is due and that no worker of ours is busy with."""


@dataclass(frozen=True)
class Effect:
    """What a worker does in a state, and what follows from its result or from the exception that it raised."""

    run: Callable[[Remediation, Tools], object]
    conclude: Callable[[Remediation, Tools, object, float], Move]


EFFECTS: Mapping[State, Effect] = {
    State.INTENT: Effect(execution.apply, execution.applied),
    State.UNKNOWN: Effect(execution.probe, execution.probed),
    State.ROLLING_BACK: Effect(aftermath.undo, aftermath.undone),
}

_RUN_ON_ENTRY = frozenset({State.INTENT, State.ROLLING_BACK})
_NEEDS_A_WORKER = frozenset({State.READY, State.UNKNOWN, State.INEFFECTIVE, State.ROLLING_BACK})
_AFTER_A_FAILURE = 30.0


class Workers(Protocol):
    """A pool of threads, or what acts like one."""

    def submit(self, call: Callable[..., object], /, *arguments: Any) -> Future[Any]:
        """Run `call(*arguments)`, now or soon."""


class Observer(Protocol):
    """Hears of what happened, after it was written: the metrics."""

    def moved(self, before: Remediation, move: Move, after: Remediation) -> None:
        """Tell of a transition."""


@dataclass(frozen=True)
class InFlight:
    """An effect that a worker is busy with."""

    case: Remediation
    future: Future[object]


class Orchestrator:
    """The state machine at work. One thread calls `step`; `on_outcome` is called from the worker that has ended.

    stretch: moves of one remediation until the others have their turn. From the alert to the attempt there are four.
    """

    def __init__(
        self,
        ledger: Ledger,
        inbox: Inbox,
        tools: Tools,
        claims: Claims,
        workers: Workers,
        observer: Observer,
        log: Log,
        on_outcome: Callable[[], None] = lambda: None,
        stretch: int = 8,
    ) -> None:
        self.ledger = ledger
        self.inbox = inbox
        self.tools = tools
        self.claims = claims
        self.workers = workers
        self.observer = observer
        self.log = log
        self.on_outcome = on_outcome
        self.stretch = stretch
        self._in_flight: dict[int, InFlight] = {}
        self._abandoned: list[Future[object]] = []

    def step(self, now: float) -> int:
        """Move each due remediation until it has to wait; return how much was done. Raises SQLAlchemyError."""
        self.tools.questions.begin()
        self.tools.standing.begin()
        done = self.collect(now) + self._open(now) + sum(self._advance(case, now) for case in self._due(now))
        return done + sum(self._advance(case, now) for case in self.tools.records.observable(now))

    def next_due(self) -> float | None:
        """Return when there is something to do next, in Unix seconds, as far as the ledger knows."""
        return self.claims.next_due(self._without())

    @property
    def busy(self) -> bool:
        """Whether a worker is at work whose outcome is not written yet."""
        return bool(self._in_flight)

    def collect(self, now: float) -> int:
        """Write the outcomes of effects that have ended or took too long; return how many. Starts nothing new."""
        ended = [one for one in self._in_flight.values() if one.future.done() or now >= one.case.deadline]
        return sum(self._conclude(one, now) for one in ended)

    def _conclude(self, one: InFlight, now: float) -> int:
        case, future = one.case, one.future
        if future.done():
            move = EFFECTS[case.state].conclude(case, self.tools, future.exception() or future.result(), now)
        else:
            self._abandoned.append(future)
            move = _overdue(case, self.tools, now)
        moved, _ = self._commit(case, move, now)
        del self._in_flight[case.id]  # only now: what cannot be written yet is not forgotten
        return moved

    def _open(self, now: float) -> int:
        return sum(self._open_one(notification, now) for notification in self.inbox.waiting())

    def _open_one(self, notification: Notification, now: float) -> int:
        try:
            self.ledger.open(notification, self._arrivals(notification), now)
        except ConflictError:  # another replica was faster
            return 0
        return 1

    def _arrivals(self, notification: Notification) -> list[Arrival]:
        try:
            return intake.arrivals(notification)
        except PayloadError as error:
            # It was read before it was stored, by another version of ours. It stays in the inbox, for a person.
            self.log.error("stored notification cannot be read", notification=notification.id, error=str(error))
            return []

    def _due(self, now: float) -> list[Remediation]:
        return self.claims.due(now, self._without())

    def _without(self) -> Without:
        return Without(list(self._in_flight), () if self._has_room() else tuple(_NEEDS_A_WORKER))

    def _has_room(self) -> bool:
        """Return whether a worker is free; one that has ended is, though its outcome is not written yet."""
        self._abandoned = [future for future in self._abandoned if not future.done()]
        busy = sum(not one.future.done() for one in self._in_flight.values())
        return busy + len(self._abandoned) < self.tools.timers.workers

    def _advance(self, case: Remediation, now: float) -> int:
        """Move one remediation, each time in a transaction of its own, until it has to wait for something."""
        done = 0
        following: Remediation | None = case
        while following is not None and done < self.stretch:
            if following.state in _NEEDS_A_WORKER and not self._has_room():
                self.claims.give_back(following)
                break
            decision = self._decide(following, now)
            if isinstance(decision, Run):
                self._run(following)
                return done + 1
            moved, following = self._commit(following, decision, now)
            done += moved
        return done

    def _decide(self, case: Remediation, now: float) -> Move | Stay | Run:
        late = now >= case.deadline
        if late and case.state not in SELF_TIMED:
            return escalate(case, Reason.DEADLINE)
        try:
            return STAGES[case.state](case, self.tools, now)
        except Exception as error:
            self.log.exception("stage failed", remediation=case.id, state=case.state.value)
            if case.state is State.CLOSED:
                return observation.give_up(case, str(error))
            if late:
                return escalate(case, Reason.DEADLINE, error=str(error))
            return Stay(min(now + _AFTER_A_FAILURE, case.deadline))

    def _commit(self, case: Remediation, decision: Move | Stay, now: float) -> tuple[int, Remediation | None]:
        """Write a decision; return how much that was, and the remediation if it may go on at once."""
        try:
            return self._stay(case, decision, now) if isinstance(decision, Stay) else self._move(case, decision, now)
        except ConflictError as error:
            self.log.warning("transition lost", remediation=case.id, state=case.state.value, error=str(error))
            return 0, None

    def _stay(self, case: Remediation, stay: Stay, now: float) -> tuple[int, Remediation | None]:
        after = self.ledger.stay(case, stay)
        return (1, after) if stay.not_before <= now else (0, None)

    def _move(self, case: Remediation, move: Move, now: float) -> tuple[int, Remediation | None]:
        after = self.ledger.move(case, move, now)
        self.observer.moved(case, move, after)
        self._tell(after, case.state)
        if move.budget is not None:
            self.tools.standing.begin()
        if move.to in _RUN_ON_ENTRY:
            self._run(after)
            return 1, None
        return 1, None if move.to in TERMINAL or after.not_before > now else after

    def _run(self, case: Remediation) -> None:
        future = self.workers.submit(self._fenced, case)
        self._in_flight[case.id] = InFlight(case, future)
        future.add_done_callback(lambda _: self.on_outcome())

    def _fenced(self, case: Remediation) -> object:
        """Run the effect of a state, unless another replica may have taken it over. Runs in a worker."""
        if not self.claims.holds():
            raise NotAppliedError("the ledger was out of reach for too long to begin this")
        return EFFECTS[case.state].run(case, self.tools)

    def _tell(self, case: Remediation, source: State) -> None:
        tell = self.log.warning if case.state is State.ESCALATED else self.log.info
        told = {"policy": case.policy, "service_id": case.service_id, "action": case.action}
        known = {name: value for name, value in told.items() if value is not None}
        tell(
            "remediation moved", remediation=case.id, source=source.value, target=case.state.value,
            reason=case.reason.value, **known,
        )  # fmt: skip


def _overdue(case: Remediation, tools: Tools, now: float) -> Move:
    overdue = case.state is State.INTENT
    return execution.overdue(case, tools, now) if overdue else escalate(case, Reason.DEADLINE)
