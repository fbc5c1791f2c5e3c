import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from presagio.toolkit.clock import SystemClock
from presagio.toolkit.durable import locked
from presagio.toolkit.log import get_log
from presagio.webhook.loop import Loop


class Machine:
    """Counts its steps; `due` is when it wants the next one, `error` what it raises."""

    def __init__(self) -> None:
        self.steps = 0
        self.collected = 0
        self.due: float | None = None
        self.error: Exception | None = None
        self.running = 0

    @property
    def busy(self) -> bool:
        return self.running > 0

    def step(self, now: float) -> int:
        self.steps += 1
        if self.error:
            raise self.error
        return 0

    def collect(self, now: float) -> int:
        self.collected += 1
        self.running = max(0, self.running - 1)
        return 1

    def next_due(self) -> float | None:
        return self.due


class Pulse:
    def __init__(self) -> None:
        self.beats = 0
        self.stumbles = 0

    def stepped(self, now: float) -> None:
        self.beats += 1

    def stumbled(self) -> None:
        self.stumbles += 1


class Driven:
    def __init__(self, folder: Path) -> None:
        self.machine, self.pulse, self.news = Machine(), Pulse(), threading.Event()
        self.lock = folder / "lock"
        self.loop = Loop(self.machine, lambda _: 0, self.news, self.lock, SystemClock(), self.pulse, get_log("test"))


@pytest.fixture
def driven(tmp_path: Path) -> Driven:
    return Driven(tmp_path)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.005)


def test_news_are_heard_at_once(driven: Driven) -> None:
    driven.loop.start()
    until(lambda: driven.machine.steps == 1)
    driven.news.set()
    until(lambda: driven.machine.steps == 2)
    driven.loop.stop(5)
    assert not driven.loop.alive


def test_the_next_timer_is_waited_for(driven: Driven) -> None:
    driven.machine.due = time.time() + 0.15
    assert 0.05 <= driven.loop.turn() <= 0.15
    driven.machine.due = time.time() - 100
    assert driven.loop.turn() == 0.05
    driven.machine.due = None
    assert driven.loop.turn() == 5.0


def test_a_turn_that_fails_is_counted_and_the_next_one_comes(
    driven: Driven, caplog: pytest.LogCaptureFixture
) -> None:
    driven.machine.error = RuntimeError("a bug")
    assert driven.loop.turn() == 1.0
    assert (driven.pulse.stumbles, driven.pulse.beats) == (1, 0)
    assert "stumbled" in caplog.text
    driven.machine.error = None
    driven.loop.turn()
    assert driven.pulse.beats == 1


def test_it_waits_for_the_worker_before_us(driven: Driven) -> None:
    with locked(driven.lock):
        driven.loop.start()
        time.sleep(0.05)
        assert driven.machine.steps == 0
    until(lambda: driven.machine.steps > 0)
    driven.loop.stop(5)


def test_at_the_end_outcomes_are_waited_for_and_nothing_begins(driven: Driven) -> None:
    driven.loop.start()
    until(lambda: driven.machine.steps == 1)
    driven.machine.running = 2
    driven.loop.stop(5)
    assert (driven.machine.steps, driven.machine.collected, driven.loop.alive) == (1, 2, False)
