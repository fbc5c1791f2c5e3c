"""What remediations did to services of late, and what came of it: read from the audit rows, which nothing overwrites.

A remediation that climbs its ladder has its newest action only; each of its attempts has a row.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

from sqlalchemy import Double, Engine, Integer, bindparam, select

from presagio.webhook.database import single
from presagio.webhook.states import State
from presagio.webhook.tables import ACTS, Audit, Remediation

KEPT = 86_400.0
"""Seconds for which an act is told of."""

MOST = 2000
"""Rows that are read, and so series at most; with the default budget a day has 720 actions and as many outcomes."""

_SINCE = bindparam("since", type_=Double)
NEWEST = (
    select(
        Audit.seq, Audit.time, Audit.remediation_id, Audit.target, Audit.facts,
        Remediation.service_id, Remediation.policy,
    )
    .join(Remediation, Remediation.id == Audit.remediation_id)
    # what is given to a person before anything was done is no act, and in a storm it is much
    .where(ACTS, Audit.time > _SINCE, Remediation.acted_at > _SINCE)
    .order_by(Audit.time.desc())
    .limit(bindparam("most", type_=Integer))
)  # fmt: skip
"""The rows of acts; index audit_acts finds them."""


@dataclass(frozen=True)
class Act:
    """What a policy did to a service and, if `outcome` says so, what came of it."""

    service_id: str
    policy: str
    action: str
    outcome: str | None = None


def acts(engine: Engine, now: float, most: int = MOST) -> dict[Act, float]:
    """Return when each act of the last day last happened, in Unix seconds. Raises SQLAlchemyError."""
    with single(engine).connect() as connection:
        rows = connection.execute(NEWEST, {"since": now - KEPT, "most": most}).all()
    return latest(rows)


def latest(rows: Iterable[Any]) -> dict[Act, float]:
    """Return when each act last happened; an outcome is that of the attempt before it."""
    found: dict[Act, float] = {}
    attempts: dict[int, Act | None] = {}
    for row in sorted(rows, key=attrgetter("seq")):
        begins = row.target == State.INTENT
        if begins:
            attempts[row.remediation_id] = _attempt(row)
        act = attempts.get(row.remediation_id)
        if act is not None:
            found[act if begins else replace(act, outcome=row.target)] = row.time
    return found


def _attempt(row: Any) -> Act | None:
    """Return what was tried; None if its row was edited: the chain tells that, and must not lose its metrics page."""
    try:
        action = json.loads(row.facts)["action"]
    except (ValueError, TypeError, KeyError):
        return None
    # the policy that has acted goes on alone, so that the remediation's is that of each of its attempts
    known = row.service_id, row.policy, action
    return Act(*known) if all(isinstance(one, str) for one in known) else None
