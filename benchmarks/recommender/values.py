"""How far the values of another policy, told from logged choices alone, are from its true value."""

from __future__ import annotations

import numpy as np

from presagio.webhook.valuation import Estimate, History, Valuation, value
from recommender.fleet import ARMS, incidents

_LOGGED = np.array([0.4, 0.3, 0.2, 0.1])
_OTHER = np.array([0.1, 0.1, 0.7, 0.1])


def errors(count: int, repeats: int) -> dict[str, dict[str, float]]:
    """Return the mean error and the share of 95 % intervals that hold the truth, of each estimator."""
    found = [_one(count, np.random.default_rng(seed)) for seed in range(repeats)]
    names = {"of what was chosen (naive)": "logged", "IPS": "ips", "SNIPS": "snips", "doubly robust": "doubly_robust"}
    return {label: _errors([(getattr(told, name), truth) for told, truth in found]) for label, name in names.items()}


def _errors(pairs: list[tuple[Estimate, float]]) -> dict[str, float]:
    return {
        "error": float(np.mean([abs(told.value - truth) for told, truth in pairs])),
        "inside": float(np.mean([told.low <= truth <= told.high for told, truth in pairs])),
    }


def _one(count: int, random: np.random.Generator) -> tuple[Valuation, float]:
    """Return what the estimators say of `_OTHER`, and its true value. The model knows nothing of the situation."""
    chances = np.array([incident.chance for incident in incidents("steady", count, random)])
    model = chances.mean(axis=0)
    arm = random.choice(len(ARMS), count, p=_LOGGED)
    reward = (random.random(count) < chances[np.arange(count), arm]).astype(np.float64)
    history = History(reward, _LOGGED[arm], _OTHER[arm], model[arm], np.full(count, _OTHER @ model))
    return value(history, random), float(np.mean(chances @ _OTHER))
