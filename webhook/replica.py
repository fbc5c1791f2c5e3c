"""Who works on what, where several webhooks share a ledger: each claims what is due, and takes over from the silent.

A claim is a name in the row, taken with SELECT ... FOR UPDATE SKIP LOCKED: no two get the same, and nobody waits for
another. It raises the row's revision, the fencing token of all that is written: a webhook whose work was taken over
while it was stopped finds that out at its next write, which changes nothing. What no database can fence is an effect:
so a webhook that has not reached the ledger for a while begins none, long before another takes over.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from sqlalchemy import ColumnElement, Engine, Float, bindparam, cast, delete, func, or_, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from presagio.toolkit.log import Log
from presagio.webhook import tables
from presagio.webhook.database import reading
from presagio.webhook.statements import NOTHING, Without, first_due, select_due
from presagio.webhook.tables import Remediation

SILENCE = 60.0
"""Seconds without a sign of life after which the others take over."""

_FORGOTTEN = 86_400.0

_NOW = cast(func.extract("epoch", func.clock_timestamp()), Float)
"""The clock of the database: that of a replica may be wrong."""


_CASES = tables.table(Remediation)
_FREE = (
    update(_CASES)
    .where(_CASES.c.id == bindparam("known_id"), _CASES.c.revision == bindparam("known_revision"))
    .values(worker=None)
)


class Claims(Protocol):
    """What there is to do for one orchestrator, and whether it may still do it."""

    def due(self, now: float, without: Without = NOTHING, limit: int = 100) -> list[Remediation]:
        """Return what is due, and nobody else's."""

    def next_due(self, without: Without = NOTHING) -> float | None:
        """Return when something will be."""

    def give_back(self, cases: Sequence[Remediation]) -> None:
        """Leave what is due to others: there is no room for it here."""

    def holds(self) -> bool:
        """Return whether what was claimed is still ours for sure."""


class Replica:
    """One webhook among several. `start` and `stop` its signs of life; `name` is never used by another."""

    def __init__(
        self, engine: Engine, name: str, log: Log, silence: float = SILENCE,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self.engine = engine
        self.name = name
        self.log = log
        self.silence = silence
        self.elapsed = elapsed
        self._heard = float("-inf")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="replica", daemon=True)

    def start(self) -> None:
        """Tell the others that we live, and go on telling."""
        self._thread.start()

    def stop(self) -> None:
        """Say good-bye: what we had claimed is free at once."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(self.silence)
        try:
            self._leave()
        except SQLAlchemyError as error:
            self.log.warning("the other replicas were not told that this one stops", error=str(error))

    def due(self, now: float, without: Without = NOTHING, limit: int = 100) -> list[Remediation]:
        """Claim what is due and nobody else's, and return it."""
        if not self.holds():
            return []
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            statement = select_due(now, without, limit).where(self._free()).with_for_update(skip_locked=True)
            found = list(session.scalars(statement))
            for case in found:
                if case.worker != self.name:
                    case.worker, case.revision = self.name, case.revision + 1
            return found

    def next_due(self, without: Without = NOTHING) -> float | None:
        """Return when there is something to do that is nobody else's, in Unix seconds."""
        with Session(reading(self.engine)) as session:
            return first_due(session, *without.clauses(), self._free())

    def give_back(self, cases: Sequence[Remediation]) -> None:
        """Leave remediations to the others; one that has moved meanwhile is left as it is."""
        if not cases:
            return
        known = [{"known_id": case.id, "known_revision": case.revision} for case in cases]
        with self.engine.begin() as connection:
            connection.execute(_FREE, known)

    def holds(self) -> bool:
        """Return whether nobody can have taken over: we were heard of in half of the time that the others wait."""
        return self.elapsed() - self._heard < self.silence / 2

    def beat(self) -> None:
        """Give a sign of life. Raises SQLAlchemyError."""
        begun = self.elapsed()
        with Session(self.engine) as session, session.begin():
            session.merge(tables.Replica(name=self.name, seen_at=session.scalars(select(_NOW)).one()))
            session.execute(delete(tables.Replica).where(tables.Replica.seen_at < _NOW - _FORGOTTEN))
        self._heard = begun

    def _run(self) -> None:
        while True:
            try:
                self.beat()
            except SQLAlchemyError as error:
                self.log.warning("no sign of life to the other replicas", error=str(error))
            if self._stop.wait(self.silence / 12):
                return

    def _leave(self) -> None:
        with Session(self.engine) as session, session.begin():
            session.execute(delete(tables.Replica).where(tables.Replica.name == self.name))

    def _free(self) -> ColumnElement[bool]:
        alive = select(tables.Replica.name).where(tables.Replica.seen_at > _NOW - self.silence)
        worker = Remediation.worker
        return or_(worker.is_(None), worker == self.name, worker.not_in(alive))
