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
def progress(total: int, clock: Clock, log: Log) -> Iterator[Callable[[], None]]:
    """Return what is called once for each of `total` steps."""
    if sys.stderr.isatty():
        with click.progressbar(length=total, label="backtest", file=sys.stderr, update_min_steps=20) as bar:
            yield lambda: bar.update(1)
    else:
        yield _Lines(total, clock, log).advance


class _Lines:
    def __init__(self, total: int, clock: Clock, log: Log) -> None:
        self.total, self.done = max(total, 1), 0
        self.clock, self.log = clock, log
        self.told = clock.time()

    def advance(self) -> None:
        """Count one step; log every few seconds."""
        self.done += 1
        now = self.clock.time()
        if now - self.told >= _TELL_EVERY:
            self.told = now
            self.log.info("backtest", percent=round(100 * self.done / self.total, 1))
