"""How surprising a run is."""

import numpy as np

from presagio.detectors.runs import Runs

ONE = np.ones(1, dtype=bool)


def chances(active: list[bool], least: int = 30) -> list[float]:
    runs = Runs(least)
    runs.reindex(np.array([-1]))
    return [float(runs.step(np.array([inside]), ONE)[0]) for inside in active]


def test_a_first_run_after_many_ordinary_samples_is_rare_and_grows_rarer() -> None:
    got = chances([False] * 1000 + [True] * 10)[-10:]
    assert got[0] < 0.002
    assert got == sorted(got, reverse=True)
    assert got[-1] < 1e-5


def test_before_enough_ordinary_samples_no_run_is_remarkable() -> None:
    assert set(chances([False] * 29 + [True] * 100)) == {1.0}


def test_who_often_pauses_may_pause() -> None:
    pausing = ([False] * 10 + [True] * 5) * 100
    assert min(chances(pausing)[750:]) > 1e-3


def test_one_long_outage_does_not_make_the_next_look_usual() -> None:
    got = chances([False] * 1000 + [True] * 5000 + [False] * 1000 + [True] * 30)
    assert got[-1] < 1e-6


def test_rows_not_watched_stand_still() -> None:
    runs = Runs(1)
    runs.reindex(np.array([-1]))
    for _ in range(50):
        runs.step(np.array([False]), ONE)
    before = {name: array.copy() for name, array in runs.state("").items()}
    assert runs.step(np.array([True]), ~ONE)[0] == 1.0
    for name, array in runs.state("").items():
        np.testing.assert_array_equal(array, before[name])
