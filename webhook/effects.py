"""What workers are busy with: the effects on the world, and the questions whether one is in it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

from presagio.actions.base import NotAppliedError
from presagio.webhook import aftermath, execution
from presagio.webhook.moves import Move
from presagio.webhook.replica import Claims
from presagio.webhook.states import Reason, State
from presagio.webhook.tables import Remediation
from presagio.webhook.tools import Tools, escalate

RUN_ON_ENTRY = frozenset({State.INTENT, State.ROLLING_BACK})
"""States whose effect begins as soon as they are written."""

NEEDS_A_WORKER = frozenset({State.READY, State.UNKNOWN, State.INEFFECTIVE, State.ROLLING_BACK})
"""States that are not left while no worker is free."""


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


class Workers(Protocol):
    """A pool of threads, or what acts like one."""

    def submit(self, call: Callable[..., object], /, *arguments: Any) -> Future[Any]:
        """Run `call(*arguments)`, now or soon."""


@dataclass(frozen=True)
class InFlight:
    """An effect that a worker is busy with."""

    case: Remediation
    future: Future[object]


class Effects:
    """Runs them in a pool of workers. `on_outcome` is called from the worker that has ended."""

    def __init__(self, tools: Tools, claims: Claims, workers: Workers, on_outcome: Callable[[], None]) -> None:
        self.tools = tools
        self.claims = claims
        self.workers = workers
        self.on_outcome = on_outcome
        self._in_flight: dict[int, InFlight] = {}
        self._abandoned: list[Future[object]] = []

    @property
    def ids(self) -> Collection[int]:
        """Return the remediations with an effect whose outcome is not written yet."""
        return list(self._in_flight)

    def room(self) -> int:
        """Return how many workers are free; one that has ended is, though its outcome is not written yet."""
        self._abandoned = [future for future in self._abandoned if not future.done()]
        busy = sum(not one.future.done() for one in self._in_flight.values())
        return self.tools.timers.workers - busy - len(self._abandoned)

    def run(self, case: Remediation) -> None:
        """Begin the effect of a state that is written."""
        future = self.workers.submit(self._fenced, case)
        self._in_flight[case.id] = InFlight(case, future)
        future.add_done_callback(lambda _: self.on_outcome())

    def ended(self, now: float) -> list[InFlight]:
        """Return those that have ended, or took too long."""
        return [one for one in self._in_flight.values() if one.future.done() or now >= one.case.deadline]

    def forget(self, one: InFlight) -> None:
        """Be done with one whose outcome is written; a worker that still hangs in it is not free."""
        del self._in_flight[one.case.id]
        if not one.future.done():
            self._abandoned.append(one.future)

    def _fenced(self, case: Remediation) -> object:
        """Run the effect of a state, unless another replica may have taken it over. Runs in a worker."""
        if not self.claims.holds():
            raise NotAppliedError("the ledger was out of reach for too long to begin this")
        return EFFECTS[case.state].run(case, self.tools)


def outcome(one: InFlight, tools: Tools, now: float) -> Move:
    """Return what follows from an effect that has ended or took too long."""
    case, future = one.case, one.future
    if future.done():
        return EFFECTS[case.state].conclude(case, tools, future.exception() or future.result(), now)
    if case.state is State.INTENT:
        return execution.overdue(case, tools, now)
    return escalate(case, Reason.DEADLINE)
