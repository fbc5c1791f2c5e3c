"""A dry run ends at once, and is still observed: nobody acted, so that what came of it is evidence for waiting alone.

It is judged as an action would have been: the same query, samples and time. Whoever reads it later knows how often
the problem healed by itself, and so what the action would have had to do better.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from enum import StrEnum

from presagio.webhook import verify
from presagio.webhook.choosing import Choice, arm_of, situation_of
from presagio.webhook.moves import Changes, Facts, Move, Stay
from presagio.webhook.policy import Step
from presagio.webhook.recommender import WAIT
from presagio.webhook.states import Outcome, Reason, State
from presagio.webhook.tables import Json, Remediation
from presagio.webhook.tools import Tools


class Found(StrEnum):
    """What became of a problem that was left alone."""

    HEALED = "healed"
    PERSISTED = "persisted"
    UNKNOWN = "unknown"


_FOUND: Mapping[float | None, Found] = {1.0: Found.HEALED, 0.0: Found.PERSISTED, None: Found.UNKNOWN}


def close(case: Remediation, tools: Tools, now: float) -> Move:
    """PLANNED in dry-run: say what would have been done. The first sample is due when an action's would be."""
    facts = {"would_have": (case.plan or {}).get("summary"), "plan_hash": case.plan_hash}
    first = now + verify.patience(case, tools)
    return Move(
        State.CLOSED, Reason.DRY_RUN, facts, {"acted_at": now, "samples": []}, first,
        first + verify.verification_of(case).deadline, outcome=Outcome.DRY_RUN,
    )  # fmt: skip


def observe(case: Remediation, tools: Tools, now: float) -> Move | Stay:
    """CLOSED after a dry run: take the sample that is due; at the end tell what became of the problem."""
    del now
    looked = verify.look(case, tools.questions)
    if looked.following is not None:
        return Stay(looked.following, looked.changes)
    facts = {
        **looked.facts, "found": _FOUND[looked.reward].value, "reward": looked.reward,
        "choice": _waited(case, tools).document(),
    }  # fmt: skip
    return _over(case, facts, looked.changes)


def give_up(case: Remediation, error: str) -> Move:
    """CLOSED after a dry run: it cannot be observed, which is worth a line in the ledger and no person."""
    return _over(case, {"found": Found.UNKNOWN.value, "samples": case.samples or [], "error": error}, {})


def _over(case: Remediation, facts: Facts, changes: Changes) -> Move:
    # a deadline that is its end says that there is nothing left to observe; see Records.observable
    end = case.finished_at
    return Move(State.CLOSED, Reason.OBSERVED, facts, changes, end, end, Outcome.DRY_RUN)


def _waited(case: Remediation, tools: Tools) -> Choice:
    """Return what was really chosen: to wait, for certain."""
    policy = tools.policy(case.policy)
    rungs = policy.rungs if policy else ()
    steps = [(place, step) for place, step in enumerate(rungs) if step.action == WAIT]
    place, step = steps[0] if steps else (len(rungs), Step(WAIT, {}))
    arm = arm_of(step)
    return Choice(case.rung, place, arm, 1.0, {arm: 1.0}, asdict(situation_of(case)), _tried(case))


def _tried(case: Remediation) -> tuple[str, ...]:
    choice: Json = case.choice or {}
    return tuple(choice.get("tried", ()))
