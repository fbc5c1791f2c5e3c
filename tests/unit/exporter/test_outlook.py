"""What a forecast comes to."""

import numpy as np
import pytest

from presagio.exporter.forecast_config import ForecastsConfig, Threshold
from presagio.exporter.outlook import grid, levels, outlook
from presagio.exporter.signals import Key
from presagio.forecasters.base import Forecast

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
