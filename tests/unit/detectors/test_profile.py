"""What the default detector must see, and what it must not."""

import numpy as np

from presagio.detectors.profile import Profile, ProfileParams

INTERVAL = 15.0
HOUR = int(3600 / INTERVAL)


def scores(values: np.ndarray, **params: object) -> np.ndarray:
    detector = Profile(ProfileParams.model_validate(params))
    detector.reindex(np.array([-1]))
    return np.array([detector.step(t * INTERVAL, np.array([value])).score[0] for t, value in enumerate(values)])


def normal(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(100.0, 5.0, samples)


def test_an_outage_to_zero_is_anomalous_at_once_and_as_long_as_it_lasts() -> None:
    values = np.concatenate([normal(HOUR), np.zeros(6 * HOUR), normal(HOUR, 1)])
    got = scores(values)
    assert got[HOUR : 7 * HOUR].min() > 0.6
    assert got[7 * HOUR + 1 :].max() < 0.6


def test_zeros_of_a_wild_series_that_is_never_zero_become_anomalous_as_they_last() -> None:
    wild = np.random.default_rng(0).lognormal(0, 1.5, 8 * HOUR)
    wild[-HOUR // 4 :] = 0
    got = scores(wild)[-HOUR // 4 :]
    assert got[0] < 0.6 < got[15]
    assert (np.diff(got) >= 0).all()


def test_zeros_of_a_series_that_often_is_zero_are_ordinary() -> None:
    sparse = np.random.default_rng(0).poisson(0.2, 12 * HOUR).astype(float)
    assert np.mean(scores(sparse)[HOUR:] >= 0.6) < 1e-3


def test_a_step_keeps_firing_and_clears_when_it_ends() -> None:
    values = np.concatenate([normal(HOUR), 3 * normal(6 * HOUR, 1), normal(HOUR, 2)])
    got = scores(values)
    assert np.mean(got[HOUR : 7 * HOUR] > 0.6) > 0.99
    assert got[7 * HOUR + 2 :].max() < 0.6


def test_a_level_that_holds_for_adapt_after_is_the_new_normal() -> None:
    values = np.concatenate([normal(HOUR), 3 * normal(4 * HOUR, 1)])
    got = scores(values, adapt_after="2h")
    assert got[3 * HOUR - 5] > 0.6
    assert np.mean(got[3 * HOUR + 5 :] > 0.6) < 0.01


def test_a_leak_that_goes_on_is_never_adopted() -> None:
    leak = 100 + np.arange(4 * HOUR) * 10.0
    got = scores(np.concatenate([normal(HOUR), leak]), adapt_after="1h")
    assert got[HOUR + 60 :].min() > 0.6


def test_what_happens_often_is_not_impossible_for_long() -> None:
    values = normal(8 * HOUR)
    values[::10] += 200
    got = scores(values)
    assert np.mean(got[4 * HOUR :] >= 0.6) < 1e-3


def test_the_band_holds_the_samples_it_promises_to_hold() -> None:
    detector = Profile(ProfileParams())
    detector.reindex(np.full(200, -1))
    outside = []
    for t, row in enumerate(np.random.default_rng(3).normal(100, 5, (3000, 200))):
        verdict = detector.step(t * INTERVAL, row)
        beyond = (row < verdict.lower) | (row > verdict.upper)
        if t > 1000:
            outside.append(beyond)
            # What lies outside the band is unusual; what is unusual may be a jump inside it.
            assert (verdict.score[beyond] > 0.25).all()
    assert 0.0002 < np.mean(outside) < 0.001
