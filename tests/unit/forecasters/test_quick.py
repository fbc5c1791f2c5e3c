"""Our own forecaster on the shapes that operators know, beside what predict_linear says of them."""

import numpy as np
import pytest

from presagio.forecasters.base import Floats, Forecast, ForecasterParams
from presagio.forecasters.quick import Quick
from presagio.forecasters.threshold import crossing, time_to_threshold

STEP = 300.0
PER_DAY = 288
HOURS = [3600.0 * hour for hour in range(1, 25)]
DAY = np.arange(7 * PER_DAY) / PER_DAY


def noise(size: float, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(0, size, len(DAY))


def ahead(values: Floats, maximum: float = 1.0) -> Forecast:
    return Quick(ForecasterParams(minimum=0.0, maximum=maximum)).forecast(values[None, :], STEP, HOURS)


def median_hours(values: Floats, limit: float) -> float:
    found = time_to_threshold(ahead(values), HOURS, np.array([limit]), "above", values[-1:])
    return float(found.median[0]) / 3600


def predict_linear(values: Floats, hours: float, over: int = 72) -> float:
    """What PromQL's predict_linear(x[6h], hours * 3600) gives."""
    slope, level = np.polyfit(np.arange(over) - (over - 1), values[-over:], 1)
    return float(level + slope * hours * 3600 / STEP)


def cleaned_each_night(noisy: float = 0.003) -> Floats:
    return 0.6 + 0.25 * ((DAY + 0.25) % 1) + noise(noisy)


def test_a_disk_that_is_cleaned_each_night_never_fills_and_predict_linear_says_it_does() -> None:
    disk = cleaned_each_night()
    told, ours = [], []
    for end in range(4 * PER_DAY, 7 * PER_DAY, 36):
        told.append(predict_linear(disk[:end], 24) > 0.95)
        ours.append(median_hours(disk[:end], 0.95))
    assert sum(told) > len(told) / 4
    assert set(ours) == {np.inf}


def test_a_disk_that_fills_is_seen_hours_ahead() -> None:
    disk = 0.5 + 0.02 * (DAY - 5.5).clip(0) / (1 / 24) * 0.5 + noise(0.002)  # one per cent an hour since day 5.5
    truly = (0.95 - disk[-1]) / 0.01
    assert median_hours(disk, 0.95) == pytest.approx(truly, rel=0.25)


def test_a_disk_cleaned_each_night_that_fills_today_is_seen() -> None:
    disk = cleaned_each_night() + 0.08 * (DAY - 6.75).clip(0) * 24  # eight per cent an hour for six hours
    now = disk[:-24]
    assert median_hours(now, 1.45) == np.inf
    assert median_hours(disk[: int(6.85 * PER_DAY)], 0.98) < 4


def test_a_service_that_leaks_and_is_restarted_each_day_is_not_out_of_memory() -> None:
    memory = 0.3 + 0.4 * ((DAY + 0.3) % 1) + noise(0.005)
    assert median_hours(memory, 0.9) == np.inf


def test_a_leak_of_two_hours_among_seven_days_is_followed() -> None:
    memory = 0.4 + 3 * (DAY - 6.917).clip(0) + noise(0.01)
    truly = (0.9 - 0.649) / 3 * 24
    found = median_hours(memory, 0.9)
    assert truly / 2 < found < 8 * truly
    chances = crossing(ahead(memory), HOURS, np.array([0.9]), "above", memory[-1:], [600.0, 86_400.0])
    assert chances[0, 0] < 0.1
    assert chances[0, 1] > 0.5


def test_a_daily_load_is_what_it_is_at_that_hour() -> None:
    load = 0.4 + 0.3 * np.sin(2 * np.pi * DAY) + noise(0.02)
    found = ahead(load)
    truly = 0.4 + 0.3 * np.sin(2 * np.pi * np.arange(1, 25) / 24)
    assert np.abs(found.mean[0] - truly).mean() < 0.02
    assert median_hours(load, 0.85) == np.inf


def test_a_walk_is_where_it_is_and_ever_less_sure() -> None:
    walk = 0.5 + np.cumsum(noise(0.002))
    found = ahead(walk)
    assert found.mean[0] == pytest.approx(walk[-1], abs=0.06)
    width = found.quantiles[0, :, 3] - found.quantiles[0, :, 1]
    assert width[-1] > 2 * width[0]


def test_what_saturates_stays_within_its_limit() -> None:
    disk = np.minimum(1.0, 0.4 + 0.12 * DAY)
    assert (ahead(disk).quantiles <= 1.0).all()


def test_one_wild_sample_changes_little() -> None:
    quiet = 0.4 + noise(0.005)
    wild = quiet.copy()
    wild[-10] = 50.0
    assert ahead(wild, np.inf).mean[0] == pytest.approx(ahead(quiet, np.inf).mean[0], abs=0.02)


def test_eighty_per_cent_of_what_comes_is_within_eighty_per_cent() -> None:
    """Over many days, hours and seeds of a daily load with noise."""
    inside = []
    for seed in range(6):
        load = 0.4 + 0.2 * np.sin(2 * np.pi * DAY) + noise(0.02, seed)
        for end in range(5 * PER_DAY, 7 * PER_DAY - 24, 47):
            found = ahead(load[:end])
            came = load[end + 11]  # in an hour
            inside.append(found.quantiles[0, 0, 1] <= came <= found.quantiles[0, 0, 3])
    assert 0.7 < np.mean(inside) < 0.9
