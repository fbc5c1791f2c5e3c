"""Time as an argument."""

import threading
import time

import pytest

from presagio.toolkit.clock import Clock, ManualClock, SystemClock


def test_the_system_clock_is_the_machine_s() -> None:
    before = time.time()
    assert before <= SystemClock().time() <= time.time()


def test_waiting_ends_with_the_time_or_with_the_stop() -> None:
    stop = threading.Event()
    clock = SystemClock()
    assert clock.wait(0.01, stop) is False
    assert clock.wait(-5, stop) is False
    threading.Timer(0.05, stop.set).start()
    begun = time.monotonic()
    assert clock.wait(60, stop) is True
    assert time.monotonic() - begun < 30


def test_a_manual_clock_moves_only_when_told_to() -> None:
    clock = ManualClock(1000.0)
    assert [clock.time(), clock.time()] == [1000.0, 1000.0]
    assert clock.advance(5) == clock.time() == 1005.0
    assert clock.advance(-10) == 995.0


def test_waiting_by_a_manual_clock_moves_it_at_once() -> None:
    clock, stop = ManualClock(1000.0), threading.Event()
    assert clock.wait(30, stop) is False
    assert clock.wait(-30, stop) is False
    assert clock.time() == 1030.0
    stop.set()
    assert clock.wait(1, stop) is True


@pytest.mark.parametrize("clock", [SystemClock(), ManualClock()])
def test_both_are_clocks(clock: Clock) -> None:
    assert isinstance(clock.time(), float)
