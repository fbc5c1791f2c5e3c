"""EVALUATING and BLOCKED: is there still something to do, by which policy, and may it be done now?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from presagio.toolkit.errors import SourceError, SourceReason
from presagio.webhook import guards, planning
from presagio.webhook.errors import AlertmanagerError
from presagio.webhook.guards import Block
from presagio.webhook.intake import owned
from presagio.webhook.moves import Move, Stay
from presagio.webhook.policy import Policy, PolicyError, conditions, matching
from presagio.webhook.questions import shown
from presagio.webhook.states import Outcome, Reason, State
from presagio.webhook.tables import Remediation
from presagio.webhook.tools import Tools, alert_of, escalate, target_of

_LONGEST_RETRY = 600.0


@dataclass(frozen=True)
class Look:
    """One look at the conditions: the first policy that holds, and what was seen on the way to it."""

    policy: Policy | None
    seen: Mapping[str, Any]
    unreadable: Mapping[str, str] = field(default_factory=dict)


def evaluate(case: Remediation, tools: Tools, now: float) -> Move | Stay:
    """Plan what the first policy that holds asks for; wait if a guard says so; close if none holds any more."""
    policies = candidates(case, tools)
    if not policies:
        return Move(State.CLOSED, Reason.POLICY_WITHDRAWN, outcome=Outcome.WITHDRAWN)
    protected = tools.fleet.protects({**(case.labels or {}), "service_id": case.service_id or ""})
    if protected:
        return escalate(case, Reason.PROTECTED, protected=protected)
    claim = owned(alert_of(case), policies)
    try:
        return _decide(case, policies, tools, now) if claim == case.owns else _claim(case, claim, tools, now)
    except SourceError as error:
        return block(case, Block(Reason.PROMETHEUS, {"error": str(error)}), tools, now)
    except AlertmanagerError as error:
        return block(case, Block(Reason.ALERTMANAGER, {"error": str(error)}), tools, now)


def _claim(case: Remediation, claim: str, tools: Tools, now: float) -> Move | Stay:
    """Own what the policies ask for after a reload: those that only tried may act now, or the other way round."""
    owner = tools.records.owner(claim)
    if owner is None:
        return Stay(now, {"owns": claim})
    return block(case, Block(Reason.OWNED, {"remediation": owner}), tools, now)


def _decide(case: Remediation, policies: Sequence[Policy], tools: Tools, now: float) -> Move | Stay:
    found = look(case, policies, tools, now)
    if len(found.unreadable) == len(policies):
        return escalate(case, Reason.UNPLANNABLE, errors=dict(found.unreadable))
    if found.policy is None:
        return _not_holding(case, found, tools, now)
    decided = guards.blocked(case, found.policy, tools, now) or planning.plan(
        case, found.policy, found.seen, tools, now
    )
    return block(case, decided, tools, now) if isinstance(decided, Block) else decided


def retry(case: Remediation, tools: Tools, now: float) -> Move:
    """Leave BLOCKED: the timer came, or an event."""
    del case, tools, now
    return Move(State.EVALUATING, Reason.TIMER)


def candidates(case: Remediation, tools: Tools) -> tuple[Policy, ...]:
    """Return the policies in question: those that match or, once one has acted, that one alone."""
    if case.rung or case.attempts:
        begun = tools.policy(case.policy)
        return (begun,) if begun else ()
    return matching(tools.policies, alert_of(case))


def look(case: Remediation, policies: Sequence[Policy], tools: Tools, now: float) -> Look:
    """Ask the conditions of each policy until all of one hold. Raises SourceError, AlertmanagerError."""
    seen: dict[str, Any] = {}
    unreadable = {}
    for policy in policies:
        try:
            answers = list(_answers(case, policy, tools, now))
        except PolicyError as error:
            unreadable[policy.name] = str(error)
            continue
        seen[policy.name] = answers
        if all(answer["holds"] for answer in answers):
            return Look(policy, seen)
    return Look(None, seen, unreadable)


def _answers(case: Remediation, policy: Policy, tools: Tools, now: float) -> Iterator[dict[str, Any]]:
    """Yield what each condition says, up to the first that does not hold."""
    if not policy.when:
        active = tools.questions.is_active(case, now)
        yield {"condition": "the alert is active", "holds": active}
    for condition in conditions(policy, target_of(case)):
        answer = tools.questions.instant(condition.query, now)
        # What holds by half an answer may hold for the half that is missing: count(up) < 3.
        if answer.partial:
            raise SourceError(SourceReason.BAD_ANSWER, f"half an answer to {condition.query!r}: {answer.warnings}")
        holds = condition.holds(answer)
        yield {"condition": condition.query, "holds": holds, "series": shown(answer)}
        if not holds:
            return


def _not_holding(case: Remediation, found: Look, tools: Tools, now: float) -> Move | Stay:
    samples = [*(case.samples or []), {"time": now, "holds": False, "seen": found.seen}]
    if len(samples) < tools.timers.self_resolved_samples:
        return Stay(now + tools.timers.sample_interval, {"samples": samples})
    changes = {"samples": samples}
    facts = {"samples": samples, "unreadable": found.unreadable}
    return Move(State.CLOSED, Reason.SELF_RESOLVED, facts, changes, outcome=Outcome.SELF_RESOLVED)


def block(case: Remediation, why: Block, tools: Tools, now: float) -> Move:
    """Return the move to BLOCKED. What cannot be asked is asked again after a wait that grows with its age."""
    timers = tools.timers
    growing = min(max(timers.retry, (now - case.created_at) / 4), _LONGEST_RETRY)
    until = now + growing if why.until is None else why.until
    # Whoever waits for a moment that is known has his time to think after it.
    deadline = None if why.until is None else max(case.deadline, until + timers.evaluation_deadline)
    return Move(State.BLOCKED, why.reason, {**why.facts, "not_before": until}, {"samples": []}, until, deadline)
