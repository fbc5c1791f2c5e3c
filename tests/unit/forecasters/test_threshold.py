"""Times to thresholds, and chances of crossing them, against the normal distribution's own numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from presagio.forecasters.base import Floats, Forecast
from presagio.forecasters.threshold import Side, beyond, crossing, time_to_threshold

HOUR = 3600.0
HORIZONS = tuple(HOUR * hour for hour in range(1, 25))
LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)


def normal(mean: Floats, spread: Floats | float, levels: tuple[float, ...] = LEVELS) -> Forecast:
    """Return the forecast whose distribution at each horizon is a bell curve."""
    quantiles = mean[..., None] + np.broadcast_to(spread, mean.shape)[..., None] * norm.ppf(levels)
    return Forecast(mean, quantiles, levels)


def line(now: float, by_hour: float) -> Floats:
    return now + by_hour * np.arange(1, 25, dtype=np.float64)[None, :]


def of(value: float) -> Floats:
    return np.array([value])


@pytest.mark.parametrize("limit", [0.2, 0.9, 1.0, 1.3, 2.5, 4.0])
def test_a_bell_curve_is_met_between_its_quantiles_and_beyond_them(limit: float) -> None:
    chance = beyond(normal(np.ones((1, 1)), 0.5), of(limit), "above")
    assert chance == pytest.approx(norm.sf((limit - 1) / 0.5), rel=1e-6)
    chance = beyond(normal(np.ones((1, 1)), 0.5), of(limit), "below")
    assert chance == pytest.approx(norm.cdf((limit - 1) / 0.5), rel=1e-6)


def test_a_line_reaches_the_limit_when_it_does() -> None:
    found = time_to_threshold(normal(line(0.5, 0.02), 0.01), HORIZONS, of(0.75), "above", of(0.5))
    assert found.median == pytest.approx(12.5 * HOUR)
    assert found.early == pytest.approx((0.25 - 0.01 * norm.ppf(0.9)) / 0.02 * HOUR)
    assert 11 * HOUR < found.early[0] < found.median[0]


def test_within_the_first_horizon_the_way_from_now_is_straight() -> None:
    found = time_to_threshold(normal(line(0.5, 0.4), 0.0), HORIZONS, of(0.6), "above", of(0.5))
    assert found.median == pytest.approx(0.25 * HOUR)
    found = time_to_threshold(normal(line(0.5, 0.4), 0.0), HORIZONS, of(0.6), "above", of(np.nan))
    assert found.median == pytest.approx(HOUR)  # not known before


def test_a_level_that_the_forecast_does_not_have_is_read_between_and_beyond_its_own() -> None:
    sure = time_to_threshold(normal(line(0.5, 0.02), 0.05), HORIZONS, of(0.75), "above", of(0.5))
    few = normal(line(0.5, 0.02), 0.05, (0.3, 0.6))
    found = time_to_threshold(few, HORIZONS, of(0.75), "above", of(0.5))
    assert found.early == pytest.approx(sure.early)
    assert found.median == pytest.approx(sure.median)


def test_downwards_is_upwards_in_a_mirror() -> None:
    up = time_to_threshold(normal(line(0.5, 0.02), 0.01), HORIZONS, of(0.75), "above", of(0.5))
    down = time_to_threshold(normal(line(-0.5, -0.02), 0.01), HORIZONS, of(-0.75), "below", of(-0.5))
    assert down.median == pytest.approx(up.median)
    assert down.early == pytest.approx(up.early)


def test_what_is_not_within_the_longest_horizon_is_infinite() -> None:
    found = time_to_threshold(normal(line(0.5, 1e-9), 1e-9), HORIZONS, of(0.9), "above", of(0.5))
    assert found.median == np.inf
    assert found.early == np.inf


def test_one_time_in_ten_may_be_within_while_as_likely_as_not_is_never() -> None:
    found = time_to_threshold(
        normal(line(0.5, 0.0), 0.02 * np.arange(1, 25, dtype=np.float64)), HORIZONS, of(0.8), "above", of(0.5)
    )
    assert found.median == np.inf
    assert found.early == pytest.approx(0.3 / 0.02 / norm.ppf(0.9) * HOUR, rel=0.05)


def test_what_is_there_now_takes_no_time() -> None:
    falls = normal(line(0.95, -0.1), 0.001)
    found = time_to_threshold(falls, HORIZONS, of(0.9), "above", of(0.95))
    assert (found.median[0], found.early[0]) == (0.0, 0.0)
    assert crossing(falls, HORIZONS, of(0.9), "above", of(0.95), [HOUR, 12 * HOUR]).tolist() == [[1.0, 1.0]]


def test_a_forecast_without_width_is_certain() -> None:
    flat = normal(np.full((2, 24), 3.0), 0.0)
    found = time_to_threshold(flat, HORIZONS, np.array([3.0, 3.1]), "above", np.array([2.0, 2.0]))
    assert found.median[0] <= HOUR
    assert found.median[1] == np.inf


def test_what_is_not_known_is_no_number() -> None:
    mean = np.vstack([line(0.5, 0.02), np.full((1, 24), np.nan)])
    found = time_to_threshold(normal(mean, 0.01), HORIZONS, np.array([np.nan, 0.7]), "above", np.array([0.5, np.nan]))
    assert np.isnan(found.median).all()
    assert np.isnan(crossing(normal(mean, 0.01), HORIZONS, np.array([np.nan, 0.7]), "above", of(0.5), [HOUR])).all()


def test_one_quantile_alone_is_a_step() -> None:
    found = time_to_threshold(normal(line(0.5, 0.02), 0.01, (0.5,)), HORIZONS, of(0.75), "above", of(0.5))
    assert 12 * HOUR <= found.median[0] <= 13 * HOUR


def test_a_peak_that_is_over_by_then_counts() -> None:
    peak = np.where(np.arange(1, 25) == 6, 1.0, 0.5)[None, :]
    chances = crossing(normal(peak, 0.01), HORIZONS, of(0.9), "above", of(0.5), [2 * HOUR, 6 * HOUR, 24 * HOUR])
    assert chances[0] == pytest.approx([0.0, 1.0, 1.0], abs=1e-6)


@given(
    st.lists(st.floats(-5, 5), min_size=4, max_size=4),
    st.floats(0.01, 3),
    st.floats(-6, 6),
    st.sampled_from(["above", "below"]),
)
def test_chances_are_chances_and_never_fall(path: list[float], spread: float, limit: float, side: Side) -> None:
    horizons = [1.0, 2.0, 4.0, 8.0]
    forecast = normal(np.array([path]), spread)
    chances = crossing(forecast, horizons, of(limit), side, of(0.0), [0.0, 0.5, 1.0, 3.0, 8.0, 99.0])[0]
    assert ((chances >= 0) & (chances <= 1)).all()
    assert (np.diff(chances) >= 0).all()
    found = time_to_threshold(forecast, horizons, of(limit), side, of(0.0))
    assert 0 <= found.early[0] <= found.median[0]
