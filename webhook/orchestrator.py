"""Moves remediations through the table of states: `step(now)` moves each that is due as far as it goes.

Each state has a stage, a function that decides and writes nothing. Effects run in workers; their outcomes are
collected, and written, by the thread that steps. One orchestrator may work on a SQLite file at a time (see loop.py);
on PostgreSQL each takes what the others have not (see replica.py).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Protocol

from sqlalchemy.exc import IntegrityError

from presagio.toolkit.log import Log
from presagio.webhook import intake, observation
from presagio.webhook.effects import NEEDS_A_WORKER, RUN_ON_ENTRY, Effects, Workers, outcome
from presagio.webhook.errors import ConflictError
from presagio.webhook.inbox import Inbox
from presagio.webhook.ledger import Decided, Ledger
from presagio.webhook.moves import Arrival, Move, Run, Stay
from presagio.webhook.payload import PayloadError
from presagio.webhook.replica import Claims
from presagio.webhook.stages import ASKS, STAGES, WATCHES
from presagio.webhook.statements import Without
from presagio.webhook.states import SELF_TIMED, TERMINAL, Reason, State
from presagio.webhook.tables import Notification, Remediation
from presagio.webhook.tools import Tools, escalate

_AFTER_A_FAILURE = 30.0
_WATCHED = 8
"""Remediations that are looked after in a step: few, so that an alert that comes meanwhile does not wait for long."""


_DOES = frozenset(State) - WATCHES


class AtOnce(Protocol):
    """Calls a function for several, perhaps at once; the results come in order."""

    def __call__(
        self, call: Callable[[Remediation], Move | Stay | Run], cases: Sequence[Remediation], /
    ) -> Iterable[Move | Stay | Run]:
        """Return what `call` gives for each."""


class Observer(Protocol):
    """Hears of what happened, after it was written: the metrics."""

    def moved(self, before: Remediation, move: Move, after: Remediation) -> None:
        """Tell of a transition."""


class Orchestrator:
    """The state machine at work. One thread calls `step`; `on_outcome` is called from the worker that has ended.

    stretch: moves of one remediation until the others have their turn. From the alert to the attempt there are four.
    at_once: calls a function for each of several remediations, as `map` of a pool of threads does.
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
        at_once: AtOnce = map,
    ) -> None:
        self.ledger = ledger
        self.inbox = inbox
        self.tools = tools
        self.claims = claims
        self.observer = observer
        self.log = log
        self.stretch = stretch
        self.at_once = at_once
        self.effects = Effects(tools, claims, workers, on_outcome)

    def step(self, now: float) -> int:
        """Move each due remediation until it has to wait; return how much was done. Raises SQLAlchemyError.

        What is to be done comes first, then a share of those that are only watched.
        """
        self.tools.questions.begin()
        self.tools.standing.begin()
        done = self.collect(now) + self._open(now)
        done += self._advance(self.claims.due(now, self._without(*WATCHES)), now, leave=WATCHES)
        done += self._advance(self.claims.due(now, self._without(*_DOES), _WATCHED), now)
        return done + self._advance(self.tools.records.observable(now, _WATCHED), now)

    def next_due(self) -> float | None:
        """Return when there is something to do next, in Unix seconds, as far as the ledger knows."""
        return self.claims.next_due(self._without())

    @property
    def busy(self) -> bool:
        """Whether a worker is at work whose outcome is not written yet."""
        return bool(self.effects.ids)

    def collect(self, now: float) -> int:
        """Write the outcomes of effects that have ended or took too long; return how many. Starts nothing new."""
        ended = self.effects.ended(now)
        done, _ = self._commit([(one.case, outcome(one, self.tools, now)) for one in ended], now)
        for one in ended:  # only now: what cannot be written yet is not forgotten
            self.effects.forget(one)
        return done

    def _open(self, now: float) -> int:
        waiting = self.inbox.waiting()
        return self.ledger.open([(one, self._arrivals(one)) for one in waiting], now) if waiting else 0

    def _arrivals(self, notification: Notification) -> list[Arrival]:
        try:
            return intake.arrivals(notification)
        except PayloadError as error:
            # It was read before it was stored, by another version of ours. It stays in the inbox, for a person.
            self.log.error("stored notification cannot be read", notification=notification.id, error=str(error))
            return []

    def _without(self, *states: State) -> Without:
        busy = () if self.effects.room() > 0 else NEEDS_A_WORKER
        return Without(self.effects.ids, (*states, *busy))

    def _advance(self, cases: Sequence[Remediation], now: float, leave: Collection[State] = ()) -> int:
        """Move remediations until they have to wait or come to a state to `leave`: a round is one transaction."""
        done = 0
        for _ in range(self.stretch):
            if not cases:
                break
            run, decided, later = self._round(cases, now)
            moved, following = self._commit(decided, now)
            done += run + moved
            cases = [case for case in (*following, *later) if case.state not in leave]
            if not run and not decided:  # all wait for workers that are busy for longer
                break
        self.claims.give_back(cases)
        return done

    def _round(self, cases: Sequence[Remediation], now: float) -> tuple[int, list[Decided], list[Remediation]]:
        """Decide on each; return how many effects were begun, what is to be written, and who must wait for that."""
        run, decided, later = 0, list[Decided](), list[Remediation]()
        room, claimed = self.effects.room(), set[str]()
        known = self._asked([case for case in cases if case.state in ASKS], now)
        for case in cases:
            if case.state in NEEDS_A_WORKER and room <= 0:
                later.append(case)
                continue
            room -= case.state in NEEDS_A_WORKER
            decision = known.get(case.id) or self._decide(case, now)
            if isinstance(decision, Run):
                self.effects.run(case)
                run += 1
            elif not claimed.isdisjoint(wanted := _wanted(case, decision)):
                later.append(case)
            else:
                claimed |= wanted
                self._promise(decision)
                decided.append((case, decision))
        return run, decided, later

    def _asked(self, cases: Sequence[Remediation], now: float) -> dict[int, Move | Stay | Run]:
        """Decide where the world is asked: several at once, since most of it is waiting."""
        self.tools.questions.expect(sum(case.state is State.RECEIVED for case in cases))
        decisions = self.at_once(lambda case: self._decide(case, now), cases)
        return {case.id: decision for case, decision in zip(cases, decisions, strict=True)}

    def _promise(self, decision: Move | Stay) -> None:
        """Let those who are decided on next know what this one takes, before it is written."""
        if isinstance(decision, Move) and decision.budget is not None:
            self.tools.standing.promise(decision.budget)

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

    def _commit(self, decided: Sequence[Decided], now: float) -> tuple[int, list[Remediation]]:
        """Write what was decided; return how much that was, and the remediations that may go on at once.

        If one is in the way of all, each is written by itself.
        """
        if not decided:
            return 0, []
        try:
            after = self.ledger.write(decided, now)
        except (ConflictError, IntegrityError) as error:
            if len(decided) == 1:
                return self._lost(decided[0][0], error)
            parts = [self._commit([one], now) for one in decided]
            return sum(done for done, _ in parts), [case for _, cases in parts for case in cases]
        self.tools.standing.begin()
        following = [self._written(*one, case, now) for one, case in zip(decided, after, strict=True)]
        done = sum(isinstance(decision, Move) or decision.not_before <= now for _, decision in decided)
        return done, [case for case in following if case is not None]

    def _lost(self, case: Remediation, error: ConflictError | IntegrityError) -> tuple[int, list[Remediation]]:
        if isinstance(error, IntegrityError):
            raise error
        self.log.warning("transition lost", remediation=case.id, state=case.state.value, error=str(error))
        return 0, []

    def _written(
        self, case: Remediation, decision: Move | Stay, after: Remediation, now: float
    ) -> Remediation | None:
        """Tell of it, and begin the effect that it allows; return the remediation if it may go on at once."""
        if isinstance(decision, Stay):
            return None
        self.observer.moved(case, decision, after)
        self._tell(after, case.state)
        if decision.to in RUN_ON_ENTRY:
            self.effects.run(after)
            return None
        return None if decision.to in TERMINAL or after.not_before > now else after

    def _tell(self, case: Remediation, source: State) -> None:
        tell = self.log.warning if case.state is State.ESCALATED else self.log.info
        told = {"policy": case.policy, "service_id": case.service_id, "action": case.action}
        known = {name: value for name, value in told.items() if value is not None}
        tell(
            "remediation moved", remediation=case.id, source=source.value, target=case.state.value,
            reason=case.reason.value, **known,
        )  # fmt: skip


def _wanted(case: Remediation, decision: Move | Stay) -> set[str]:
    """Return what no other may have been given in the same round: the target, and a new alert's own identity."""
    target = decision.changes.get("owns")
    wanted = {f"target {target}"} if target else set[str]()
    return wanted | {f"alert {case.fingerprint}"} if case.state is State.RECEIVED else wanted
