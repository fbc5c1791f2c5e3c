"""The usual day, and what is learnt beyond it."""

import numpy as np
import pytest

from presagio.forecasters.base import Floats, ForecasterParams
from presagio.forecasters.moving import means
from presagio.forecasters.naive import Naive
from presagio.forecasters.plain import origins_of
from presagio.forecasters.preparation import prepare
from presagio.forecasters.regression import Regression, RegressionParams
from presagio.forecasters.usual_day import UsualDay, UsualDayParams

STEP = 300.0
PER_DAY = 288
DAYS = np.arange(14 * PER_DAY) / PER_DAY


def noise(size: float, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(0, size, len(DAYS))


def walk(pull: float) -> Floats:
    """Return a level that wanders, pulled back to 10."""
    found = [10.0]
    for step in noise(0.1, seed=4)[1:]:
        found.append(found[-1] + pull * (10 - found[-1]) + step)
    return np.array(found)


def regression(**params: object) -> Regression:
    return Regression(RegressionParams.model_validate(params))


def test_means_of_any_stretch() -> None:
    found = means(prepare(np.array([[np.nan, 1.0, 2.0, 3.0, 4.0]])))
    ends = np.array([[1, 3], [5, 5]])
    expected = np.array([[[np.nan, 1.5], [2.5, 4.0]]])
    np.testing.assert_allclose(found.over(np.array([[0, 1], [0, 4]]), ends), expected)


def test_one_bad_day_is_not_usual() -> None:
    values = 10 + 3 * np.sin(2 * np.pi * DAYS)
    values[-3 * PER_DAY : -2 * PER_DAY] += 40
    found = UsualDay(UsualDayParams()).forecast(values[None], STEP, [21_600.0])
    assert found.mean[0, 0] == pytest.approx(13, abs=0.1)


def test_a_level_that_stays_is_followed_and_a_level_that_returns_returns() -> None:
    stays = np.concatenate([np.full(7 * PER_DAY, 10.0), np.full(7 * PER_DAY, 14.0)]) + noise(0.2)
    wanders = walk(pull=0.2)
    wanders[-1] = 12.0
    found = regression().forecast(np.stack([stays, wanders]), STEP, [3600.0])
    assert found.mean[:, 0] == pytest.approx([14, 10], abs=0.4)


def test_it_errs_less_than_the_last_value_and_the_usual_day_where_both_tell_something() -> None:
    values = 10 + 8 * np.sin(2 * np.pi * DAYS) + walk(pull=0.01) - 10 + noise(0.1, seed=9)
    history, leads = prepare(values[None]), np.array([12])
    found = regression()
    origins = origins_of(history.length)
    came = values[np.minimum(origins + 12, len(values) - 1)]

    def error(path: Floats) -> float:
        return float(np.abs(path[0, :-1, 0] - came[:-1]).mean())

    ours = error(found.path(history, origins, leads, STEP))
    assert ours < 0.9 * error(Naive(ForecasterParams()).path(history, origins, leads, STEP))
    assert ours < 0.9 * error(UsualDay(UsualDayParams()).path(history, origins, leads, STEP))


def test_a_fault_in_the_past_does_not_bend_it() -> None:
    values = 10 + 3 * np.sin(2 * np.pi * DAYS) + noise(0.2)
    faulty = values.copy()
    faulty[6 * PER_DAY : 6 * PER_DAY + 144] += 60
    clean, bent = (regression().forecast(one[None], STEP, [86_400.0]).mean[0, 0] for one in (values, faulty))
    assert bent == pytest.approx(clean, abs=0.2)


def test_the_past_is_forecast_from_what_was_known_then() -> None:
    values = 10 + 3 * np.sin(2 * np.pi * DAYS) + noise(0.2)
    other = values.copy()
    other[8 * PER_DAY + 2 :] += 50  # a spike's neighbour tells of it, one sample further
    origins, leads = np.array([7 * PER_DAY, 8 * PER_DAY]), np.array([12, 288])
    one, two = (regression().path(prepare(each[None]), origins, leads, STEP) for each in (values, other))
    np.testing.assert_allclose(one, two)
