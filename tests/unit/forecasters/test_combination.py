"""The combination: who speaks on how much evidence, and that a useless member has no say."""

from importlib.util import find_spec

import numpy as np
import pytest

from presagio.forecasters import combination
from presagio.forecasters.base import Examples, Inputs, TooFewFailuresError
from presagio.forecasters.combination import Combination, CombinationParams


def examples(crossing_tells: bool, has_limit: bool = True, count: int = 40, seed: int = 3) -> Examples:
    rng = np.random.default_rng(seed)
    moments = 60 * count
    since = np.arange(moments) % 60
    failed = since >= 54
    level = since / 60 + rng.normal(0, 0.02, moments)
    crossing = np.clip((since - 40) / 20, 0, 1) if crossing_tells else rng.random(moments)
    names = ("level", "crossing") if has_limit else ("level",)
    features = np.stack([level, crossing][: len(names)], axis=1)
    inputs = Inputs(features, np.zeros((moments, 0, 1), dtype=np.float32), names, ("level",))
    failures = np.where(failed, np.arange(moments) // 60, -1)
    times, groups = 300.0 * np.arange(moments, dtype=np.float64), np.zeros(moments, dtype=np.int64)
    return Examples(inputs, failed, times, groups, failures, np.ones(moments))


PAIR = CombinationParams(members=("gradient_boosting", "forecast"))


def silent(_: float) -> None:
    """Show no progress."""


def test_with_evidence_both_speak() -> None:
    found = Combination(PAIR).fit(examples(crossing_tells=True), silent)
    assert (found.used, list(found.members)) == ("combination", ["gradient_boosting", "forecast"])


def test_a_forecast_that_tells_nothing_has_little_say() -> None:
    found = Combination(PAIR).fit(examples(crossing_tells=False), silent)
    trees, forecast, _ = found.weights
    assert trees > 5 * forecast


def test_without_a_limit_the_trees_speak_alone() -> None:
    assert Combination(PAIR).fit(examples(True, has_limit=False), silent).used == "gradient_boosting"


def test_with_few_failures_the_forecast_speaks_alone() -> None:
    few = examples(crossing_tells=True, count=4)
    found = Combination(PAIR).fit(few, silent)
    assert found.used == "forecast"
    assert found.predict(few.inputs) == pytest.approx(np.clip(few.inputs.features[:, 1], 0.001, 0.99), abs=1e-6)


def test_with_few_failures_and_no_limit_it_says_how_many_are_needed() -> None:
    with pytest.raises(TooFewFailuresError, match="4 failures are known and 8 are needed to learn from; a limit"):
        Combination(PAIR).fit(examples(True, has_limit=False, count=4), silent)


def test_where_one_says_nothing_the_other_stands_in_and_where_none_does_nothing_is_said() -> None:
    whole = examples(crossing_tells=True)
    found = Combination(PAIR).fit(whole, silent)
    inputs = whole.inputs.rows(np.arange(100))
    inputs.features[:, 1] = np.nan
    assert np.isfinite(found.predict(inputs)).all()
    alone = Combination(CombinationParams(members=("forecast",))).fit(whole, silent)
    assert np.isnan(alone.predict(inputs)).all()


def test_a_state_with_the_weights_of_others_is_refused() -> None:
    state = dict(Combination(PAIR).fit(examples(crossing_tells=True), silent).state())
    state["weights"] = np.zeros(7)
    with pytest.raises(ValueError, match="a weight for each of gradient_boosting, forecast"):
        Combination(PAIR).restore(state)


@pytest.mark.parametrize(
    ("is_there", "count", "takes_part"), [(True, 52, True), (False, 52, False), (True, 48, False)]
)
def test_the_sequence_model_takes_part_where_it_is_installed_and_has_enough_to_learn_from(
    monkeypatch: pytest.MonkeyPatch, is_there: bool, count: int, takes_part: bool
) -> None:
    spec = find_spec("torch") if is_there else None
    monkeypatch.setattr(combination, "find_spec", lambda _: spec)
    found = Combination().fit(examples(crossing_tells=True, count=count), silent)
    assert list(found.members) == ["gradient_boosting", "forecast", *(["lstm"] if takes_part else [])]
