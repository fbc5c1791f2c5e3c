"""Models weighed by their errors, within a budget, and a choice that can be kept."""

import numpy as np
import pytest

from presagio.forecasters.auto import Auto, AutoParams
from presagio.forecasters.base import Floats, ForecasterParams
from presagio.forecasters.naive import Naive
from presagio.forecasters.plain import origins_of
from presagio.forecasters.preparation import prepare
from presagio.forecasters.rolling import errors_of, weighted_median, weights_of

STEP = 300.0
PER_DAY = 288
DAYS = np.arange(10 * PER_DAY) / PER_DAY
HORIZONS = [3600.0, 86_400.0]


def auto(**params: object) -> Auto:
    return Auto(AutoParams.model_validate(params))


def noise(size: float, seed: int) -> Floats:
    return np.random.default_rng(seed).normal(0, size, len(DAYS))


def histories() -> Floats:
    walk = 100 + np.cumsum(noise(1, 1))
    day = 10 + 3 * np.sin(2 * np.pi * DAYS) + noise(0.2, 2)
    return np.stack([walk, day])


def test_a_median_is_that_of_the_heavier_half() -> None:
    values = np.array([[1.0, 2.0, 30.0], [1.0, 2.0, 30.0], [np.nan, 4.0, 8.0]])
    weights = np.array([[0.2, 0.2, 0.6], [0.4, 0.3, 0.3], [0.8, 0.1, 0.1]])
    np.testing.assert_allclose(weighted_median(values, weights), [30.0, 2.0, 6.0])
    assert np.isnan(weighted_median(np.full((1, 3), np.nan), weights[:1])).all()


def test_who_errs_twice_as_much_has_no_say_and_who_errs_the_same_has_as_much() -> None:
    errors = np.array([1.0, 1.0, 2.0])[:, None, None, None] * np.ones((3, 1, 10, 1))
    np.testing.assert_allclose(weights_of(errors), [[[0.5, 0.5, 0.0]]])


def test_without_errors_all_have_the_same_say() -> None:
    np.testing.assert_allclose(weights_of(np.full((4, 1, 10, 1), np.nan)), 0.25)


def test_errors_are_those_of_what_came() -> None:
    values = np.arange(100.0)
    found = errors_of(Naive(ForecasterParams()), prepare(values[None]), np.array([1, 30]), STEP)
    assert found.shape == (1, len(origins_of(100)), 2)
    assert np.nanmedian(found[0, :, 1]) == pytest.approx(30)
    assert np.isnan(found[0, -1, 1])


def test_the_budget_says_who_is_asked() -> None:
    assert list(auto(seconds=0).members()) == ["naive"]
    assert list(auto(seconds=0.01).members())[-1] == "regression_held"
    assert list(auto().members())[-1] == "auto_theta"
    assert list(auto(seconds=1).members())[-1] == "mstl"


def test_a_walk_is_left_where_it_is_and_a_day_is_followed() -> None:
    history = histories()
    found = auto().forecast(history, STEP, [21_600.0])
    assert found.mean[0, 0] == pytest.approx(history[0, -1], abs=8)  # it wanders 8.5 in six hours
    assert found.mean[1, 0] == pytest.approx(13, abs=0.4)
    chosen = auto().choose(history, STEP, [21_600.0])
    assert chosen.weights[1, 0, chosen.members.index("naive")] == 0


def test_a_choice_can_be_kept() -> None:
    history = histories()
    forecaster = auto()
    chosen = forecaster.choose(history, STEP, HORIZONS)
    kept = forecaster.forecast(history, STEP, HORIZONS, chosen)
    anew = forecaster.forecast(history, STEP, HORIZONS)
    np.testing.assert_array_equal(kept.quantiles, anew.quantiles)
    one = forecaster.forecast(history[1:], STEP, HORIZONS, chosen.rows(np.array([1])))
    np.testing.assert_allclose(one.quantiles, anew.quantiles[1:])
    assert set(np.ravel(chosen.best())) <= set(chosen.members)


def test_intervals_are_as_wide_as_the_errors_were() -> None:
    found = auto().forecast(histories()[1:], STEP, HORIZONS)
    width = found.quantiles[0, :, 3] - found.quantiles[0, :, 1]
    assert ((width > 0.4) & (width < 0.9)).all()  # 0.51 for who knows the day


def test_there_may_be_no_series() -> None:
    chosen = auto().choose(np.zeros((0, 100)), STEP, HORIZONS)
    assert chosen.weights.shape == (0, 2, len(chosen.members))


def test_a_trend_that_has_just_begun_is_followed_and_a_step_is_not() -> None:
    hours = np.arange(-len(DAYS) + 1, 1) / 12
    ramp = 0.4 + 0.02 * np.clip(hours + 6, 0, None)
    step = 0.4 + 0.2 * (hours > -1)
    history = np.stack([ramp, step]) + noise(0.001, 3)
    found = auto(seconds=0.01).forecast(history, STEP, [3600.0, 21_600.0])
    assert found.mean[0] == pytest.approx([0.54, 0.64], abs=0.02)
    assert (found.mean[1] < 0.65).all()
