"""How good forecasts were: against numbers worked out by hand."""

from collections.abc import Sequence

import numpy as np
import pytest

from presagio.exporter.forecast_quality import ForecastQuality, Quality
from presagio.exporter.history import History
from presagio.exporter.outlook import Outlook
from presagio.exporter.signals import Key

MINUTE = 60.0
HORIZONS = (MINUTE, 3 * MINUTE)
NAN = np.nan


def keys(count: int) -> list[Key]:
    return [Key(f"s{row}", "load", ()) for row in range(count)]


def said(minute: float, now: Sequence[float], mean: Sequence[float], width: float = 1.0) -> Outlook:
    """Return forecasts of series that are `now`, the same at both horizons."""
    means = np.repeat(np.array(mean, dtype=np.float64)[:, None], 2, axis=1)
    return Outlook(
        minute * MINUTE, keys(len(now)), np.array(now, dtype=np.float64), HORIZONS, means, means - width,
        means + width, {},
    )  # fmt: skip


def came(rows: Sequence[Sequence[float]], first: float = 0.0) -> History:
    values = np.array(rows, dtype=np.float64)
    return History(keys(len(values)), np.arange(first, first + values.shape[1], dtype=np.float64) * MINUTE, values)


def steps(count: int, length: int) -> History:
    """Return series that rise by one a minute."""
    return came([[float(step) for step in range(length)] for _ in range(count)])


def told(quality: ForecastQuality) -> dict[float, Quality]:
    return {one.horizon: one for one in quality.told()}


def test_an_error_is_told_in_errors_of_it_stays_as_it_is() -> None:
    """Series rise by 1 a minute; at minute 10 it is said that they will be 12.5."""
    quality = ForecastQuality()
    quality.note(said(10, [10.0] * 20, [12.5] * 20))
    quality.compare(steps(20, 14))
    got = told(quality)
    assert got[MINUTE].scaled_error == pytest.approx(1.5)  # 11 came: off by 1.5, and by 1 if it had stayed
    assert got[3 * MINUTE].scaled_error == pytest.approx(0.5 / 3)
    assert got[MINUTE].coverage == 0.0
    assert got[3 * MINUTE].coverage == 1.0


def test_series_of_many_sizes_count_alike() -> None:
    quality = ForecastQuality()
    small, large = [float(step) for step in range(12)], [1e6 * step for step in range(12)]
    quality.note(said(10, [10.0, 10e6] * 10, [11.0, 10e6] * 10))  # half of them perfect, half as if they stayed
    quality.compare(came([small, large] * 10))
    assert told(quality)[MINUTE].scaled_error == pytest.approx(0.5)


def test_coverage_is_the_share_between_the_bounds_and_a_bound_is_between() -> None:
    quality = ForecastQuality()
    quality.note(said(10, [10.0] * 20, [11.0] * 5 + [12.0] * 10 + [12.1] * 5))
    quality.compare(steps(20, 12))
    assert told(quality)[MINUTE].coverage == pytest.approx(0.75)


def test_a_constant_that_was_told_to_a_hair_is_covered_and_has_no_scaled_error() -> None:
    quality = ForecastQuality()
    quality.note(said(10, [0.3] * 20, [0.1 + 0.2] * 20, width=0.0))
    quality.compare(came([[0.3] * 12] * 20))
    assert told(quality)[MINUTE] == Quality(MINUTE, None, 1.0)


def test_each_forecast_is_compared_once_at_each_horizon_when_its_time_has_come() -> None:
    quality = ForecastQuality()
    quality.note(said(10, [10.0] * 20, [12.5] * 20))
    quality.compare(steps(20, 11))
    assert told(quality) == {}
    for _ in range(3):
        quality.compare(steps(20, 13))
    assert set(told(quality)) == {MINUTE}
    # another that is perfect: had the first been counted three times, it would not come to nearly a half
    quality.note(said(12, [12.0] * 20, [13.0] * 20))
    quality.compare(steps(20, 14))
    assert told(quality)[MINUTE].scaled_error == pytest.approx(0.98 * 30 / (0.98 * 20 + 20))


def test_too_few_comparisons_are_not_told() -> None:
    quality = ForecastQuality()
    quality.note(said(10, [10.0] * 19, [11.0] * 19))
    quality.compare(steps(19, 14))
    assert told(quality) == {}


def test_what_came_while_nobody_looked_and_what_is_missing_does_not_count() -> None:
    quality = ForecastQuality()
    quality.note(said(10, [10.0] * 40, [11.0] * 40))
    quality.compare(came([[50.0, 51.0, 52.0]] * 40, first=50))
    assert told(quality) == {}
    quality.note(said(52, [10.0] * 40, [11.0] * 40))
    quality.compare(came([[50.0, 51.0, 52.0, NAN, 54.0, 55.0]] * 40, first=50))
    assert set(told(quality)) == {3 * MINUTE}


def test_a_series_that_is_gone_does_not_count() -> None:
    quality = ForecastQuality()
    quality.note(said(10, [10.0] * 40, [11.0] * 40))
    quality.compare(steps(25, 12))
    assert told(quality)[MINUTE] == Quality(MINUTE, 0.0, 1.0)
    quality.note(said(11, [11.0] * 40, [12.0] * 40))
    quality.compare(History([], np.arange(20.0) * MINUTE, np.zeros((0, 20))))
    assert told(quality)[MINUTE].coverage == 1.0


def test_forecasts_of_nearly_the_same_time_are_kept_once_and_old_ones_not_for_ever() -> None:
    quality = ForecastQuality()
    apart = HORIZONS[-1] / 48
    for number in range(100):
        quality.note(said(number * apart / 2 / MINUTE, [0.0], [0.0]))
    assert len(quality._waiting) == 50
    quality.compare(steps(1, 100))
    assert len(quality._waiting) == 0
