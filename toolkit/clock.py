"""Time as an argument: what needs the hour takes a Clock."""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Unix time and patience."""

    def time(self) -> float:
        """Return Unix time in seconds."""

    def wait(self, seconds: float, stop: threading.Event) -> bool:
        """Wait so long, or until `stop` is set; return whether it is."""


class SystemClock:
    """The machine's own clock."""

    def time(self) -> float:
        """Return Unix time in seconds."""
        return time.time()

    def wait(self, seconds: float, stop: threading.Event) -> bool:
        """Wait so long, or until `stop` is set; return whether it is."""
        return stop.wait(max(0.0, seconds))


class ManualClock:
    """A clock that moves only when told to: for tests, ours and those of plug-in authors."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def time(self) -> float:
        """Return the hour it was set to."""
        return self.now

    def wait(self, seconds: float, stop: threading.Event) -> bool:
        """Move on at once."""
        self.now += max(0.0, seconds)
        return stop.is_set()

    def advance(self, seconds: float) -> float:
        """Move on and return the new time."""
        self.now += seconds
        return self.now
