"""When the next training is due: kept in a file, so that neither a restart nor a crash forgets or hurries it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from presagio.toolkit.clock import Clock
from presagio.toolkit.durable import write_atomic

_FILE = "next-training"
_SOON = 300.0


@dataclass(frozen=True)
class _Note:
    """When the next training is due (Unix seconds), and how long to wait after it if it fails (seconds)."""

    due: float
    patience: float


class Schedule:
    """Of trainings that begin `every` so many seconds, kept in `folder`.

    One that failed is tried again after five minutes, then after twice as long each time, `every` at most.
    """

    def __init__(self, folder: Path, every: float, clock: Clock) -> None:
        self.path = folder / _FILE
        self.every = every
        self.clock = clock
        self._before = _Note(0.0, 0.0)
        self._begun = 0.0

    def due(self) -> float:
        """Return when the next training is due, in Unix seconds; 0 before the first."""
        return self._read().due

    def begin(self) -> None:
        """Note that a training begins. Until something else is noted it counts as failed: it may crash us, too."""
        self._before, self._begun = self._read(), self.clock.time()
        self.failed()

    def failed(self) -> None:
        """Note that it failed: it is tried again after a while, and the next time after twice as long."""
        patience = self._before.patience
        self._write(_Note(self.clock.time() + patience, min(2 * patience, self.every)))

    def succeeded(self) -> None:
        """Note that it went well: the next is due `every` after it began."""
        self._write(_Note(self._begun + self.every, self._soon))

    def broken_off(self) -> None:
        """Note that it was ended for no fault of its own: it is as due as before."""
        self._write(self._before)

    @property
    def _soon(self) -> float:
        return min(_SOON, self.every)

    def _read(self) -> _Note:
        """Return what is noted; what is further off than `every` is a wrong clock's, or another `every`'s."""
        with contextlib.suppress(OSError, ValueError):
            due, patience = map(float, self.path.read_text().split())
            return _Note(min(due, self.clock.time() + self.every), min(patience, self.every))
        return _Note(0.0, self._soon)

    def _write(self, note: _Note) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(self.path, f"{note.due:.3f} {note.patience:.3f}\n".encode())
