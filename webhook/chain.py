"""The chain of the audit rows: each carries the HMAC of the row before it, its key is not in the database."""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from presagio.toolkit.durable import write_atomic
from presagio.webhook.errors import LedgerError
from presagio.webhook.tables import Audit, Head

GENESIS = "0" * 64
"""The `previous` of the first row."""

REMOVED = "removed"
"""The `target` of a row that says which rows before it are gone: through which, and that one's seal."""

_KEY_BYTES = 32


def canonical(value: object) -> str:
    """Return JSON that is the same for the same value: sorted keys, no spaces; what JSON has no word for is text."""
    plain = _plain(value)
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=str)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def seal(row: Audit, key: bytes) -> str:
    """Return the HMAC-SHA256, in hex, of all that a row says and of the row before it."""
    said = [
        row.previous,
        row.seq,
        row.time,
        row.remediation_id,
        row.source,
        row.target,
        row.reason,
        row.who,
        row.facts,
    ]
    return hmac.new(key, canonical(said).encode(), hashlib.sha256).hexdigest()


def verify(rows: Iterable[Audit], head: Head, key: bytes, known: tuple[int, str] | None = None) -> int:
    """Walk the chain and return how many rows it has. Raises LedgerError that names the first broken row.

    known: sequence number and seal of a row, kept elsewhere: a ledger that was cut and sealed anew does not have it.
    Rows at the beginning may be missing if a row that is sealed as well says that they were removed (retention.py).
    """
    walk = Walk()
    walk.over(_remembered(rows, known), key)
    walk.end(head)
    return walk.seq - walk.before[0]


class Walk:
    """A walk over the chain, all at once or part by part; it remembers where the chain begins and how far it came.

    before: number and seal of the row before the first. seq, hmac: those of the last row that was checked.
    """

    def __init__(self) -> None:
        self.before = (0, GENESIS)
        self.seq, self.hmac = self.before
        self._begun = False
        self._removal = "{}"

    def over(self, rows: Iterable[Audit], key: bytes) -> None:
        """Check the rows that come next. Raises LedgerError that names the first broken one."""
        before = (self.seq, self.hmac) if self._begun else None
        for self.seq, self.hmac in _checked(self._passed(rows), key, before):  # noqa: B020 # as far as it came
            pass

    def _passed(self, rows: Iterable[Audit]) -> Iterator[Audit]:
        """Pass rows on; remember the first, and what the last one on removed rows says."""
        for row in rows:
            if not self._begun:
                self.before, self._begun = (row.seq - 1, row.previous), True
            if row.target == REMOVED:
                self._removal = row.facts
            yield row

    def end(self, head: Head) -> None:
        """Raise LedgerError unless the rows that were walked are all that there are."""
        told = json.loads(self._removal)  # only now: its seal was checked
        if self.before not in ((0, GENESIS), (told.get("through"), told.get("hmac"))):
            raise LedgerError(
                f"audit rows up to {self.before[0]} are missing, and no row says that they were removed"
            )
        if head.seq > self.seq:
            raise LedgerError(f"audit row {self.seq + 1} is missing: the ledger ended at row {head.seq}")
        if (head.seq, head.hmac) != (self.seq, self.hmac):
            raise LedgerError(f"the head of the ledger says row {head.seq}, its last row is {self.seq}")


def verify_rows(rows: Iterable[Audit], key: bytes, known: tuple[int, str] | None = None) -> int:
    """Walk rows that may be a part of a chain, and return how many they are. Raises LedgerError as `verify` does."""
    return sum(1 for _ in _checked(_remembered(rows, known), key, None))


def _checked(rows: Iterable[Audit], key: bytes, before: tuple[int, str] | None) -> Iterator[tuple[int, str]]:
    """Yield each row's number and seal once it was checked; `before` is the row they follow, None if any may be."""
    for row in rows:
        seq, previous = before or (row.seq - 1, row.previous)
        if row.seq != seq + 1:
            raise LedgerError(f"audit row {seq + 1} is missing: row {seq} is followed by row {row.seq}")
        if row.previous != previous:
            raise LedgerError(f"audit row {row.seq} does not follow row {seq}: one of them was replaced or moved")
        if not hmac.compare_digest(seal(row, key), row.hmac):
            raise LedgerError(f"audit row {row.seq} was changed: its seal does not fit what it says")
        before = (row.seq, row.hmac)
        yield before


def _remembered(rows: Iterable[Audit], known: tuple[int, str] | None) -> Iterator[Audit]:
    """Pass rows on. Raises LedgerError at the end if the row that was known was not among them."""
    seen = known is None or known[0] == 0
    for row in rows:
        yield row
        seen = seen or (row.seq, row.hmac) == known
    if known and not seen:
        raise LedgerError(f"audit row {known[0]} is not the one that was known: the ledger was cut or replaced")


def check_key(last: Audit | None, key: bytes) -> None:
    """Raise LedgerError if the key does not fit the last row: what we would add could not be verified with it."""
    if last is not None and not hmac.compare_digest(seal(last, key), last.hmac):
        raise LedgerError(f"the ledger's key does not fit its last row, {last.seq}; restore the key, or the ledger")


def read_key(path: Path) -> bytes:
    """Return the key. Raises LedgerError if it cannot be read or is too short to be one."""
    try:
        key = bytes.fromhex(path.read_text().strip())
    except OSError as error:
        raise LedgerError(f"ledger key {str(path)!r} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise LedgerError(f"ledger key {str(path)!r} is not hexadecimal; restore the file") from error
    if len(key) < _KEY_BYTES:
        raise LedgerError(f"ledger key {str(path)!r} has {len(key)} bytes, at least {_KEY_BYTES} are needed")
    return key


def make_key(path: Path) -> bytes:
    """Make the key's file, readable by us alone, unless it is there; return the key."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, secrets.token_hex(_KEY_BYTES).encode() + b"\n", mode=0o600)
    return read_key(path)
