"""What a forecast comes to."""

import numpy as np
import pytest

from presagio.detectors.base import Floats
from presagio.exporter.forecast_config import ForecastsConfig, Threshold
from presagio.exporter.outlook import grid, levels, outlook
from presagio.exporter.signals import Key
from presagio.forecasters.base import Forecast, ForecasterParams
from presagio.forecasters.quick import Quick

HOUR = 3600.0
KEYS = [Key("a", "disk", ()), Key("b", "disk", ())]


def rising(settings: ForecastsConfig, *slopes: float) -> Forecast:
    """Return forecasts that rise from 0.5 by so much an hour, and are known to a hundredth."""
    asked, hours = levels(settings), np.array(grid(settings)) / HOUR
    mean = 0.5 + np.outer(slopes, hours)
    return Forecast(mean, mean[..., None] + 0.02 * (np.array(asked) - 0.5), asked)


def test_the_horizons_asked_are_those_published_and_enough_others_for_thresholds() -> None:
    got = grid(ForecastsConfig())
    assert {HOUR, 6 * HOUR, 24 * HOUR} <= set(got)
    assert got[:4] == (300.0, 900.0, 1800.0, HOUR)
    assert got[-1] == 24 * HOUR
    assert list(got) == sorted(set(got))


@pytest.mark.parametrize(("step", "horizons"), [("5m", ["5m"]), ("1m", ["10m", "1h"]), ("1d", ["1d", "30d"])])
def test_no_horizon_is_shorter_than_a_step_or_longer_than_the_last(step: str, horizons: list[str]) -> None:
    settings = ForecastsConfig.model_validate({"step": step, "horizons": horizons})
    got = grid(settings)
    assert got[0] >= settings.step
    assert got[-1] == settings.horizons[-1]
    assert all(one % settings.step == 0 for one in got)


def test_the_levels_asked_have_those_published_and_the_two_of_thresholds() -> None:
    assert {0.05, 0.9, 0.5, 0.1} <= set(levels(ForecastsConfig(lower=0.05)))


def test_the_horizons_published_are_picked_from_all() -> None:
    settings = ForecastsConfig()
    got = outlook(9.0, KEYS, np.array([0.5, 0.5]), rising(settings, 0.01, 0.0), settings, [])
    assert got.horizons == (HOUR, 6 * HOUR, 24 * HOUR)
    assert got.mean[0] == pytest.approx([0.51, 0.56, 0.74])
    assert got.lower[0] == pytest.approx([0.502, 0.552, 0.732])
    assert got.upper[0] == pytest.approx([0.518, 0.568, 0.748])
    assert got.time == 9.0


def test_each_threshold_is_looked_for_on_its_own_side() -> None:
    settings = ForecastsConfig()
    bounds = [
        (Threshold(name="full", value=0.7), np.array([0.7, 0.7])),
        (Threshold(name="empty", value=0.4, direction="below"), np.array([0.4, np.nan])),
    ]
    got = outlook(0.0, KEYS, np.array([0.5, 0.5]), rising(settings, 0.01, -0.02), settings, bounds)
    assert got.reach["full"].median == pytest.approx([20 * HOUR, np.inf], rel=0.02)
    assert got.reach["full"].early[0] < got.reach["full"].median[0]
    assert np.isposinf(got.reach["empty"].median[0])
    assert np.isnan(got.reach["empty"].median[1])


def test_what_is_there_already_is_reached_in_no_time() -> None:
    settings = ForecastsConfig()
    bounds = [(Threshold(name="full", value=0.4), np.array([0.4, 0.4]))]
    got = outlook(0.0, KEYS, np.array([0.5, 0.3]), rising(settings, 0.0, 0.0), settings, bounds)
    assert got.reach["full"].median[0] == 0.0
    assert got.reach["full"].median[1] > 0.0


def saws(period: float, low: float, high: float) -> Floats:
    """Return two weeks of what rises and falls back in each period, seen from 24 moments of it."""
    now = np.linspace(0, period, 24, endpoint=False)[:, None]
    ago = 300.0 * np.arange(4031, -1, -1)
    noise = np.random.default_rng(0).normal(0, 0.001, (24, 4032))
    return low + (high - low) * ((now - ago) % period) / period + noise


@pytest.mark.parametrize(("hours", "limit"), [(24, 0.97), (24, 0.95), (55.2, 0.95), (5, 0.99), (168, 0.97)])
def test_what_falls_back_each_time_never_gets_there_whenever_one_looks(hours: float, limit: float) -> None:
    settings, history = ForecastsConfig(), saws(hours * HOUR, 0.6, 0.93)
    quick = Quick(ForecasterParams(levels=levels(settings), maximum=1.0))
    forecast = quick.forecast(history, 300.0, grid(settings))
    keys = [Key(f"{row}", "disk", ()) for row in range(24)]
    bounds = [(Threshold(name="full", value=limit), np.full(24, limit))]
    got = outlook(0.0, keys, history[:, -1], forecast, settings, bounds)
    assert np.isposinf(got.reach["full"].median).all()


@pytest.mark.parametrize("hours", [2, 6, 12, 24])
def test_a_new_leak_is_told_at_half_of_its_way(hours: float) -> None:
    """From 0.4 to 0.9 within so many hours, after two weeks of 0.4; half of them are over."""
    settings, ago = ForecastsConfig(), 300.0 * np.arange(4031, -1, -1)
    noise = np.random.default_rng(0).normal(0, 0.001, (24, 4032))
    history = 0.4 + 0.5 * np.clip(hours / 2 - ago / HOUR, 0, None) / hours + noise
    quick = Quick(ForecasterParams(levels=levels(settings), maximum=1.0))
    forecast = quick.forecast(history, 300.0, grid(settings))
    bounds = [(Threshold(name="full", value=0.9), np.full(24, 0.9))]
    keys = [Key(f"{row}", "memory", ()) for row in range(24)]
    got = outlook(0.0, keys, history[:, -1], forecast, settings, bounds).reach["full"].median
    assert got == pytest.approx(hours / 2 * HOUR, rel=0.3)
