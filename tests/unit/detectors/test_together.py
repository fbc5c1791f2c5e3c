"""The parts of combiners: p-values that are joined, shares, the sample of usual moments, what the models see."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from presagio.detectors.base import score_of
from presagio.detectors.isolation_forest_together import (
    Forest,
    IsolationForestTogether,
    IsolationForestTogetherParams,
)
from presagio.detectors.robust_pca import Plane, RobustPca, RobustPcaParams
from presagio.detectors.together import confidence_of, harmonic, shares, tempered
from presagio.detectors.together_learned import Learned, deviations
from presagio.detectors.usual_moments import Sample

NAN = np.nan


class TestHarmonic:
    def test_equal_chances_stay_what_they_are(self) -> None:
        np.testing.assert_allclose(harmonic(np.array([[0.6, 0.6, 0.6]])), 0.6)

    def test_one_of_k_is_multiplied_by_k(self) -> None:
        """p = 1e-6 beside three signals at p = 1: 4e-6."""
        np.testing.assert_allclose(harmonic(np.array([[0.6, 0.0, 0.0, 0.0]])), score_of(np.array([4e-6])), rtol=1e-5)

    def test_a_missing_signal_is_left_out(self) -> None:
        np.testing.assert_allclose(harmonic(np.array([[0.6, NAN]])), 0.6)
        assert np.isnan(harmonic(np.array([[NAN, NAN]]))).all()

    def test_nothing_unusual_is_0_and_the_most_unusual_1(self) -> None:
        assert harmonic(np.array([[0.0, 0.0], [1.0, 1.0]])).tolist() == [0.0, 1.0]


class TestShares:
    def test_they_are_in_proportion_and_sum_to_1(self) -> None:
        np.testing.assert_allclose(shares(np.array([[0.6, 0.2, NAN]])), [[0.75, 0.25, NAN]])

    def test_without_any_weight_all_are_alike(self) -> None:
        np.testing.assert_array_equal(
            shares(np.array([[0.0, 0.0], [NAN, 0.0], [NAN, NAN]])), [[0.5, 0.5], [NAN, 1.0], [NAN, NAN]]
        )


def test_a_missing_signal_counts_0_and_one_that_the_service_never_had_does_not_count() -> None:
    scores = np.array([[0.1, NAN, NAN]])
    assert confidence_of(scores, np.array([[0.8, 0.0, NAN]])).tolist() == [0.4]
    assert confidence_of(scores, np.array([[0.8, NAN, NAN]])).tolist() == [0.8]


def test_a_score_of_which_nothing_is_known_is_kept_low() -> None:
    assert tempered(np.array([0.9, 0.9, 0.1]), np.array([0.0, 0.1, 0.0])).tolist() == [0.3, 0.9, 0.1]


class TestSample:
    def test_it_is_bounded_and_the_newer_are_likelier(self) -> None:
        sample = Sample(np.arange(2), 300, 1000.0)
        for time in range(10_000):
            sample.add(time, np.full((1, 2), float(time)))
        assert sample.moments.shape == (300, 2)
        ages = 10_000 - sample.moments[:, 0]
        assert 500 < ages.mean() < 2500
        assert ages.max() > 2000

    def test_the_order_of_the_services_does_not_matter(self) -> None:
        one, other = Sample(np.arange(3), 50, 100.0), Sample(np.arange(3), 50, 100.0)
        rng = np.random.default_rng(0)
        for time in range(100):
            moments = rng.normal(size=(7, 3))
            one.add(time, moments)
            other.add(time, moments[::-1])
        one.take(100)
        other.take(100)
        np.testing.assert_array_equal(one.fitted, other.fitted)

    def test_its_signals_follow_churn(self) -> None:
        sample = Sample(np.array([0, 2]), 10, 100.0)
        sample.add(0, np.array([[1.0, 2.0]]))
        moved = sample.moved(np.array([2, 1, -1, 0]))
        assert moved is not None
        assert (moved.columns.tolist(), moved.moments.tolist()) == ([0, 3], [[2.0, 1.0]])
        assert sample.moved(np.array([1, 2])) is None

    def test_arrays_that_do_not_belong_together_are_refused(self) -> None:
        sample = Sample(np.arange(2), 10, 100.0)
        sample.add(0, np.ones((3, 2)))
        with pytest.raises(ValueError, match="lengths"):
            Sample(np.arange(2), 10, 100.0).restore({**sample.state(), "priority": np.zeros(1)})


def learnt(combiner: Learned, moments: np.ndarray) -> None:
    combiner.reindex(np.full(moments.shape[1], -1), np.full(moments.shape[2], -1))
    for number, one in enumerate(moments):
        combiner.step(number * 15.0, np.abs(one), np.full(one.shape, 0.9), one)


def signed(z: np.ndarray) -> np.ndarray:
    """Return deviations as signed scores."""
    scores: np.ndarray = np.sign(z) * np.minimum(z**2 / (20 * np.log(10)), 1.0)
    return scores


def test_deviations_are_the_inverse_of_scores() -> None:
    z = np.array([[-3.0, 0.0, 2.0, 6.0]])
    np.testing.assert_allclose(deviations(signed(z)), z)
    assert deviations(np.array([NAN])).tolist() == [0.0]


def asked(combiner: Learned, moment: list[float]) -> tuple[float, float]:
    """Return the score of one service at a moment of such deviations, and the score by its signals alone."""
    now = signed(np.array([moment] + [[1.0] * len(moment)] * 19))
    made = combiner.step(30_000.0, np.abs(now), np.full(now.shape, 0.9), now)
    assert made.score[1:].max() < 0.2
    return float(made.score[0]), float(harmonic(np.abs(now))[0])


def forest() -> Learned:
    return IsolationForestTogether(IsolationForestTogetherParams())


def pca() -> Learned:
    return RobustPca(RobustPcaParams())


def test_signals_that_part_are_seen_though_none_is_unusual() -> None:
    """Load and requests always rise together; now one is high and the other low, each once in fifty samples."""
    rng, combiner = np.random.default_rng(4), pca()
    load = rng.normal(size=(2000, 20, 1)) * 1.5
    learnt(combiner, signed(np.concatenate([load, load + 0.1 * rng.normal(size=load.shape)], axis=2)))
    joint, alone = asked(combiner, [2.5, -2.5])
    assert alone < 0.2
    assert joint > 0.6


@pytest.mark.parametrize("make", [forest, pca])
def test_many_signals_that_are_unusual_at_once_are_more_than_one(make: Callable[[], Learned]) -> None:
    combiner = make()
    learnt(combiner, signed(1.2 * np.random.default_rng(4).normal(size=(2000, 20, 6))))
    joint, alone = asked(combiner, [3.0, -3.0] * 3)
    assert alone < 0.2
    assert joint > 0.4


def test_a_plane_is_not_turned_by_a_few_strange_moments() -> None:
    rng = np.random.default_rng(5)
    load = rng.normal(size=(500, 1))
    moments = np.concatenate([load, load + 0.1 * rng.normal(size=load.shape)], axis=1)
    moments[:25] = [4.0, -4.0]
    robust = RobustPca(RobustPcaParams()).fit(moments)
    naive = Plane(moments, 0.8)
    told = [plane.raw(np.array([[3.0, -3.0]]))[0] / np.median(plane.raw(moments)) for plane in (robust, naive)]
    assert told[0] > 2 * told[1]


def test_the_forest_says_what_scikit_learn_says() -> None:
    from sklearn.ensemble import IsolationForest

    rng = np.random.default_rng(6)
    moments = rng.normal(size=(400, 3))
    reference = -IsolationForest(n_estimators=32, random_state=1).fit(moments).score_samples(moments)
    np.testing.assert_allclose(Forest(moments, 32, 1)._score(moments), reference, rtol=1e-9)


@pytest.mark.parametrize("module", ["isolation_forest_together", "robust_pca", "joint"])
def test_scikit_learn_is_loaded_when_a_model_is_fitted_and_not_before(module: str) -> None:
    code = f"import sys, presagio.detectors.{module}; sys.exit('sklearn' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_sets_of_signals_are_bounded() -> None:
    combiner = RobustPca(RobustPcaParams())
    combiner.reindex(np.full(64, -1), np.full(6, -1))
    has = np.array([[row >> bit & 1 for bit in range(6)] for row in range(64)], dtype=bool)
    known: Any = np.where(has, 0.9, NAN)
    for time in range(3):
        scores = np.where(has, 0.1, NAN)
        combiner.step(time * 15.0, scores, known, scores)
    assert len(combiner.samples) == 32
