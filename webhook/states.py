"""How a remediation lives, as data: the states, the reasons, and every way from one state to the next.

The table is that of docs/remediation.md, whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """Where a remediation stands."""

    RECEIVED = "received"
    DROPPED = "dropped"
    ATTACHED = "attached"
    EVALUATING = "evaluating"
    BLOCKED = "blocked"
    PLANNED = "planned"
    AWAITING_APPROVAL = "awaiting_approval"
    CANCELLED = "cancelled"
    READY = "ready"
    INTENT = "intent"
    APPLIED = "applied"
    NOT_APPLIED = "not_applied"
    UNKNOWN = "unknown"
    SETTLING = "settling"
    VERIFYING = "verifying"
    VERIFIED = "verified"
    INEFFECTIVE = "ineffective"
    INCONCLUSIVE = "inconclusive"
    SUPERSEDED = "superseded"
    NEXT_RUNG = "next_rung"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    HOLDDOWN = "holddown"
    CLOSED = "closed"
    ESCALATED = "escalated"


TERMINAL = frozenset({State.DROPPED, State.ATTACHED, State.CANCELLED, State.CLOSED, State.ESCALATED})
"""Nothing is done after these; a dry run that is closed is watched, see observation.py."""

LIVE = tuple(state for state in State if state not in TERMINAL)
"""Something follows these: the label values of presagio_remediations."""


class Reason(StrEnum):
    """Why a transition was taken: in the ledger, on the page, in the log and on the metrics alike."""

    NOTIFIED = "notified"
    # an alert that starts nothing
    DUPLICATE = "duplicate"
    GHOST = "ghost"
    RESOLVED = "resolved"
    NO_POLICY = "no_policy"
    WITH_A_PERSON = "with_a_person"
    OURS = "ours"
    OWNED = "owned"
    PROTECTED = "protected"
    # evaluation
    MATCHED = "matched"
    SELF_RESOLVED = "self_resolved"
    POLICY_WITHDRAWN = "policy_withdrawn"
    UNPLANNABLE = "unplannable"
    CLEARED = "cleared"
    # what blocks
    COOLDOWN = "cooldown"
    SILENCE = "silence"
    PROMETHEUS = "prometheus"
    ALERTMANAGER = "alertmanager"
    TARGET = "target"
    BUDGET = "budget"
    BLAST_RADIUS = "blast_radius"
    STORM = "storm"
    WINDOW = "window"
    PAUSED = "paused"
    TIMER = "timer"
    # execution
    DRY_RUN = "dry_run"
    AUTO = "auto"
    APPROVAL = "approval"
    APPROVED = "approved"
    REFUSED = "refused"
    EXPIRED = "expired"
    STALE = "stale"
    ATTEMPT = "attempt"
    POSITIVE_ANSWER = "positive_answer"
    BEFORE_THE_EFFECT = "before_the_effect"
    NO_ANSWER = "no_answer"
    CRASH = "crash"
    PROBED = "probed"
    CANNOT_SAY = "cannot_say"
    BACKED_OFF = "backed_off"
    ATTEMPTS_USED = "attempts_used"
    # verification
    SETTLE = "settle"
    HARM = "harm"
    MEDDLED = "meddled"
    GOOD_SAMPLES = "good_samples"
    STILL_BAD = "still_bad"
    NO_DATA = "no_data"
    # afterwards
    UNDO = "undo"
    UNDONE = "undone"
    UNDO_FAILED = "undo_failed"
    LADDER = "ladder"
    LADDER_USED = "ladder_used"
    HOLD = "hold"
    HOLD_OVER = "hold_over"
    RECURRENCE = "recurrence"
    OBSERVED = "observed"
    DEADLINE = "deadline"


DROPPING = (
    Reason.DUPLICATE, Reason.GHOST, Reason.RESOLVED, Reason.NO_POLICY, Reason.WITH_A_PERSON, Reason.OURS,
)  # fmt: skip
"""The label values of presagio_alerts_dropped_total."""

BLOCKING = (
    Reason.PAUSED, Reason.SILENCE, Reason.COOLDOWN, Reason.WINDOW, Reason.STORM, Reason.BUDGET, Reason.BLAST_RADIUS,
    Reason.PROMETHEUS, Reason.ALERTMANAGER, Reason.TARGET, Reason.OWNED,
)  # fmt: skip
"""The label values of presagio_remediations_blocked_total."""


class Outcome(StrEnum):
    """How a remediation ended: the label of presagio_remediations_finished_total."""

    VERIFIED = "verified"
    ROLLED_BACK = "rolled_back"
    DRY_RUN = "dry_run"
    SELF_RESOLVED = "self_resolved"
    WITHDRAWN = "withdrawn"
    REFUSED = "refused"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    ESCALATED = "escalated"


@dataclass(frozen=True)
class Transition:
    """One way: `when` it is taken, and what is `stored` with it, in one transaction, before anything else happens."""

    source: State
    target: State
    when: str
    stored: str = ""


def _ways() -> tuple[Transition, ...]:
    s, way = State, Transition
    return (
        way(s.RECEIVED, s.DROPPED, "duplicate, ghost (not active in Alertmanager), no policy; resolved; a person "
            "has it already", "reason"),
        way(s.RECEIVED, s.ATTACHED, "a live remediation already owns this target", "membership"),
        way(s.RECEIVED, s.EVALUATING, "a policy matches", "policy revision, deadline"),
        way(s.EVALUATING, s.CLOSED, "self-resolved: the condition no longer holds for k samples", "samples"),
        way(s.EVALUATING, s.BLOCKED, "pause, silence, cooldown, window, storm, budget, blast radius; Prometheus, "
            "Alertmanager or the target cannot be asked", "reason, not-before"),
        way(s.EVALUATING, s.PLANNED, "guards pass", "action, params, prior state, undo, "
            "verify spec, baseline, plan hash"),
        way(s.BLOCKED, s.EVALUATING, "timer or event"),
        way(s.PLANNED, s.CLOSED, "mode is dry-run", "what would have been done"),
        way(s.CLOSED, s.CLOSED, "it was a dry run, and its time to be verified is over",
            "what became of the problem, as evidence for waiting"),
        way(s.PLANNED, s.AWAITING_APPROVAL, "policy asks for it", "hash, expiry; the request in the outbox"),
        way(s.PLANNED, s.READY, "mode is auto", "lease and budget"),
        way(s.PLANNED, s.EVALUATING, "the budget was spent, or the pause began, since it was planned"),
        way(s.AWAITING_APPROVAL, s.READY, "approved for this very hash", "who, when; lease and budget"),
        way(s.AWAITING_APPROVAL, s.EVALUATING, "the plan is stale: its conditions or its policy changed"),
        way(s.AWAITING_APPROVAL, s.CANCELLED, "refused or expired: no answer means no", "who, when"),
        way(s.READY, s.INTENT, "not paused", "attempt id, deadline; then the effect"),
        way(s.READY, s.EVALUATING, "paused, or it waited so long that everything is asked again"),
        way(s.INTENT, s.APPLIED, "positive answer", "evidence"),
        way(s.INTENT, s.NOT_APPLIED, "provably before the effect", "evidence, back-off 1 min·2ⁿ"),
        way(s.INTENT, s.UNKNOWN, "time-out, crash", "evidence"),
        way(s.UNKNOWN, s.APPLIED, "the action's probe says so", "probe result"),
        way(s.UNKNOWN, s.NOT_APPLIED, "the action's probe says so; never for class D", "probe result"),
        way(s.NOT_APPLIED, s.EVALUATING, "the back-off is over: everything is asked again"),
        way(s.NOT_APPLIED, s.ESCALATED, "after 5 back-offs"),
        way(s.APPLIED, s.SETTLING, "at once", "settle-until"),
        way(s.SETTLING, s.VERIFYING, "timer", "deadline"),
        way(s.SETTLING, s.ROLLING_BACK, "a harm guard fires", "samples"),
        way(s.VERIFYING, s.VERIFIED, "n good samples in a row", "samples"),
        way(s.VERIFYING, s.INEFFECTIVE, "still bad at the deadline", "samples"),
        way(s.VERIFYING, s.INCONCLUSIVE, "no data or NaN", "samples"),
        way(s.VERIFYING, s.SUPERSEDED, "someone else changed the target", "samples"),
        way(s.INEFFECTIVE, s.ROLLING_BACK, "undo exists", "then the undo"),
        way(s.INEFFECTIVE, s.NEXT_RUNG, "the ladder goes on", "rung"),
        way(s.NEXT_RUNG, s.EVALUATING, "at once: everything is asked again"),
        way(s.ROLLING_BACK, s.ROLLED_BACK, "only the fields that are still ours were restored", "evidence"),
        way(s.SUPERSEDED, s.CLOSED, "at once", "outcome"),
        way(s.VERIFIED, s.HOLDDOWN, "at once", "outcome; the lease is released"),
        way(s.ROLLED_BACK, s.HOLDDOWN, "at once", "outcome; the lease is released"),
        way(s.HOLDDOWN, s.CLOSED, "the hold is over"),
        way(s.HOLDDOWN, s.NEXT_RUNG, "a recurrence within the hold is the same problem", "rung"),
        *(way(state, s.ESCALATED, "its deadline passed, or only a person can go on", "the page in the outbox")
          for state in LIVE if state is not s.NOT_APPLIED),
    )  # fmt: skip


TRANSITIONS = _ways()

IN_HAND = frozenset({State.INTENT, State.UNKNOWN, State.ROLLING_BACK})
"""A worker of one replica is, or was, at it: the others leave it alone as long as that one lives."""

SELF_TIMED = frozenset({
    State.AWAITING_APPROVAL, State.INTENT, State.APPLIED, State.SETTLING, State.VERIFYING, State.SUPERSEDED,
    State.VERIFIED, State.INEFFECTIVE, State.INCONCLUSIVE, State.ROLLED_BACK, State.HOLDDOWN, State.CLOSED,
})  # fmt: skip
"""Their own stage ends them in time, and better than by an escalation: after a night off, an action that was applied
is still verified. Their deadline counts only if the stage fails."""

_BY_STATE = {state: frozenset(way.target for way in TRANSITIONS if way.source is state) for state in State}


def allowed(source: State, target: State) -> bool:
    """Return whether there is a way from `source` to `target`."""
    return target in _BY_STATE[source]
