"""Off-policy values: right on average where the truth is known, with intervals that hold it."""

import numpy as np
import pytest

from presagio.webhook.valuation import History, Valuation, value

TRUTH = np.array([0.2, 0.5, 0.8])
LOGGED = np.array([0.5, 0.3, 0.2])


def history(other: np.ndarray, model: np.ndarray, seed: int, choices: int = 400) -> History:
    random = np.random.default_rng(seed)
    arm = random.choice(3, choices, p=LOGGED)
    reward = (random.random(choices) < TRUTH[arm]).astype(float)
    return History(reward, LOGGED[arm], other[arm], model[arm], np.full(choices, float(other @ model)))


def valued(other: np.ndarray, model: np.ndarray) -> list[Valuation]:
    return [value(history(other, model, seed), np.random.default_rng(seed)) for seed in range(20)]


@pytest.mark.parametrize("model", [TRUTH, np.array([0.9, 0.1, 0.1])], ids=["model right", "model wrong"])
@pytest.mark.parametrize("other", [np.array([0.0, 0.0, 1.0]), np.array([0.2, 0.2, 0.6])], ids=["sure", "mixed"])
def test_estimators_find_the_true_value(other: np.ndarray, model: np.ndarray) -> None:
    truth, found = float(other @ TRUTH), valued(other, model)
    for name in ("ips", "snips", "doubly_robust"):
        estimates = [getattr(one, name) for one in found]
        assert np.mean([one.value for one in estimates]) == pytest.approx(truth, abs=0.03)
        assert np.mean([one.low <= truth <= one.high for one in estimates]) >= 0.8


def test_a_right_model_makes_doubly_robust_the_surest() -> None:
    found = valued(np.array([0.0, 0.0, 1.0]), TRUTH)
    widths = {
        name: np.mean([getattr(one, name).high - getattr(one, name).low for one in found])
        for name in ("ips", "doubly_robust")
    }
    assert widths["doubly_robust"] < widths["ips"]


def test_the_same_policy_is_worth_what_it_was() -> None:
    found = value(history(LOGGED, np.zeros(3), 0), np.random.default_rng(0))
    assert found.snips == found.ips == found.logged
    assert found.effective == pytest.approx(found.choices)


def test_no_overlap_is_no_knowledge() -> None:
    zeros = np.zeros(3)
    found = value(history(zeros, zeros, 0), np.random.default_rng(0))
    assert (found.ips.value, found.snips.value, found.effective) == (0, 0, 0)


def test_impossible_choices_are_refused() -> None:
    one = np.ones(1)
    with pytest.raises(ValueError, match=r"propensities must be above 0 and at most 1, got 0\.0"):
        History(one, 0 * one, one, one, one)
    with pytest.raises(ValueError, match="at least one judged choice is needed, got none"):
        History(one[:0], one[:0], one[:0], one[:0], one[:0])
