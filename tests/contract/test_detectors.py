"""The battery over every registered detector: to register one brings these tests."""

from typing import Any

import numpy as np
import pytest

from presagio.detectors.base import Detector
from presagio.toolkit import plugins

NAMES = plugins.names(plugins.DETECTORS)
INTERVAL = 15.0


def make(name: str, rows: int, **params: Any) -> Detector:
    kind = plugins.load(plugins.DETECTORS, name)
    detector: Detector = kind(kind.Params(**params))
    detector.reindex(np.full(rows, -1))
    return detector


def scores(detector: Detector, values: np.ndarray, start: int = 0) -> np.ndarray:
    return np.array([detector.step((start + t) * INTERVAL, row).score for t, row in enumerate(values)])


def noise(rows: int, samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(100.0, 5.0, (samples, rows))


@pytest.mark.parametrize("name", NAMES)
class TestEveryDetector:
    def test_verdicts_have_the_shape_of_the_rows_and_scores_lie_in_0_to_1(self, name: str) -> None:
        detector = make(name, 7)
        for time, row in enumerate(noise(7, 200)):
            verdict = detector.step(time * INTERVAL, row)
            for field in ("score", "expected", "lower", "upper", "confidence"):
                assert getattr(verdict, field).shape == (7,)
            assert ((verdict.score >= 0) & (verdict.score <= 1)).all()
            assert ((verdict.confidence >= 0) & (verdict.confidence <= 1)).all()
            assert not (verdict.lower > verdict.upper).any()

    def test_while_confidence_is_0_no_score_exceeds_0_3(self, name: str) -> None:
        detector = make(name, 50)
        wild = np.random.default_rng(1).standard_cauchy((300, 50)) * 1e6
        for time, row in enumerate(wild):
            verdict = detector.step(time * INTERVAL, row)
            assert (verdict.score[verdict.confidence == 0] <= 0.3).all()

    def test_a_missing_value_has_no_score_and_teaches_nothing(self, name: str) -> None:
        values = noise(3, 300)
        whole, holed = make(name, 3), make(name, 3)
        scores(whole, values)
        gap = np.full((50, 3), np.nan)
        scores(holed, values[:150])
        assert np.isnan(scores(holed, gap, 150)).all()
        scores(holed, values[150:], 150)
        for field, array in whole.state().items():
            np.testing.assert_array_equal(array, holed.state()[field], err_msg=field)

    def test_it_scores_before_it_learns(self, name: str) -> None:
        values = noise(2, 200)
        one, other = make(name, 2), make(name, 2)
        scores(one, values)
        scores(other, values)
        last = other.step(200 * INTERVAL, np.array([1000.0, np.nan])).expected
        np.testing.assert_array_equal(last, one.step(200 * INTERVAL, np.array([np.nan, 5.0])).expected)

    def test_rows_do_not_see_each_other(self, name: str) -> None:
        values = noise(9, 400)
        together = scores(make(name, 9), values)
        for row in range(9):
            alone = scores(make(name, 1), values[:, [row]])
            np.testing.assert_array_equal(alone[:, 0], together[:, row])

    def test_state_restored_goes_on_to_the_bit(self, name: str) -> None:
        values = noise(4, 600)
        values[300:320] *= 3
        whole = make(name, 4)
        expected = scores(whole, values)
        first, second = make(name, 4), make(name, 4)
        scores(first, values[:310])
        second.restore(first.state())
        np.testing.assert_array_equal(scores(second, values[310:], 310), expected[310:])

    def test_reindex_follows_rows_and_begins_new_ones(self, name: str) -> None:
        values = noise(3, 400)
        detector = make(name, 3)
        expected = scores(make(name, 3), values)
        scores(detector, values[:200])
        detector.reindex(np.array([2, -1, 0]))
        moved = scores(detector, values[200:][:, [2, 1, 0]], 200)
        np.testing.assert_array_equal(moved[:, [2, 0]], expected[200:][:, [0, 2]])
        np.testing.assert_array_equal(moved[:, 1], scores(make(name, 3), values[200:])[:, 1])

    def test_no_rows_are_no_trouble(self, name: str) -> None:
        assert make(name, 0).step(0.0, np.zeros(0)).score.shape == (0,)

    def test_state_of_another_version_is_refused(self, name: str) -> None:
        with pytest.raises(ValueError, match="version"):
            make(name, 1).restore({})

    def test_direction_above_is_blind_below(self, name: str) -> None:
        values = noise(20, 400)
        low, high = values.copy(), values.copy()
        low[350:], high[350:] = 1.0, 500.0
        assert scores(make(name, 20, direction="above"), low)[350].max() == 0
        assert scores(make(name, 20, direction="above"), high)[350].min() > 0.6
        assert scores(make(name, 20, direction="below"), low)[350].min() > 0.6
        assert scores(make(name, 20, direction="below"), high)[350].max() == 0

    def test_deviations_within_the_dead_band_are_none(self, name: str) -> None:
        values = np.full((200, 1), 100.0)
        values[150:] = 140.0
        assert scores(make(name, 1, dead_band={"relative": 0.5}), values).max() == 0
        assert scores(make(name, 1, dead_band={"absolute": 50}), values).max() == 0
        assert scores(make(name, 1, dead_band={"relative": 0.1}), values).max() > 0.6


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


CLEAN = {
    "gaussian": rng().normal(100, 5, (4000, 150)),
    "laplace": rng().laplace(100, 5, (4000, 150)),
    "skewed": rng().lognormal(3, 0.3, (4000, 150)),
    "heavy": rng().lognormal(0, 1, (4000, 150)),
    "counts": rng().poisson(3, (4000, 150)).astype(float),
    "ratios": rng().beta(20, 1, (4000, 150)),
}


@pytest.mark.parametrize("kind", CLEAN)
@pytest.mark.parametrize("name", NAMES)
def test_clean_data_raises_the_false_alarms_that_the_score_promises(name: str, kind: str) -> None:
    """0.3 is once in a thousand samples: within a factor of two after 1,000 samples; 0.6 is rare everywhere."""
    got = scores(make(name, 150), CLEAN[kind])[1000:]
    rate = float(np.mean(got >= 0.3))
    assert 0.0005 <= rate <= 0.002, f"{kind}: {rate:.2e} of clean samples reach 0.3"
    assert float(np.mean(got >= 0.6)) <= 3e-5


@pytest.mark.parametrize("name", NAMES)
def test_a_constant_is_never_anomalous(name: str) -> None:
    assert scores(make(name, 3), np.full((2000, 3), 7.0)).max() == 0
