"""From APPLIED to a verdict: wait until it can be seen, then look at Prometheus, n times good in a row.

Samples are taken for the moments at which they were due, not for the moment at which we get to them: Prometheus
remembers, so that a webhook that was away judges by the same samples as one that was not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from presagio.toolkit.errors import SourceError
from presagio.webhook.criteria import Sample, Verification
from presagio.webhook.moves import Changes, Facts, Move, Stay
from presagio.webhook.policy import harms
from presagio.webhook.questions import Questions, shown
from presagio.webhook.states import Reason, State
from presagio.webhook.tables import Json, Remediation
from presagio.webhook.tools import Tools, escalate, plan_of, target_of

_GRACE = 3600.0
_VERDICTS: Mapping[float | None, tuple[State, Reason]] = {
    1.0: (State.VERIFIED, Reason.GOOD_SAMPLES),
    0.0: (State.INEFFECTIVE, Reason.STILL_BAD),
    None: (State.INCONCLUSIVE, Reason.NO_DATA),
}


@dataclass(frozen=True)
class Look:
    """What the samples say so far: when the next is due or, if there is none, the reward (None: nobody can tell)."""

    changes: Changes
    facts: Facts
    following: float | None
    reward: float | None


def sample(verification: Verification, questions: Questions, time: float) -> Json:
    """Return one look at Prometheus, as it goes into the ledger: time, sample, the series judged, or the error."""
    try:
        answers = [questions.instant(query, time) for query in verification.questions]
    except SourceError as error:
        return {"time": time, "sample": Sample.NO_DATA.value, "error": str(error)}
    found = verification.judge(answers)
    told = {"sample": found.sample.value, "good": found.good, "of": found.of}
    return {"time": time, **told, "series": shown(answers[0])}


def settle(case: Remediation, tools: Tools, now: float) -> Move:
    """APPLIED: give the action time to show, and the query time to forget what was before."""
    del now
    until = case.entered_at + patience(case, tools)
    first = _next_look(case, tools, case.entered_at, until)
    return Move(State.SETTLING, Reason.SETTLE, {"settle_until": until}, not_before=first, deadline=until + _GRACE)


def patience(case: Remediation, tools: Tools) -> float:
    """Return for how many seconds after the action nothing is judged."""
    planned = plan_of(case).settle_seconds
    settle = tools.actions(case.action or "").settle_seconds if planned is None else planned
    return settle + verification_of(case).range


def start(case: Remediation, tools: Tools, now: float) -> Move | Stay:
    """SETTLING: look whether it does harm; once the time is over, the first sample is due for its end."""
    until = case.deadline - _GRACE
    harm = _harm(case, tools, min(now, until))
    if harm:
        return _harmful(case, harm, tools, now)
    if now < until:
        return Stay(_next_look(case, tools, now, until))
    deadline = until + verification_of(case).deadline
    facts = {"deadline": deadline, "query": verification_of(case).query}
    return Move(State.VERIFYING, Reason.TIMER, facts, {"samples": []}, until, deadline)


def _harmful(case: Remediation, harm: Facts, tools: Tools, now: float) -> Move:
    harm = {**harm, "reward": 0.0}
    if plan_of(case).undo is None:
        return escalate(case, Reason.HARM, **harm)
    return Move(State.ROLLING_BACK, Reason.HARM, harm, deadline=now + tools.timers.attempt_deadline)


def _harm(case: Remediation, tools: Tools, time: float) -> Facts | None:
    """Return the first harm guard that holds, with the series that say so. Who cannot be asked tells of no harm."""
    policy = tools.policy(case.policy)
    for condition in harms(policy, target_of(case)) if policy else ():
        try:
            answer = tools.questions.instant(condition.query, time)
        except SourceError:
            return None
        if condition.holds(answer):
            return {"harm": condition.query, "series": shown(answer), "time": time}
    return None


def _next_look(case: Remediation, tools: Tools, now: float, until: float) -> float:
    """Return when to look again while it settles: only a policy with harm guards is looked at before the end."""
    policy = tools.policy(case.policy)
    guarded = policy is not None and policy.guards.harm
    return min(now + tools.timers.sample_interval, until) if guarded else until


def watch(case: Remediation, tools: Tools, now: float) -> Move | Stay:
    """VERIFYING: take the sample that is due. n good ones in a row are success; at the deadline the last decides.

    Unless somebody else changed what we wrote: then neither success nor failure is ours.
    """
    del now
    looked = look(case, tools.questions)
    if looked.following is not None:
        return Stay(looked.following, looked.changes)
    meddled = tools.actions(case.action or "").changed(plan_of(case))
    if meddled:
        facts = {**looked.facts, "changed": meddled, "reward": None}
        return Move(State.SUPERSEDED, Reason.MEDDLED, facts, looked.changes)
    state, reason = _VERDICTS[looked.reward]
    return Move(state, reason, {**looked.facts, "reward": looked.reward}, looked.changes)


def look(case: Remediation, questions: Questions) -> Look:
    """Take the sample that is due: n good ones in a row are success; at the deadline the last decides."""
    verification = verification_of(case)
    samples = [*(case.samples or []), sample(verification, questions, case.not_before)]
    facts = {"samples": samples, "needed": verification.samples}
    following = case.not_before + verification.interval
    if streak(samples) >= verification.samples:
        return Look({"samples": samples}, facts, None, 1.0)
    if following <= case.deadline:
        return Look({"samples": samples}, facts, following, None)
    return Look({"samples": samples}, facts, None, 0.0 if samples[-1]["sample"] == Sample.BAD else None)


def streak(samples: Sequence[Json]) -> int:
    """Return how many of the last samples are good, without a gap."""
    count = 0
    for one in reversed(samples):
        if one["sample"] != Sample.GOOD:
            break
        count += 1
    return count


def verification_of(case: Remediation) -> Verification:
    """Return how a remediation is judged, as it was planned."""
    stored: dict[str, Any] = dict(case.verification or {})
    bound = stored.get("bound")  # a ledger of an earlier version does not know it
    return Verification(**{**stored, "data": tuple(stored["data"]), "bound": tuple(bound) if bound else None})
