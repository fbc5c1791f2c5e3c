"""What a stage decides: to move a remediation on, or to let it stay a while."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from presagio.webhook.states import Outcome, Reason, State

Facts = Mapping[str, Any]
"""JSON-able facts for the audit row."""

Changes = Mapping[str, Any]
"""Columns of the remediation and their new values."""


@dataclass(frozen=True)
class Budget:
    """How many remediations may act within an hour: those of this policy, and all."""

    policy: str
    max_per_hour: int
    max_per_hour_in_all: int


@dataclass(frozen=True)
class Move:
    """One transition. `facts` go into the audit row, `changes` into the remediation's columns.

    not_before: Unix seconds; the next stage has nothing to do earlier (None: at once).
    deadline: Unix seconds; the state must be left by then (None: as it was).
    outcome: how the remediation ended or, in a hold, will have ended.
    concerns: the remediation that this alert is attached to, or that it wakes.
    message: what people must be told, beside an escalation.
    budget: what this must fit in, which is taken together with the lease.
    """

    to: State
    reason: Reason
    facts: Facts = field(default_factory=dict)
    changes: Changes = field(default_factory=dict)
    not_before: float | None = None
    deadline: float | None = None
    outcome: Outcome | None = None
    concerns: int | None = None
    message: Facts | None = None
    budget: Budget | None = None


@dataclass(frozen=True)
class Stay:
    """The state remains; `changes` (samples) are kept and the stage is asked again at `not_before`."""

    not_before: float
    changes: Changes = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """The state's effect on the world (or a question to it) is due: it runs in a worker, outside any transaction."""


@dataclass(frozen=True)
class Arrival:
    """An alert as it enters the machine: what the ledger must know of it."""

    fingerprint: str
    starts_at: float
    alert: Mapping[str, Any]
