"""The book of feedback: on disk before it is acknowledged, bounded, and nothing in it is ever rubbed out at once.

As with the services (registry.py) two processes may work on one folder for a moment: the file is the truth, and each
write happens under a lock on what was read under it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel

from presagio.exporter import envelope as envelopes
from presagio.exporter.envelope import Envelope
from presagio.exporter.feedback import Feedback, Judged, shown
from presagio.toolkit.clock import Clock
from presagio.toolkit.durable import locked, read_snapshot, set_aside, write_snapshot
from presagio.toolkit.errors import LimitError, PresagioError, SnapshotError
from presagio.toolkit.log import Log

VERSION = 1
MOST = 1000
_KIND, _ENVELOPE = "feedback", "envelope"


class UnknownFeedbackError(PresagioError):
    """There is no feedback of this number."""


class _Pages(BaseModel):
    next: int = 1
    feedback: list[Feedback] = []


class Book:
    """The feedback in `folder`. Any thread may call anything.

    most: feedback in force, and as many reverted ones are kept as a record.
    """

    def __init__(self, folder: Path, clock: Clock, log: Log, most: int = MOST) -> None:
        self.folder = folder
        self.clock = clock
        self.log = log
        self.most = most
        self._lock = threading.Lock()
        self._seen: object = None
        self._pages = _Pages()
        self._envelopes: dict[tuple[int, str], Envelope | None] = {}

    def give(self, judged: Judged) -> Feedback:
        """Keep what was said; it survives a crash from now on. Raises LimitError."""
        with self._writing():
            if sum(one.in_force for one in self._pages.feedback) >= self.most:
                raise LimitError(
                    f"{self.most} feedbacks are in force, which is the limit; "
                    "revert one that has served, or raise api.max_feedback"
                )
            number, now = self._pages.next, self.clock.time()
            given = Feedback(**judged.model_dump(), id=number, given=now)
            self._store([*self._pages.feedback, given], number + 1)
            return given

    def revert(self, number: int, author: str = "") -> Feedback:
        """Take back what was said, and keep a record of it. Raises UnknownFeedbackError."""
        with self._writing():
            old = self._find(number)
            if not old.in_force:
                return old
            new = old.model_copy(update={"reverted": self.clock.time(), "reverted_by": author})
            self._store([new if one.id == number else one for one in self._pages.feedback], self._pages.next)
            self._drop_envelopes(number)
            return new

    def all(self) -> Sequence[Feedback]:
        """Return all feedback in the order in which it was given, the reverted too."""
        with self._lock:
            self._refresh()
            return tuple(self._pages.feedback)

    def in_force(self) -> Sequence[Feedback]:
        """Return the feedback that counts, in the order in which it was given."""
        return tuple(one for one in self.all() if one.in_force)

    def envelope(self, number: int, signal: str) -> Envelope | None:
        """Return the envelope of a feedback for the series of a signal, if it was drawn already."""
        with self._lock:
            if (number, signal) not in self._envelopes:  # asked at each turn: what is not there is remembered too
                self._envelopes[number, signal] = self._read_envelope(number, signal)
            return self._envelopes[number, signal]

    def keep(self, number: int, signal: str, envelope: Envelope) -> None:
        """Keep an envelope, unless its feedback was reverted meanwhile."""
        with self._writing():
            if any(one.id == number and one.in_force for one in self._pages.feedback):
                path = self._envelope_path(number, signal)
                path.parent.mkdir(exist_ok=True)
                write_snapshot(path, _ENVELOPE, VERSION, envelope.dump())
                self._envelopes[number, signal] = envelope

    def _find(self, number: int) -> Feedback:
        for one in self._pages.feedback:
            if one.id == number:
                return one
        raise UnknownFeedbackError(f"there is no feedback {number}; GET /api/v1/feedback?all=true lists all")

    def _store(self, feedback: Sequence[Feedback], following: int) -> None:
        reverted = [one.id for one in feedback if not one.in_force]
        forgotten = set(reverted[: max(0, len(reverted) - self.most)])
        pages = _Pages(next=following, feedback=[one for one in feedback if one.id not in forgotten])
        write_snapshot(self._path, _KIND, VERSION, pages.model_dump_json(by_alias=True).encode())
        self._pages = pages
        self._seen = _mark(self._path)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._lock, locked(self._path.with_suffix(".lock")):
            self._refresh()
            yield

    def _refresh(self) -> None:
        """Read the file again if another process has changed it."""
        try:
            mark = _mark(self._path)
            if mark != self._seen:
                self._pages = _Pages.model_validate_json(read_snapshot(self._path, _KIND, VERSION))
                self._seen = mark
                for one in self._pages.feedback:
                    if not one.in_force:
                        self._forget_envelopes(one.id)
        except FileNotFoundError:
            pass
        except (SnapshotError, ValueError) as error:
            aside = set_aside(self._path, self.clock.time())
            self.log.error("feedback cannot be read, the file is set aside", file=aside.name, error=error)

    def _read_envelope(self, number: int, signal: str) -> Envelope | None:
        path = self._envelope_path(number, signal)
        try:
            return envelopes.load(read_snapshot(path, _ENVELOPE, VERSION))
        except FileNotFoundError:
            return None
        except (SnapshotError, ValueError, KeyError, TypeError, IndexError) as error:
            self.log.error("envelope cannot be read, it is drawn anew", file=path.name, error=error)
            return None

    def _drop_envelopes(self, number: int) -> None:
        self._forget_envelopes(number)
        for path in self.folder.glob(f"envelopes/{number}-*.snapshot"):
            path.unlink(missing_ok=True)

    def _forget_envelopes(self, number: int) -> None:
        for key in [key for key in self._envelopes if key[0] == number]:
            del self._envelopes[key]

    def _envelope_path(self, number: int, signal: str) -> Path:
        return self.folder / "envelopes" / f"{number}-{signal}.snapshot"

    @property
    def _path(self) -> Path:
        return self.folder / f"{_KIND}.snapshot"


def _mark(path: Path) -> object:
    """Return what changes whenever the file is replaced."""
    stat = path.stat()
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def told(feedback: Feedback) -> str:
    """Return a feedback as one line of a log."""
    of = f"{feedback.service_id} {feedback.signal or '(all signals)'}"
    return f"{feedback.kind} {of} {shown(feedback.begin)} to {shown(feedback.end)}"
