"""What decides in each state: one function each, which asks and writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from presagio.webhook import aftermath, approval, evaluation, execution, intake, observation, verify
from presagio.webhook.moves import Move, Run, Stay
from presagio.webhook.states import State
from presagio.webhook.tables import Remediation
from presagio.webhook.tools import Tools

Stage = Callable[[Remediation, Tools, float], Move | Stay | Run]

STAGES: Mapping[State, Stage] = {
    State.RECEIVED: intake.admit,
    State.EVALUATING: evaluation.evaluate,
    State.BLOCKED: evaluation.retry,
    State.PLANNED: execution.release,
    State.AWAITING_APPROVAL: approval.wait,
    State.READY: execution.begin,
    State.INTENT: execution.recover,
    State.UNKNOWN: execution.ask,
    State.NOT_APPLIED: execution.back_off,
    State.APPLIED: verify.settle,
    State.SETTLING: verify.start,
    State.VERIFYING: verify.watch,
    State.VERIFIED: aftermath.verified,
    State.INEFFECTIVE: aftermath.ineffective,
    State.SUPERSEDED: aftermath.superseded,
    State.INCONCLUSIVE: aftermath.inconclusive,
    State.ROLLING_BACK: aftermath.resume,
    State.ROLLED_BACK: aftermath.rolled_back,
    State.NEXT_RUNG: aftermath.next_rung,
    State.HOLDDOWN: aftermath.hold,
    State.CLOSED: observation.observe,
}
"""What decides in each state that is due and that no worker of ours is busy with."""

WATCHES = frozenset({State.SETTLING, State.VERIFYING, State.HOLDDOWN})
"""States in which nothing is done but to look. Prometheus remembers: what is looked at later is seen as well."""

ASKS = frozenset(
    {
        State.RECEIVED,
        State.EVALUATING,
        State.AWAITING_APPROVAL,
        State.SETTLING,
        State.VERIFYING,
        State.CLOSED,
    }
)
"""States whose stages ask Prometheus, Alertmanager or the target. What they want is compared afterwards."""
