"""One transaction on the chain: what is written in it is gathered, and each kind is sent to the database at once.

Between a statement and its answer lies a network; ten rows in one statement wait for it once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Executable, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from presagio.webhook import chain
from presagio.webhook.errors import ConflictError
from presagio.webhook.moves import Facts
from presagio.webhook.statements import count_spent
from presagio.webhook.tables import Audit, Head, Remediation, table

_CASES, _AUDIT, _HEADS = (table(one) for one in (Remediation, Audit, Head))
_HEAD = select(_HEADS.c.seq, _HEADS.c.hmac).with_for_update()
_APPEND, _ADVANCE = insert(_AUDIT), update(_HEADS)
_SAME = update(_CASES).where(
    _CASES.c.id == bindparam("known_id"),
    _CASES.c.state == bindparam("known_state"),
    _CASES.c.revision == bindparam("known_revision"),
)

_Values = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """What an audit row says."""

    remediation: int | None
    source: str
    target: str
    reason: str
    who: str
    facts: Facts


@dataclass
class Page:
    """A transaction that is open. It has to be closed before the commit; what is not closed is not written."""

    connection: Connection
    key: bytes
    seq: int
    seal: str
    may_act: bool = False
    """Whether the pause was looked at, and locked, in this transaction, and is off."""
    _rows: list[_Values] = field(default_factory=list)
    _changes: dict[tuple[str, ...], list[_Values]] = field(default_factory=dict)
    _later: dict[Executable, list[_Values]] = field(default_factory=dict)
    _spent: Counter[str | None] = field(default_factory=Counter)

    @classmethod
    def begin(cls, connection: Connection, key: bytes) -> Page:
        """Return the page that follows the chain's head, which nobody else gets before the commit."""
        # The head first, always: who held another row and waited for it might be waited for.
        return cls(connection, key, *connection.execute(_HEAD).one())

    def add(self, said: Row, now: float) -> None:
        """Add an audit row: the chain's next."""
        values = {
            "seq": self.seq + 1, "time": now, "remediation_id": said.remediation, "source": said.source,
            "target": said.target, "reason": said.reason, "who": said.who, "facts": chain.canonical(said.facts),
            "previous": self.seal,
        }  # fmt: skip
        self.seq, self.seal = self.seq + 1, chain.seal(Audit(**values), self.key)
        self._rows.append({**values, "hmac": self.seal})

    def change(self, case: Remediation, columns: Mapping[str, Any]) -> None:
        """Change a remediation, if it still is as it was read: the compare-and-set."""
        known = {"known_id": case.id, "known_state": case.state, "known_revision": case.revision}
        values = {**columns, **known, "revision": case.revision + 1}
        self._changes.setdefault(tuple(sorted(values)), []).append(values)

    def put(self, statement: Executable, row: _Values) -> None:
        """Execute a statement once the remediations are changed, together with all other rows of its kind."""
        self._later.setdefault(statement, []).append(row)

    def spent(self, since: float, policy: str | None) -> int:
        """Return how many remediations, of one policy or of all, were let to act later than `since`."""
        if policy not in self._spent:
            self._spent[policy] = count_spent(self.connection, since, policy)
        return self._spent[policy]

    def spend(self, policy: str) -> None:
        """Count one more, of a policy and of all."""
        self._spent.update((policy, None))

    def close(self) -> None:
        """Write it all. Raises ConflictError if a remediation was changed by somebody else, or a target is owned."""
        for values in self._changes.values():
            self._change(values)
        for statement, rows in self._later.items():
            self.connection.execute(statement, rows)
        if self._rows:
            self.connection.execute(_APPEND, self._rows)
            self.connection.execute(_ADVANCE, {"seq": self.seq, "hmac": self.seal})

    def _change(self, values: list[_Values]) -> None:
        try:
            done = self.connection.execute(_SAME, values)
        except IntegrityError as error:
            if "owns" not in values[0]:  # a database in trouble
                raise
            targets = ", ".join(repr(one["owns"]) for one in values)
            raise ConflictError(f"another remediation owns the target {targets}") from error
        if done.rowcount != len(values):
            told = ", or ".join(
                f"remediation {one['known_id']} has left {one['known_state'].value!r}" for one in values
            )
            raise ConflictError(f"{told} meanwhile")
