"""How far it has come: a bar in a terminal, log lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from presagio.toolkit.clock import Clock
from presagio.toolkit.log import Log

_TELL_EVERY = 5.0


@contextmanager
def progress(label: str, total: int, clock: Clock, log: Log) -> Iterator[Callable[[int], None]]:
    """Return what is called with the number of steps, of `total`, that were done since the last call."""
    if sys.stderr.isatty():
        with click.progressbar(length=total, label=label, file=sys.stderr, update_min_steps=total // 200) as bar:
            yield bar.update
    else:
        yield _Lines(label, total, clock, log).advance


class _Lines:
    def __init__(self, label: str, total: int, clock: Clock, log: Log) -> None:
        self.label = label
        self.total, self.done = max(total, 1), 0
        self.clock, self.log = clock, log
        self.told = clock.time()

    def advance(self, steps: int) -> None:
        """Count steps; log every few seconds."""
        self.done += steps
        now = self.clock.time()
        if now - self.told >= _TELL_EVERY:
            self.told = now
            self.log.info(self.label, percent=round(100 * self.done / self.total, 1))
