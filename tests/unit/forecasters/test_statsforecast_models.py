"""The statistical models: what they see of the history, and that they see what a model is to see."""

import numpy as np
import pytest

from presagio.forecasters.base import Floats
from presagio.forecasters.preparation import prepare
from presagio.forecasters.statsforecast_models import (
    AutoEts,
    AutoTheta,
    Mstl,
    Statistical,
    StatisticalParams,
    blocks,
)

STEP = 300.0
PER_DAY = 288
HORIZONS = [3600.0, 21_600.0, 86_400.0]
DAYS = np.arange(15 * PER_DAY) / PER_DAY
MODELS = [AutoEts, AutoTheta, Mstl]


def daily(noise: float = 0.2) -> Floats:
    return 10 + 3 * np.sin(2 * np.pi * DAYS) + np.random.default_rng(3).normal(0, noise, len(DAYS))


def made(kind: type[Statistical], **params: object) -> Statistical:
    return kind(StatisticalParams.model_validate(params))


def test_blocks_end_with_the_newest_sample() -> None:
    seen = blocks(prepare(np.arange(100.0)[None]), 99, 12, 50)
    assert seen.means.shape == (1, 8)
    assert seen.means[0, -1] == pytest.approx(np.arange(88, 100).mean())


def test_a_moment_between_two_blocks_has_seen_only_those_that_ended() -> None:
    seen = blocks(prepare(np.arange(100.0)[None]), 99, 12, 50)
    assert [seen.upto(origin) for origin in (99, 98, 88, 87, 86)] == [(8, 0), (7, 11), (7, 1), (7, 0), (6, 11)]


@pytest.mark.parametrize("kind", MODELS)
def test_a_day_is_followed(kind: type[Statistical]) -> None:
    values = daily()
    known, wanted = values[: 14 * PER_DAY], values[14 * PER_DAY - 1 + np.array([12, 72, 288])]
    forecast = made(kind).forecast(known[None], STEP, HORIZONS)
    assert np.abs(forecast.mean[0] - wanted).max() < 1.0
    width = forecast.quantiles[0, :, -1] - forecast.quantiles[0, :, 0]
    assert ((width > 0.5) & (width < 3)).all()  # 0.8 for who knows the day


@pytest.mark.parametrize("kind", MODELS)
def test_without_a_season_the_day_is_not_looked_for(kind: type[Statistical]) -> None:
    forecast = made(kind, season="none").forecast(daily()[None, : 14 * PER_DAY + 72], STEP, [43_200.0])
    assert forecast.mean[0, 0] > 11  # the day is at its top now and at its bottom in twelve hours


@pytest.mark.parametrize("kind", MODELS)
def test_errors_of_the_past_know_nothing_of_what_came_after(kind: type[Statistical]) -> None:
    values = daily()
    leads = np.array([12, 288])
    origins = np.array([8 * PER_DAY, 9 * PER_DAY])
    other = values.copy()
    other[9 * PER_DAY + 2 :] += 50.0  # a spike's neighbour tells of it, one sample further
    ends = np.array([15 * PER_DAY - 1 - 12 * 6])
    paths = [made(kind).path(prepare(one[None]), np.append(origins, ends), leads, STEP) for one in (values, other)]
    np.testing.assert_allclose(paths[0][:, :2], paths[1][:, :2])


def test_too_little_to_fit_is_the_last_value_with_an_interval() -> None:
    values = np.full(PER_DAY, np.nan)
    values[-40:] = 5 + np.random.default_rng(1).normal(0, 0.1, 40)
    forecast = made(AutoEts).forecast(values[None], STEP, [600.0])
    assert forecast.mean[0, 0] == pytest.approx(values[-1])
    assert forecast.quantiles[0, 0, -1] > forecast.quantiles[0, 0, 0]
