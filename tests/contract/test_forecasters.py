"""One battery over every registered forecaster: to register one brings its tests."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from presagio.forecasters.base import Floats, Forecast, Forecaster
from presagio.toolkit import plugins

STEP = 900.0
DAY = 96
HORIZONS = [3600.0, 21_600.0, 86_400.0]
NAMES = plugins.names(plugins.FORECASTERS)

Make = Callable[..., Forecaster]


def make(name: str, **params: object) -> Forecaster:
    kind = plugins.load(plugins.FORECASTERS, name)
    made: Forecaster = kind(kind.Params.model_validate(params), seed=1)
    return made


def histories() -> Iterator[tuple[str, Floats]]:
    rng = np.random.default_rng(7)
    day = np.arange(5 * DAY) / DAY
    yield "noise", 10 + rng.normal(0, 1, len(day))
    yield "day", 10 + 3 * np.sin(2 * np.pi * day) + rng.normal(0, 0.3, len(day))
    yield "leak", 1 + 2 * day + rng.normal(0, 0.05, len(day))
    yield "sawtooth", 5 + 4 * (day % 1)
    yield "constant", np.full(len(day), 7.0)
    yield "zero", np.zeros(len(day))
    holes = 10 + rng.normal(0, 1, len(day))
    holes[100:140] = np.nan
    holes[-5:] = np.nan
    yield "holes", holes
    young = np.full(len(day), np.nan)
    young[-20:] = 3 + rng.normal(0, 0.1, 20)
    yield "young", young
    once = np.full(len(day), np.nan)
    once[-1] = 4.0
    yield "one sample", once
    yield "nothing", np.full(len(day), np.nan)


KINDS, VALUES = zip(*histories(), strict=True)
HISTORY = np.array(VALUES)
KNOWN = np.array([kind != "nothing" for kind in KINDS])


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def forecast(name: str) -> Forecast:
    return make(name).forecast(HISTORY, STEP, HORIZONS)


def test_some_are_registered() -> None:
    assert {"naive", "seasonal_naive", "drift", "quick"} <= set(NAMES)


def test_the_constructor_only_stores(name: str) -> None:
    kind = plugins.load(plugins.FORECASTERS, name)
    params = kind.Params()
    assert kind(params).params is params


def test_shapes_are_those_of_the_contract(forecast: Forecast) -> None:
    assert forecast.mean.shape == (len(HISTORY), len(HORIZONS))
    assert forecast.quantiles.shape == (len(HISTORY), len(HORIZONS), len(forecast.levels))


def test_what_is_known_at_all_has_a_forecast_and_nothing_has_none(forecast: Forecast) -> None:
    assert np.isfinite(forecast.mean[KNOWN]).all()
    assert np.isfinite(forecast.quantiles[KNOWN]).all()
    assert np.isnan(forecast.mean[~KNOWN]).all()
    assert np.isnan(forecast.quantiles[~KNOWN]).all()


def test_quantiles_do_not_cross(forecast: Forecast) -> None:
    assert (np.diff(forecast.quantiles[KNOWN], axis=-1) >= 0).all()


def test_a_constant_stays(forecast: Forecast) -> None:
    assert forecast.mean[KINDS.index("constant")] == pytest.approx(7.0)
    assert forecast.mean[KINDS.index("zero")] == pytest.approx(0.0, abs=1e-9)


def test_one_sample_is_all_that_is_expected(forecast: Forecast) -> None:
    assert forecast.mean[KINDS.index("one sample")] == pytest.approx(4.0)


def test_noise_has_an_interval_of_about_its_width(forecast: Forecast) -> None:
    low, high = forecast.quantiles[KINDS.index("noise"), 0, [1, 3]]
    assert 1.5 < high - low < 6  # 2.56 for who knows the mean


def test_the_input_is_not_changed(name: str) -> None:
    before = HISTORY.copy()
    make(name).forecast(HISTORY, STEP, HORIZONS)
    np.testing.assert_array_equal(HISTORY, before)


def test_the_same_twice(name: str, forecast: Forecast) -> None:
    again = make(name).forecast(HISTORY, STEP, HORIZONS)
    np.testing.assert_array_equal(forecast.mean, again.mean)
    np.testing.assert_array_equal(forecast.quantiles, again.quantiles)


def test_rows_know_nothing_of_each_other(name: str, forecast: Forecast) -> None:
    some = make(name).forecast(HISTORY[[3, 1]], STEP, HORIZONS)
    np.testing.assert_allclose(some.mean, forecast.mean[[3, 1]], rtol=1e-9)


def test_limits_are_kept(name: str) -> None:
    found = make(name, minimum=2.0, maximum=9.0).forecast(HISTORY, STEP, HORIZONS)
    assert np.nanmin(found.quantiles) >= 2.0
    assert np.nanmax(found.quantiles) <= 9.0
    assert np.nanmax(found.mean) <= 9.0


def test_the_unit_does_not_matter(name: str, forecast: Forecast) -> None:
    scaled = make(name).forecast(1024.0 * HISTORY, STEP, HORIZONS)
    rows = [KINDS.index(kind) for kind in ("noise", "day", "leak")]
    np.testing.assert_allclose(scaled.mean[rows], 1024.0 * forecast.mean[rows], rtol=1e-4)


def test_other_levels(name: str) -> None:
    found = make(name, levels=(0.25, 0.75)).forecast(HISTORY, STEP, HORIZONS)
    assert found.levels == (0.25, 0.75)
    assert found.quantiles.shape == (len(HISTORY), len(HORIZONS), 2)


def test_no_series_and_no_samples(name: str) -> None:
    assert make(name).forecast(np.zeros((0, 10)), STEP, HORIZONS).mean.shape == (0, 3)
    assert np.isnan(make(name).forecast(np.zeros((2, 0)), STEP, HORIZONS).mean).all()
