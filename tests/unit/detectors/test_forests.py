"""What is special about `isolation_forest` and `half_space_trees`."""

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest as Sklearn

from presagio.detectors.half_space_trees import HalfSpaceTrees, HalfSpaceTreesParams, cuts
from presagio.detectors.heap_forest import grow, walk
from presagio.detectors.isolation_forest import IsolationForest, IsolationForestParams

KINDS = [(IsolationForest, IsolationForestParams), (HalfSpaceTrees, HalfSpaceTreesParams)]


def test_the_heap_says_what_scikit_learn_says() -> None:
    rng = np.random.default_rng(0)
    sample, points = rng.normal(size=(200, 3)), rng.normal(size=(50, 3)) * 2
    feature, cut, path = grow(sample, 16, seed=1)
    own = {
        name: np.repeat(array[None], 50, axis=0)
        for name, array in (("feature", feature), ("cut", cut), ("path", path))
    }
    theirs = Sklearn(n_estimators=16, max_samples=64, random_state=1).fit(sample)
    np.testing.assert_allclose(walk(own, points), -theirs.score_samples(points), rtol=1e-5)


@pytest.mark.parametrize(("kind", "params"), KINDS, ids=["isolation_forest", "half_space_trees"])
def test_a_value_between_two_usual_levels_is_stranger_than_either(kind: Any, params: Any) -> None:
    rng = np.random.default_rng(0)
    detector = kind(params())
    detector.reindex(np.full(20, -1))
    for number in range(2500):
        level = 100.0 if number // 40 % 2 else 200.0
        detector.step(number * 15.0, level + rng.normal(0, 2, 20))
    fault = np.zeros(20)
    between, usual = (detector.look(moment(value)).r for value in (150.0, 200.0))
    assert np.mean(between > usual) == 1
    assert not np.isnan(detector.step(2500 * 15.0, np.full(20, 150.0), fault).score).any()


def moment(value: float) -> Any:
    from presagio.detectors.streaming import Moment

    return Moment(2500 * 15.0, np.full(20, value))


def test_rows_grow_at_moments_of_their_own() -> None:
    detector = IsolationForest(IsolationForestParams())
    detector.reindex(np.full(40, -1))
    for number, row in enumerate(np.random.default_rng(0).normal(100, 5, (300, 40))):
        detector.step(number * 15.0, row)
    grown = detector.learnt["grown"]
    assert not np.isnan(grown).any()
    assert np.unique(grown, return_counts=True)[1].max() <= 6


def test_forests_are_grown_ever_less_often() -> None:
    detector = IsolationForest(IsolationForestParams.model_validate({"refit_every": "1h"}))
    detector.reindex(np.array([-1]))
    moments = set()
    for number, row in enumerate(np.random.default_rng(0).normal(100, 5, (2000, 1))):
        detector.step(number * 15.0, row)
        moments.add(float(np.nan_to_num(detector.learnt["grown"][0])))
    gaps = np.diff(sorted(moments - {0.0}))
    assert 5 <= len(gaps) <= 15
    assert gaps.max() <= 3600


def test_a_half_space_holds_what_its_halves_hold() -> None:
    params = HalfSpaceTreesParams(window=50)
    detector = HalfSpaceTrees(params)
    detector.reindex(np.array([-1]))
    for number, row in enumerate(np.random.default_rng(0).normal(100, 5, (200, 1))):
        detector.step(number * 15.0, row)
    mass = detector.learnt["reference"][0].astype(int)
    inner = np.arange(2**params.depth - 1)
    assert (mass[:, 0] == 50).all()
    np.testing.assert_array_equal(mass[:, inner], mass[:, 2 * inner + 1] + mass[:, 2 * inner + 2])


def test_cuts_come_from_the_seed_alone() -> None:
    (one, here), (other, there), (_, elsewhere) = cuts(5, 4, 2, 1), cuts(5, 4, 2, 1), cuts(5, 4, 2, 2)
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(here, there)
    assert not np.array_equal(here, elsewhere)
