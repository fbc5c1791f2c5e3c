"""Other policies on the alerts and outcomes that the ledger has: what they would have done, what they are worth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from presagio.webhook.choosing import arms_left
from presagio.webhook.policy import Order, Policy, matching
from presagio.webhook.recommender import Arm, Judged, Ranking, Situation, rank
from presagio.webhook.tables import Remediation, Trial
from presagio.webhook.tools import alert_of
from presagio.webhook.valuation import History, Valuation, value

Holds = Callable[[Policy, Remediation], bool | None]
"""Whether a policy's conditions held when an alert came; None if nobody can tell."""

NONE = "(none)"
"""Stands for the policy of an alert that none matches."""


@dataclass(frozen=True)
class Match:
    """What would have become of alerts that went to `before` then: how many, and of how many services."""

    before: str
    now: str
    mode: str
    first: str
    alerts: int
    services: int


@dataclass(frozen=True)
class Worth:
    """The value of the other file, and what the history could not say.

    uncovered: judged choices that the file has no policy for. overlap: in [0, 1], the share of the other policies'
    choices that the history could have made; what is missing to 1 was never tried.
    """

    valuation: Valuation | None
    uncovered: int
    overlap: float


def matches(cases: Sequence[Remediation], policies: Sequence[Policy], holds: Holds | None) -> list[Match]:
    """Return, the most frequent first, to which policy the stored alerts would have gone."""
    alerts: Counter[tuple[str, str, str, str]] = Counter()
    services: dict[tuple[str, str, str, str], set[str]] = {}
    for case in cases:
        policy = _policy(case, policies, holds)
        told = (policy.name, policy.mode.value, policy.steps[0].action) if policy else (NONE, "", "")
        key = (case.policy or NONE, *told)
        alerts[key] += 1
        services.setdefault(key, set()).add(case.service_id or case.fingerprint)
    return [
        Match(before, now, mode, first, count, len(services[before, now, mode, first]))
        for (before, now, mode, first), count in alerts.most_common()
    ]


def _policy(case: Remediation, policies: Sequence[Policy], holds: Holds | None) -> Policy | None:
    found = matching(policies, alert_of(case))
    return next((policy for policy in found if holds is None or holds(policy, case) is not False), None)


@dataclass(frozen=True)
class _Other:
    """What the other policy would have done in place of a choice: each arm with its chance and predicted reward."""

    chances: Mapping[str, float]
    predicted: Mapping[str, float]


def worth(
    trials: Sequence[Trial],
    cases: Mapping[int, Remediation],
    policies: Sequence[Policy],
    random: np.random.Generator,
    progress: Callable[[int], None] = lambda _: None,
) -> Worth:
    """Value the policies on judged trials, the oldest first; each is predicted from those before it alone."""
    rows, uncovered, overlap = [], 0, []
    for trial, known in _with_past(trials):
        progress(1)
        found = matching(policies, alert_of(cases[trial.remediation_id])) if trial.remediation_id in cases else ()
        if not found:
            uncovered += 1
            continue
        other = _instead(found[0], trial, known, random)
        tried = trial.choice["candidates"]
        overlap.append(sum(chance for arm, chance in other.chances.items() if tried.get(arm, 0.0) > 0))
        expected = sum(chance * other.predicted[arm] for arm, chance in other.chances.items())
        rows.append(
            (trial.reward, trial.choice["propensity"], other.chances.get(trial.arm, 0.0),
             other.predicted[trial.arm], expected)
        )  # fmt: skip
    if not rows:
        return Worth(None, uncovered, 0.0)
    history = History(*np.array(rows, dtype=np.float64).T)
    return Worth(value(history, random), uncovered, float(np.mean(overlap)))


def _with_past(trials: Sequence[Trial]) -> Iterator[tuple[Trial, Sequence[Judged]]]:
    """Yield each judged trial with what was known before it."""
    known: list[Judged] = []
    for trial in trials:
        if trial.reward is None:
            continue
        yield trial, known
        known.append(Judged(Situation(**trial.choice["situation"]), trial.arm, trial.reward, trial.judged_at))


def _instead(policy: Policy, trial: Trial, known: Sequence[Judged], random: np.random.Generator) -> _Other:
    left = arms_left(policy, trial.choice["tried"])
    asked = left if any(arm.name == trial.arm for arm in left) else [*left, Arm(trial.arm, len(policy.rungs))]
    situation = Situation(**trial.choice["situation"])
    ranking = rank(asked, situation, known, trial.judged_at, random)
    predicted = dict(zip((arm.name for arm in asked), ranking.a / (ranking.a + ranking.b), strict=True))
    if not left:
        return _Other({}, predicted)
    if policy.order is Order.AS_LISTED:
        return _Other({left[0].name: 1.0}, predicted)
    drawn = ranking if asked is left else rank(left, situation, known, trial.judged_at, random)
    return _Other(_chances(drawn), predicted)


def _chances(ranking: Ranking) -> dict[str, float]:
    return {arm.name: float(share) for arm, share in zip(ranking.arms, ranking.propensity, strict=True)}
