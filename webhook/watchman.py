"""The webhook verifies its own ledger while it runs: all of it at the start and once a day, what is new each minute.

A walk goes from the first row to the last in parts, between the turns of the orchestrator, so that nobody waits for a
long ledger. After it each look walks only what came since; a changed row further back is met by the next whole walk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from presagio.toolkit.log import Log
from presagio.webhook.chain import Walk
from presagio.webhook.database import reading
from presagio.webhook.errors import LedgerError
from presagio.webhook.tables import Audit, Head

EVERY = 60.0
"""Seconds between two looks at what came since."""

WHOLE = 86_400.0
"""Seconds after which the whole chain is walked again."""

_AFTER_A_BREACH = 600.0
_ROWS = 2000
"""Rows of one part: some tens of milliseconds."""


class Witness(Protocol):
    """Hears what was found: the metrics."""

    def verified(self, now: float) -> None:
        """Tell that the chain is whole, from its first row to its last."""

    def breached(self) -> None:
        """Tell that it is not."""


@dataclass(frozen=True)
class _Part:
    """Rows that follow the row at which the walk is, which is `known` if it is still there, and the chain's end."""

    known: str | None
    rows: Sequence[Audit]
    head: Head


class Watchman:
    """Walks the chain part by part. `key` is what it is sealed with."""

    def __init__(self, engine: Engine, key: bytes, witness: Witness, log: Log) -> None:
        self.engine = reading(engine)
        self.key = key
        self.witness, self.log = witness, log
        self._walk = Walk()
        self._began = self._next = 0.0
        self._furthest = 0

    def look(self, now: float) -> int:
        """Walk a part if it is time, and return how many rows it had. Raises SQLAlchemyError."""
        if now < self._next:
            return 0
        if now - self._began >= WHOLE:
            self._begin(now)
        part = self._read()
        if self._walk.seq and part.known is None:
            # retention took the row at which we were; if somebody else took it, the whole walk tells
            self._begin(now)
            part = self._read()
        return self._judge(part, now)

    def _begin(self, now: float) -> None:
        self._walk, self._began = Walk(), now

    def _judge(self, part: _Part, now: float) -> int:
        try:
            walked = self._over(part)
        except LedgerError as error:
            self.log.error("the ledger is broken", error=str(error))
            self.witness.breached()
            self._began, self._next = now - WHOLE, now + _AFTER_A_BREACH
            return 0
        if not walked:
            self.witness.verified(now)
            self._next = now + EVERY
        return walked

    def _over(self, part: _Part) -> int:
        """Walk a part; return how many rows it had if others follow it. Raises LedgerError."""
        if part.known not in (None, self._walk.hmac):
            raise LedgerError(f"audit row {self._walk.seq} was changed since it was verified")
        self._walk.over(part.rows, self.key)
        if len(part.rows) < _ROWS:
            self._end(part.head)
            return 0
        return _ROWS

    def _end(self, head: Head) -> None:
        """Raise LedgerError if rows are missing; also those that were cut off at the end, if we have seen them."""
        self._walk.end(head)
        if self._walk.seq < self._furthest:
            raise LedgerError(f"audit row {self._walk.seq + 1} is missing: the ledger went on to {self._furthest}")
        self._furthest = self._walk.seq

    def _read(self) -> _Part:
        at = self._walk.seq
        with Session(self.engine) as session:
            known = session.scalar(select(Audit.hmac).where(Audit.seq == at))
            after = select(Audit).where(Audit.seq > at).order_by(Audit.seq).limit(_ROWS)
            return _Part(known, list(session.scalars(after)), session.get_one(Head, 1))
