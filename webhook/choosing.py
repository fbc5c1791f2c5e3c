"""Which rung of a ladder is next: the policy's order or, if it says so, what the recommender draws from evidence."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from presagio.webhook.chain import canonical
from presagio.webhook.policy import Order, Policy, Step
from presagio.webhook.recommender import Arm, Array, Situation, rank
from presagio.webhook.tables import Json, Remediation
from presagio.webhook.tools import Tools


@dataclass(frozen=True)
class Choice:
    """A rung that may be planned: its step, and how it came to be the one.

    propensity: the probability, in (0, 1], with which it was chosen among `candidates` (arm: probability).
    tried: the arms that earlier rungs were spent on.
    """

    rung: int
    step: int
    arm: str
    propensity: float
    candidates: dict[str, float]
    situation: Json
    tried: tuple[str, ...]

    def document(self) -> Json:
        """Return it as it is stored."""
        return {**asdict(self), "tried": list(self.tried)}


def arm_of(step: Step) -> str:
    """Return the name of an action with its parameters: `redis.purge#1f0c9a3e`."""
    return f"{step.action}#{hashlib.sha256(canonical(step.params).encode()).hexdigest()[:8]}"


def arms_left(policy: Policy, tried: Collection[str]) -> list[Arm]:
    """Return the arms of a policy that were not tried yet, in its order."""
    arms = [Arm(arm_of(step), place) for place, step in enumerate(policy.rungs)]
    return [arm for arm in arms if arm.name not in tried]


def situation_of(case: Remediation) -> Situation:
    """Return what the evidence for a remediation's alert is compared by."""
    labels: dict[str, str] = case.alert.get("labels", {})
    kind = labels.get("service_type") or labels.get("job", "")
    return Situation(labels.get("alertname", ""), kind, labels.get("severity", ""), case.service_id or "")


def choices(case: Remediation, policy: Policy, tools: Tools, now: float) -> Iterator[Choice]:
    """Yield the rungs that are left, the one to plan first: the next one is asked for if that cannot be planned."""
    return _learned(case, policy, tools, now) if policy.order is Order.LEARNED else _as_listed(case, policy)


def _as_listed(case: Remediation, policy: Policy) -> Iterator[Choice]:
    names = [arm_of(step) for step in policy.steps]
    situation = asdict(situation_of(case))
    for rung in range(case.rung, len(names)):
        yield Choice(rung, rung, names[rung], 1.0, {names[rung]: 1.0}, situation, tuple(names[:rung]))


def _learned(case: Remediation, policy: Policy, tools: Tools, now: float) -> Iterator[Choice]:
    left, tried = _left(case, policy)
    last = case.choice or {}
    if last.get("rung") == case.rung and last["arm"] in [arm.name for arm in left]:
        # it was drawn for this very rung: to draw again would make it less likely than the ledger says
        yield Choice(**{**last, "tried": tuple(last["tried"])})
        left = [arm for arm in left if arm.name != last["arm"]]
    yield from _draws(case, left, tried, tools, now)


def _draws(case: Remediation, left: list[Arm], tried: tuple[str, ...], tools: Tools, now: float) -> Iterator[Choice]:
    """Yield all arms in an order that is drawn; each one's share is of those that were still possible."""
    situation, shares = situation_of(case), np.zeros(len(left))
    while left:
        shares = shares / shares.sum() if shares.sum() > 0 else _shares(left, situation, tools, now)
        chosen = int(tools.random.choice(len(left), p=shares))
        candidates = {arm.name: float(share) for arm, share in zip(left, shares, strict=True)}
        arm = left.pop(chosen)
        yield Choice(case.rung, arm.position, arm.name, candidates[arm.name], candidates, asdict(situation), tried)
        shares = np.delete(shares, chosen)


def _shares(arms: Sequence[Arm], situation: Situation, tools: Tools, now: float) -> Array:
    """Ask the recommender; while learning is frozen it explores nothing, and knows what it knew then."""
    frozen = tools.records.frozen()
    until = frozen.since if frozen else now
    outcomes = tools.records.judged([arm.name for arm in arms], until)
    return rank(arms, situation, outcomes, until, None if frozen else tools.random).propensity


def _left(case: Remediation, policy: Policy) -> tuple[list[Arm], tuple[str, ...]]:
    """Return the arms that no earlier rung was spent on, and those that were."""
    last = case.choice or {}
    tried = tuple(last.get("tried", ()))
    if last and last["rung"] < case.rung:
        tried = (*tried, last["arm"])
    return arms_left(policy, tried), tried
