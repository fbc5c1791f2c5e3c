"""When the orchestrator steps: at once on news, at the next timer, and never while another process does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

from presagio.toolkit.clock import Clock
from presagio.toolkit.durable import locked
from presagio.toolkit.log import Log

_IDLE = 5.0
_SHORTEST = 0.05
_AFTER_A_FAILURE = 1.0


class Machine(Protocol):
    """What is driven: the orchestrator."""

    @property
    def busy(self) -> bool:
        """Whether a worker's outcome is still to be written."""

    def step(self, now: float) -> int:
        """Do what is due and return how much that was."""

    def collect(self, now: float) -> int:
        """Write outcomes, begin nothing."""

    def next_due(self) -> float | None:
        """Return when there is something to do next."""


class Pulse(Protocol):
    """Hears that the loop lives: the metrics."""

    def stepped(self, now: float) -> None:
        """Tell of a turn that went well."""

    def stumbled(self) -> None:
        """Tell of one that did not."""


class Loop:
    """A thread that steps, woken by `news`; `deliver` empties the outbox after each step."""

    def __init__(
        self, machine: Machine, deliver: Callable[[float], int], news: threading.Event, lock: Path, clock: Clock,
        pulse: Pulse, log: Log,
    ) -> None:  # fmt: skip
        self.machine = machine
        self.deliver = deliver
        self.news = news
        self.lock = lock
        self.clock = clock
        self.pulse = pulse
        self.log = log
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="orchestrator", daemon=True)

    def start(self) -> None:
        """Begin, as soon as the process before us has let go of the lock."""
        self._thread.start()

    def stop(self, patience: float) -> None:
        """Begin nothing new; wait up to `patience` seconds for effects that run, and write their outcomes."""
        self._stop.set()
        self.news.set()
        if self._thread.is_alive():
            self._thread.join(patience)

    @property
    def alive(self) -> bool:
        """Whether the thread runs, or waits for the lock."""
        return self._thread.is_alive()

    def _run(self) -> None:
        with locked(self.lock):
            while not self._stop.is_set():
                self.news.clear()
                self.clock.wait(self.turn(), self.news)
            self._drain()

    def turn(self) -> float:
        """Step until nothing is due, and return how many seconds there are to wait. Raises nothing."""
        try:
            while self._step() and not self._stop.is_set():
                pass
            due = self.machine.next_due()
        except Exception:
            # Whatever it is, the next turn may go well: effects that ran are still known, nothing is lost.
            self.log.exception("the orchestrator stumbled, will try again")
            self.pulse.stumbled()
            return _AFTER_A_FAILURE
        left = _IDLE if due is None else due - self.clock.time()
        return min(max(left, _SHORTEST), _IDLE)

    def _step(self) -> int:
        now = self.clock.time()
        moved = self.machine.step(now) + self.deliver(now)
        self.pulse.stepped(now)
        return moved

    def _drain(self) -> None:
        """Wait for effects that run; whatever is not written when we are killed has an unknown outcome."""
        while self.machine.busy:
            self.news.clear()
            try:
                self.machine.collect(self.clock.time())
            except SQLAlchemyError as error:
                self.log.error("an outcome cannot be written, will try again", error=str(error))
            if self.machine.busy:
                self.clock.wait(_AFTER_A_FAILURE, self.news)
