"""What a series is expected to be, by the forecast that has foretold it best."""

import numpy as np
import pytest

from presagio.detectors.levels import Levels
from presagio.detectors.profile import Profile, ProfileParams
from presagio.detectors.season import Usual

STEP, DAY = 300.0, 86_400.0
A_DAY = int(DAY / STEP)
START = 1_699_833_600.0
"""A Monday, midnight UTC."""

FLAT, WEEKLY, FAST = 0, 2, 3
NOTHING = np.array([np.nan])


def profile(values: np.ndarray, **params: object) -> Profile:
    """Return a profile that has seen values[t, n]."""
    detector = Profile(ProfileParams.model_validate(params))
    detector.reindex(np.full(values.shape[1], -1))
    for number, row in enumerate(values):
        detector.step(START + number * STEP, row)
    return detector


def noise(days: int, rows: int = 4) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 5, (days * A_DAY, rows))


def hours(days: int) -> np.ndarray:
    return (np.arange(days * A_DAY) * STEP % DAY / 3600)[:, None]


def test_no_season_is_used_where_there_is_none() -> None:
    assert (profile(100 + noise(5)).levels.rows.chosen == FLAT).all()


def test_a_season_is_used_where_it_foretells_better() -> None:
    values = 100 + 40 * np.sin(2 * np.pi * hours(5) / 24) + noise(5)
    assert (profile(values).levels.rows.chosen % FAST != FLAT).all()


def test_a_season_is_never_used_where_there_shall_be_none() -> None:
    values = 100 + 40 * np.sin(2 * np.pi * hours(4) / 24) + noise(4)
    detector = profile(values, season="none")
    verdict = detector.step(START + 4 * DAY + 6 * 3600, np.full(4, 140.0))
    assert (verdict.expected < 120).all()


def test_weekends_make_a_week_of_it() -> None:
    """Both days of the weekend lie lower: the week foretells its first morning and the Monday, the day neither."""
    days = 16
    weekend = (np.arange(days * A_DAY) // A_DAY % 7 >= 5)[:, None]
    detector = profile(np.where(weekend, 50.0, 100.0) + noise(days))
    assert (detector.levels.rows.chosen % FAST == WEEKLY).all()
    saturday = detector.step(START + 19 * DAY + 12 * 3600, np.full(4, np.nan)).expected
    np.testing.assert_allclose(saturday, 50, atol=10)


def test_to_follow_what_wanders_faster_is_no_anomaly() -> None:
    """A day and a half is enough to see that a fast level is better than the slow one."""
    values = 1000 + np.random.default_rng(5).normal(0, 1, (2880, 60)).cumsum(axis=0)
    detector = Profile(ProfileParams())
    detector.reindex(np.full(60, -1))
    scores = np.array([detector.step(START + number * 60.0, row).score for number, row in enumerate(values)])
    assert np.mean(detector.levels.rows.chosen >= FAST) > 0.3
    assert np.mean(scores[1000:] >= 0.6) < 1e-3


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_a_level_follows_as_far_as_its_weight_lets_it(weight: float) -> None:
    levels = fresh(100.0)
    unknown, one = Usual(NOTHING, NOTHING, NOTHING, NOTHING), np.ones(1)
    for _ in range(50):
        levels.expect(unknown)
        levels.seen(np.array([True]))
        levels.learn(
            np.array([200.0]), weight * one, STEP * one, 5 * one, unknown, np.array([True]), np.array([True])
        )  # fmt: skip
    assert levels.level[0] == pytest.approx(200.0 if weight else 100.0)


def test_a_shift_moves_every_forecast() -> None:
    levels = fresh(100.0)
    usual = Usual(np.array([120.0]), np.array([130.0]), NOTHING, NOTHING)
    before = []
    for chosen in range(6):
        levels.rows.chosen[:] = chosen
        before.append(levels.expect(usual)[0])
    levels.shift(np.array([True]), np.array([7.0]))
    for chosen in range(6):
        levels.rows.chosen[:] = chosen
        assert levels.expect(usual)[0] == before[chosen] + 7.0
    assert before == [100.0, 120.0, 130.0] * 2


def test_an_unknown_week_is_the_day_and_an_unknown_day_is_flat() -> None:
    levels = fresh(100.0)
    levels.rows.chosen[:] = WEEKLY
    assert levels.expect(Usual(NOTHING, NOTHING, NOTHING, NOTHING))[0] == 100.0
    assert levels.expect(Usual(np.array([120.0]), NOTHING, NOTHING, NOTHING))[0] == 120.0


def fresh(value: float) -> Levels:
    levels = Levels(seasonal=True)
    for _, part in levels.parts():
        part.reindex(np.array([-1]))
    levels.begin(np.array([value]), np.array([True]))
    return levels
