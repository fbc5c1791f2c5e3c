"""What is special about `seasonal_quantile`."""

import numpy as np
import pytest

from presagio.detectors.seasonal_quantile import SeasonalQuantile, SeasonalQuantileParams

MINUTE, HOUR, DAY = 60, 3600, 86400


def run(days: float, peak: float, **params: object) -> tuple[SeasonalQuantile, np.ndarray, np.ndarray]:
    """Return the detector, times and scores of a series that is 100, and `peak` between 9 and 10 o'clock."""
    detector = SeasonalQuantile(SeasonalQuantileParams.model_validate(params))
    detector.reindex(np.array([-1]))
    times = np.arange(0, days * DAY, MINUTE)
    usual = np.where(times % DAY // HOUR == 9, peak, 100.0)
    values = usual + np.random.default_rng(0).normal(0, 3, len(times))
    scores = [
        detector.step(float(time), np.array([value])).score[0] for time, value in zip(times, values, strict=True)
    ]
    return detector, times, np.array(scores)


def test_a_daily_peak_is_known_from_the_third_day_on() -> None:
    _, times, scores = run(5, peak=400)
    peaks = times % DAY // HOUR == 9
    assert scores[peaks & (times < DAY)].max() > 0.6
    assert scores[peaks & (times > 2 * DAY)].max() < 0.6


def test_a_peak_that_does_not_come_is_found() -> None:
    detector, _, _ = run(5, peak=400)
    assert detector.step(5 * DAY + 9.5 * HOUR, np.array([100.0])).score[0] > 0.6


def test_quantiles_are_those_of_the_hour() -> None:
    detector, _, _ = run(5, peak=400)
    low, median, high = detector._usual(9)[0]
    assert abs(median - 400) < 3
    assert abs(low - (400 - 1.645 * 3)) < 3
    assert abs(high - (400 + 1.645 * 3)) < 3


@pytest.mark.parametrize(("hours", "expected"), [("day", 1), ("week", 6 * 24 + 1)])
def test_hours_are_those_of_the_wall(hours: str, expected: int) -> None:
    params = {"hours": hours, "calendar": {"time_zone": "Europe/Rome"}}
    detector = SeasonalQuantile(SeasonalQuantileParams.model_validate(params))
    assert detector.hour(3 * DAY + 30 * MINUTE) == expected  # a Sunday, half past midnight in London
