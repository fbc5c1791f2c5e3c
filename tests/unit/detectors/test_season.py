"""What is usual at a time of the day and of the week, by itself and inside the profile."""

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from presagio.detectors.calendar import Calendar
from presagio.detectors.profile import Profile, ProfileParams
from presagio.detectors.season import Season, Usual

STEP, HOUR, DAY = 300.0, 3600.0, 86_400.0
A_DAY = int(DAY / STEP)
START = 1_699_833_600.0
"""A Monday, midnight UTC."""

UTC = Calendar()
VIENNA = ZoneInfo("Europe/Vienna")


def fresh(rows: int = 1) -> Season:
    season = Season()
    for _, part in season.parts():
        part.reindex(np.full(rows, -1))
    return season


def live(
    season: Season, values: np.ndarray, start: float = START, spread: float = 5.0, calendar: Calendar = UTC
) -> None:
    """Show a season values[t, n], five minutes apart."""
    for number, row in enumerate(values):
        seen = ~np.isnan(row)
        season.turn(calendar.phase(start + number * STEP), np.full(len(row), spread), seen)
        season.learn(row, seen)


def usual(season: Season, time: float, calendar: Calendar = UTC) -> Usual:
    """Return what is usual at `time`, the bins before it put away."""
    rows = len(season.sums.bin)
    season.turn(calendar.phase(time), np.ones(rows), np.ones(rows, dtype=bool))
    return season.usual(calendar.phase(time))


def days(*levels: float, rows: int = 1) -> np.ndarray:
    """Return one day for each level."""
    return np.repeat(np.array(levels), A_DAY)[:, None] * np.ones(rows)


def test_nothing_is_usual_before_a_day_has_passed() -> None:
    season = fresh()
    live(season, days(100.0)[: A_DAY // 2])
    assert np.isnan(usual(season, START + 0.75 * DAY).day[0])


def test_one_bad_day_of_three_is_forgotten() -> None:
    for levels in ((100.0, 100.0, 300.0), (100.0, 300.0, 100.0), (300.0, 100.0, 100.0)):
        season = fresh()
        live(season, days(*levels))
        assert abs(usual(season, START + 3 * DAY + 12 * HOUR).day[0] - 100) < 0.5


def test_a_new_habit_is_usual_from_its_third_day() -> None:
    season = fresh()
    live(season, days(100.0, 100.0, 100.0, 300.0, 300.0))
    assert abs(usual(season, START + 5 * DAY + 12 * HOUR).day[0] - 300) < 0.5


def test_between_the_middles_of_bins_it_is_interpolated() -> None:
    """A slope of 24 an hour is 6 a bin; the means of bins stand in their middles."""
    season = fresh()
    slope = np.arange(A_DAY)[:, None] * STEP / HOUR * 24
    live(season, np.concatenate([slope] * 3))
    half_past = usual(season, START + 3 * DAY + 12.5 * HOUR).day[0]
    later = usual(season, START + 3 * DAY + 12.75 * HOUR).day[0]
    assert abs(later - half_past - 6) < 0.5


def test_the_day_says_nothing_of_weekends_and_the_week_does() -> None:
    season = fresh()
    live(season, np.where(np.arange(19 * A_DAY) // A_DAY % 7 >= 5, 50.0, 100.0)[:, None])
    saturday = usual(season, START + 19 * DAY + 12 * HOUR)
    assert abs(saturday.week[0] - 50) < 0.5
    assert abs(saturday.day[0] - 100) < 0.5


def test_a_holiday_is_lived_like_a_sunday_and_leaves_mondays_as_they_are() -> None:
    """Monday, 26 October 2026, is one in Austria; Sundays are quiet, and so is it."""
    start = datetime(2026, 10, 12, tzinfo=VIENNA).timestamp()
    day = np.arange(15 * A_DAY) // A_DAY
    values = np.where((day % 7 == 6) | (day == 14), 20.0, 100.0)[:, None]
    for country, foretold in (("AT", 20), ("", 100)):
        calendar, season = Calendar(time_zone="Europe/Vienna", holidays=country), fresh()
        noon = start + 14 * DAY + 13 * HOUR
        live(season, values[: 14 * A_DAY], start, calendar=calendar)
        assert abs(usual(season, noon, calendar).week[0] - foretold) < 0.5
    calendar, season = Calendar(time_zone="Europe/Vienna", holidays="AT"), fresh()
    live(season, values, start, calendar=calendar)
    assert abs(usual(season, noon + 7 * DAY, calendar).week[0] - 100) < 0.5


def test_what_both_of_the_last_two_days_had_recurs_and_what_one_had_does_not() -> None:
    for levels, high in (((100.0, 200.0, 200.0), 200.0), ((100.0, 100.0, 200.0), 150.0)):
        season = fresh()
        live(season, days(*levels))
        found = usual(season, START + 3 * DAY + 12 * HOUR)
        assert abs(found.high[0] - high) < 0.5
        assert found.low[0] <= found.high[0]


def test_values_from_1_to_1e9_fit_and_no_warning_is_given() -> None:
    """Half precision ends at 65,504: the unit grows with what it has to hold. A warning is an error in pytest."""
    season = fresh(3)
    levels = 10.0 ** np.arange(10)
    live(season, np.concatenate([days(level, rows=3) * [1, -1, 1e-9] for level in levels]), spread=0.1)
    found = usual(season, START + 10 * DAY + 12 * HOUR)
    np.testing.assert_allclose(found.day, [1e8, -1e8, 0.1], rtol=0.01)
    for _, part in season.parts():
        assert all(not np.isinf(array).any() for array in part.state("").values())


def test_a_day_without_samples_leaves_the_days_before_as_they_are() -> None:
    season = fresh(2)
    values = days(100.0, 100.0, 100.0, 100.0, rows=2)
    live(season, values)
    values = days(300.0, 300.0, rows=2)
    values[:, 1] = np.nan
    live(season, values, START + 4 * DAY)
    after = UTC.phase(START + 6 * DAY + 12 * HOUR)
    season.turn(after, np.ones(2), np.array([True, True]))
    np.testing.assert_allclose(season.usual(after).day, [300, 100], atol=0.5)


# Inside the profile.


def profile(rows: int = 1, **params: object) -> Profile:
    detector = Profile(ProfileParams.model_validate(params))
    detector.reindex(np.full(rows, -1))
    return detector


def scores(detector: Profile, values: np.ndarray, start: float = START) -> np.ndarray:
    return np.array([detector.step(start + number * STEP, row).score for number, row in enumerate(values)])


def noise(count: int, rows: int = 4, level: float = 100.0) -> np.ndarray:
    return np.random.default_rng(0).normal(level, 0.03 * level, (count * A_DAY, rows))


def at_ten(count: int) -> np.ndarray:
    """Return [t, 1] where it is between 10 and 11."""
    inside: np.ndarray = np.arange(count * A_DAY) * STEP % DAY // HOUR == 10
    return inside[:, None]


def test_a_daily_peak_is_silent_from_the_third_day_on() -> None:
    got = scores(profile(4), np.where(at_ten(6), 300.0, 0.0) + noise(6))
    assert got[: 2 * A_DAY].max() > 0.6
    assert got[2 * A_DAY :].max() < 0.6


def test_a_fault_of_one_day_does_not_excuse_the_next() -> None:
    """At ten o'clock on the fifth day and again on the sixth: both are found."""
    values = noise(7)
    for day in (4, 5):
        values[day * A_DAY + 120 : day * A_DAY + 132] *= 4
    got = scores(profile(4), values)
    for day in (4, 5):
        assert got[day * A_DAY + 120 : day * A_DAY + 132].min() > 0.6


def test_a_fault_of_one_day_is_not_missed_by_the_next() -> None:
    values = noise(7)
    values[4 * A_DAY + 120 : 4 * A_DAY + 132] *= 4
    assert np.mean(scores(profile(4), values)[5 * A_DAY :] >= 0.6) == 0


def office(start: float, count: int) -> np.ndarray:
    """Return a service that is used from 8 to 18 o'clock in Vienna."""
    hours = [datetime.fromtimestamp(start + number * STEP, VIENNA).hour for number in range(count * A_DAY)]
    values: np.ndarray = np.where([8 <= hour < 18 for hour in hours], 4.0, 1.0)[:, None] * noise(count, 2)
    return values


def test_local_time_hears_nothing_of_daylight_saving_time_and_utc_does() -> None:
    """Clocks in Vienna went forward on Sunday, 31 March 2024."""
    start = datetime(2024, 3, 27, tzinfo=VIENNA).timestamp()
    values, change = office(start, 6), 4 * A_DAY
    local = scores(profile(2, calendar={"time_zone": "Europe/Vienna"}), values, start)
    utc = scores(profile(2), values, start)
    assert local[change:].max() < 0.6
    assert utc[change:].max() > 0.6


def test_a_leak_is_not_learnt_as_a_day() -> None:
    """From 20 to 90 per cent within two days: found before it passes 60."""
    values = noise(8, level=0.2)
    values[5 * A_DAY : 7 * A_DAY] += np.linspace(0, 0.7, 2 * A_DAY)[:, None]
    got = scores(profile(4), values)
    before_60 = slice(5 * A_DAY, 5 * A_DAY + int(2 * A_DAY * 4 / 7))
    assert (got[before_60].max(axis=0) > 0.6).all()
    assert got[5 * A_DAY + 300 : 7 * A_DAY].min() > 0.3


def seasonal(count: int = 5, rows: int = 4) -> np.ndarray:
    hour = np.arange(count * A_DAY)[:, None] * STEP / HOUR
    return noise(count, rows) * (1 + 0.4 * np.sin(2 * np.pi * hour / 24)) * (1 + np.arange(rows))


def test_a_restart_within_a_bin_goes_on_to_the_bit() -> None:
    values, middle = seasonal(), 4 * A_DAY + 121
    assert middle * STEP % 900 != 0
    whole = profile(4)
    expected = scores(whole, values)
    first, second = profile(4), profile(4)
    scores(first, values[:middle])
    second.restore({name: array.copy() for name, array in first.state().items()})
    np.testing.assert_array_equal(scores(second, values[middle:], START + middle * STEP), expected[middle:])
    for name, array in whole.state().items():
        np.testing.assert_array_equal(second.state()[name], array, err_msg=name)


def test_churn_takes_the_season_along() -> None:
    values, middle, order = seasonal(), 3 * A_DAY + 50, np.array([2, 0, 3, 1])
    still, moved = profile(4), profile(4)
    scores(still, values)
    scores(moved, values[:middle])
    moved.reindex(order)
    scores(moved, values[middle:, order], START + middle * STEP)
    for name, array in still.state().items():
        np.testing.assert_array_equal(moved.state()[name], array[order], err_msg=name)


def test_a_fault_that_a_person_named_is_no_part_of_the_season() -> None:
    values = seasonal()
    fault = slice(2 * A_DAY + 100, 2 * A_DAY + 150)
    told, missing = values.copy(), values.copy()
    told[fault] *= 5
    missing[fault] = np.nan
    one, other = profile(4), profile(4)
    for number, row in enumerate(told):
        inside = fault.start <= number < fault.stop
        one.step(START + number * STEP, row, np.full(4, 0.0 if inside else np.nan))
    scores(other, missing)
    for name, array in other.state().items():
        np.testing.assert_array_equal(one.state()[name], array, err_msg=name)


def test_what_lies_out_of_range_is_an_anomaly_and_teaches_nothing() -> None:
    values = noise(3, level=0.5)
    values[2 * A_DAY + 10] = 1.5
    holed = values.copy()
    holed[2 * A_DAY + 10] = np.nan
    one, other = profile(4, range={"min": 0, "max": 1}), profile(4, range={"min": 0, "max": 1})
    assert (scores(one, values)[2 * A_DAY + 10] == 1).all()
    scores(other, holed)
    for name, array in other.state().items():
        np.testing.assert_array_equal(one.state()[name], array, err_msg=name)
