"""The story as it happens: a line for each event, with the second at which it did and what was measured."""

import sys
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

COLOURS = {"good": "32", "bad": "31", "work": "36", "plain": "0"}
POLL_SECONDS = 0.25


class StoryError(RuntimeError):
    """Something that had to happen did not."""


class Timeline:
    """Prints events; `on_poll` runs while it waits for the next one."""

    def __init__(self, on_poll: Callable[[], None] = lambda: None) -> None:
        self.begun = time.monotonic()
        self.started = time.time()
        self.marks: list[tuple[float, str]] = []
        self.on_poll = on_poll
        self.colour = sys.stdout.isatty()

    def tell(self, who: str, what: str, mood: str = "plain") -> None:
        """Print one event."""
        seconds = time.monotonic() - self.begun
        text = f"{seconds:6.1f} s  {who:<13} {what}"
        print(f"\033[{COLOURS[mood]}m{text}\033[0m" if self.colour else text, flush=True)

    def mark(self, what: str) -> None:
        """Remember an event for the picture."""
        self.marks.append((time.time(), what))

    def wait(self, question: Callable[[], T | None], what: str, deadline: float) -> T:
        """Ask until there is an answer, and return it. Raises StoryError after `deadline` seconds."""
        end = time.monotonic() + deadline
        while time.monotonic() < end:
            self.on_poll()
            answer = question()
            if answer:
                return answer
            time.sleep(POLL_SECONDS)
        raise StoryError(f"{what} did not happen within {deadline:.0f} s")
