"""An audit row in words: what the page, the API and `presagio audit show` tell of a transition."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from presagio.webhook.states import Reason, State
from presagio.webhook.tables import Audit

_SENTENCES: Mapping[Reason, str] = {
    Reason.NOTIFIED: "{alertname} of {service} was {status}",
    Reason.DUPLICATE: "the same alert is being dealt with in #{remediation}",
    Reason.GHOST: "Alertmanager does not have it as active: resolved, silenced or inhibited meanwhile",
    Reason.RESOLVED: "a resolved alert starts nothing",
    Reason.NO_POLICY: "no policy matches",
    Reason.WITH_A_PERSON: "#{remediation} gave it to a person, who has it still",
    Reason.OURS: "an alert of our own starts nothing",
    Reason.OWNED: "#{remediation} works on the same target",
    Reason.MATCHED: "target {service_id}, policies {names}",
    Reason.SELF_RESOLVED: "the condition held no more: {looks}",
    Reason.POLICY_WITHDRAWN: "no policy in force matches any more",
    Reason.UNPLANNABLE: "it cannot be planned: {error}{errors}",
    Reason.CLEARED: "the conditions hold and nothing objects; plan: {summary}",
    Reason.COOLDOWN: "the target rests from the last action until {until}",
    Reason.SILENCE: "the alert is silenced, inhibited or gone; asked again at {not_before}",
    Reason.PROMETHEUS: "Prometheus cannot be asked: {error}",
    Reason.ALERTMANAGER: "Alertmanager cannot be asked: {error}",
    Reason.TARGET: "the target cannot be asked: {error}",
    Reason.PROTECTED: "{protected} is protected: it is never acted upon by itself; a person must look",
    Reason.BUDGET: "the budget of {budget}, {max_per_hour} an hour, is spent until {until}",
    Reason.BLAST_RADIUS: "it would take away {unavailable} of {available} replicas that serve ({replicas} wanted), "
    "and only {room} may be missing more",
    Reason.STORM: "{alerting} of {services} services are alerting: it waits until the storm is over",
    Reason.WINDOW: "not at this time ({window}), until {until}",
    Reason.PAUSED: "all acting is paused by {who}: {note}",
    Reason.APPROVAL: "a person must approve the plan {plan_hash} until {until}",
    Reason.APPROVED: "the plan {plan_hash} was approved: {note}",
    Reason.REFUSED: "the plan {plan_hash} was refused: {note}",
    Reason.EXPIRED: "nobody approved the plan in time, and no answer means no",
    Reason.HARM: "it does harm and is ended: {harm}",
    Reason.MEDDLED: "somebody else changed the target: {changed}",
    Reason.TIMER: "it is time",
    Reason.DRY_RUN: "dry run: would have done this: {would_have}",
    Reason.AUTO: "the policy acts by itself; lease on {lease} taken",
    Reason.STALE: "the plan is stale, everything is asked again: {because}",
    Reason.ATTEMPT: "attempt {attempt} of {action}, id {attempt_id}",
    Reason.POSITIVE_ANSWER: "{summary}",
    Reason.BEFORE_THE_EFFECT: "nothing was done: {error}; again at {not_before}",
    Reason.NO_ANSWER: "nobody knows whether it was done: {error}",
    Reason.CRASH: "we ended before the outcome was known",
    Reason.PROBED: "the probe says: {probe}",
    Reason.CANNOT_SAY: "the probe cannot tell enough ({probe}{error}); a person must look",
    Reason.BACKED_OFF: "everything is asked again",
    Reason.ATTEMPTS_USED: "{attempts} attempts without effect; a person must look",
    Reason.SETTLE: "until {settle_until} for the effect to show",
    Reason.GOOD_SAMPLES: "{needed} good samples in a row: {looks}",
    Reason.STILL_BAD: "still bad at the deadline: {looks}",
    Reason.NO_DATA: "nobody can tell whether it helped: {looks}",
    Reason.UNDO: "it did not help and is undone",
    Reason.UNDONE: "{summary}",
    Reason.UNDO_FAILED: "it could not be undone: {error}",
    Reason.LADDER: "the next action of the ladder",
    Reason.LADDER_USED: "nothing that the policy may do helped; a person must look",
    Reason.HOLD: "watching until {until} whether it comes back",
    Reason.HOLD_OVER: "quiet ever since: {outcome}",
    Reason.RECURRENCE: "the same problem is back",
    Reason.OBSERVED: "nobody acted, and the problem {became}: {looks}",
    Reason.DEADLINE: "not decided in time; a person must look",
}
_MOMENTS = frozenset({"until", "not_before", "settle_until", "deadline", "time", "last_action"})
_BECAME = {
    "healed": "healed by itself", "persisted": "persisted", "unknown": "may have healed or not, nobody can tell",
}  # fmt: skip
_MARKS = {"good": "good", "bad": "bad", "no data": "no data", False: "not holding", True: "holding"}


@dataclass(frozen=True)
class Line:
    """One transition for people. `time` is Unix seconds, `facts` are those of the ledger."""

    seq: int
    time: float
    source: str
    target: State
    reason: Reason
    who: str
    text: str
    facts: Mapping[str, Any]


class _Facts(dict[str, Any]):
    """Facts as words; one that is not there is nothing."""

    def __missing__(self, name: str) -> str:
        return ""


def tell(row: Audit) -> Line:
    """Return a row in words."""
    facts: dict[str, Any] = json.loads(row.facts)
    reason = Reason(row.reason)
    text = _watching(facts) if "query" in facts else _SENTENCES[reason].format_map(_words(facts)).rstrip(": ")
    return Line(row.seq, row.time, row.source, State(row.target), reason, row.who, text or reason.value, facts)


def clock(time: float) -> str:
    """Return a moment for people: 2026-01-31 23:59:59 UTC."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def odds(choice: Mapping[str, Any] | None) -> str:
    """Return how likely each action was that could have been chosen; nothing where there was no choice."""
    candidates: Mapping[str, float] = (choice or {}).get("candidates", {})
    if len(candidates) < 2:
        return ""
    ranked = sorted(candidates.items(), key=lambda item: -item[1])
    return ", ".join(f"{arm.partition('#')[0]} {100 * share:.0f} %" for arm, share in ranked)


def looks(samples: Sequence[Mapping[str, Any]]) -> str:
    """Return what the last samples were, in a word each."""
    return ", ".join(_MARKS.get(one.get("sample", one.get("holds")), "?") for one in samples[-10:])


def _watching(facts: Mapping[str, Any]) -> str:
    return f"watching {facts['query']} until {clock(facts['deadline'])}"


def _words(facts: Mapping[str, Any]) -> _Facts:
    labels, plan = facts.get("labels", {}), facts.get("plan", {})
    words = _Facts(alertname=labels.get("alertname", "an alert"), service=labels.get("service_id", "somewhere"))
    words.update({name: _word(name, value) for name, value in facts.items()})
    words.update(names=", ".join(facts.get("policies", {})), looks=looks(facts.get("samples", [])))
    words["became"] = _BECAME.get(facts.get("found", ""), "")
    if isinstance(facts.get("plan_hash"), str):
        words["plan_hash"] = facts["plan_hash"][:12]
    if plan:
        words["summary"] = plan["summary"]
    return words


def _word(name: str, value: Any) -> Any:
    if name in _MOMENTS and isinstance(value, int | float):
        return clock(value)
    return "; ".join(map(str, value.values())) if isinstance(value, Mapping) else value
