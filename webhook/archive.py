"""Rows of the ledger in a file, one JSON object a line: kept elsewhere, searched, verified without the database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import orjson
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from presagio.webhook import chain
from presagio.webhook.database import reading
from presagio.webhook.errors import LedgerError
from presagio.webhook.tables import Audit

_COLUMNS = tuple(column.name for column in Audit.__table__.columns)


def export(engine: Engine, out: IO[bytes], after: int = 0, through: int | None = None) -> int:
    """Write the rows behind `after`, up to `through`, in order, and return how many. Raises OSError.

    `facts` stay the text that was sealed: read anew, and written anew, it might be another text for the same facts.
    """
    count = 0
    with Session(reading(engine)) as session:
        rows = select(Audit).where(Audit.seq > after)
        if through is not None:
            rows = rows.where(Audit.seq <= through)
        for row in session.scalars(rows.order_by(Audit.seq).execution_options(yield_per=1000)):
            out.write(orjson.dumps({name: getattr(row, name) for name in _COLUMNS}) + b"\n")
            count += 1
    return count


def verify(path: Path, key: bytes, known: tuple[int, str] | None = None) -> int:
    """Return how many rows an exported file has. Raises LedgerError that names the first broken one, and its line."""
    try:
        with path.open("rb") as lines:
            return chain.verify_rows(_rows(path, lines), key, known)
    except OSError as error:
        raise LedgerError(f"archive {str(path)!r} cannot be read: {error.strerror}") from error


def _rows(path: Path, lines: Iterable[bytes]) -> Iterator[Audit]:
    for number, line in enumerate(lines, 1):
        try:
            told: dict[str, Any] = orjson.loads(line)
            yield Audit(**{name: told[name] for name in _COLUMNS})
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise LedgerError(f"{path}:{number}: no row of a ledger: {line[:80]!r}") from error
