"""The battery over every registered combiner: to register one brings these tests."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from presagio.detectors.base import score_of
from presagio.detectors.together import Combined, Combiner
from presagio.toolkit import plugins

NAMES = plugins.names(plugins.COMBINERS)
INTERVAL = 15.0
SIGNALS = 4
KNOWN = 0.9


def make(name: str, rows: int, columns: int = SIGNALS, **params: Any) -> Combiner:
    kind = plugins.load(plugins.COMBINERS, name)
    combiner: Combiner = kind(kind.Params(**params))
    combiner.reindex(np.full(rows, -1), np.full(columns, -1))
    return combiner


def step(combiner: Combiner, number: int, surprise: np.ndarray, confidence: Any = None) -> Combined:
    known = np.full(surprise.shape, KNOWN) if confidence is None else confidence
    return combiner.step(number * INTERVAL, np.abs(surprise), known, surprise)


def run(combiner: Combiner, surprise: np.ndarray, start: int = 0) -> np.ndarray:
    return np.array([step(combiner, start + number, one).score for number, one in enumerate(surprise)])


def calm(samples: int, rows: int, columns: int = SIGNALS, seed: int = 0) -> np.ndarray:
    """Signed scores of signals that are calibrated and know nothing of each other."""
    rng = np.random.default_rng(seed)
    shape = (samples, rows, columns)
    signed: np.ndarray = score_of(rng.uniform(size=shape)) * rng.choice([-1.0, 1.0], size=shape)
    return signed


def as_one(samples: int, rows: int, columns: int = SIGNALS) -> np.ndarray:
    """All signals of a service say the same."""
    return np.repeat(calm(samples, rows, 1, seed=1), columns, axis=2)


def in_pairs(samples: int, rows: int, columns: int = SIGNALS) -> np.ndarray:
    """Signals that move together two by two."""
    return np.repeat(calm(samples, rows, columns // 2, seed=2), 2, axis=2)


@cache
def learnt(name: str) -> tuple[Combiner, np.ndarray]:
    """Return a combiner of 10 services that has seen much, and its state's scores of that time."""
    combiner = make(name, 10)
    return combiner, run(combiner, calm(1200, 10))


def again(name: str) -> Combiner:
    """Return a combiner in the state of `learnt`."""
    other = make(name, 10)
    other.restore(learnt(name)[0].state())
    return other


@pytest.mark.parametrize("name", NAMES)
class TestEveryCombiner:
    def test_shapes_and_ranges(self, name: str) -> None:
        combiner = again(name)
        for number, one in enumerate(calm(50, 10, seed=5)):
            made = step(combiner, 1200 + number, one)
            assert (made.score.shape, made.contribution.shape, made.confidence.shape) == ((10,), (10, SIGNALS), (10,))
            assert ((made.score >= 0) & (made.score <= 1)).all()
            assert ((made.contribution >= 0) & (made.contribution <= 1)).all()
            np.testing.assert_allclose(made.confidence, KNOWN)

    def test_contributions_sum_to_1(self, name: str) -> None:
        combiner = again(name)
        for number, one in enumerate(calm(50, 10, seed=5)):
            one[3, 1] = np.nan
            total = np.nansum(step(combiner, 1200 + number, one).contribution, axis=1)
            np.testing.assert_allclose(total, 1.0, rtol=1e-12)

    def test_where_nothing_is_unusual_all_contribute_alike(self, name: str) -> None:
        made = step(make(name, 2), 0, np.array([[0.0] * SIGNALS, [0.0, 0.0, np.nan, np.nan]]))
        np.testing.assert_allclose(made.contribution[0], 0.25)
        np.testing.assert_array_equal(made.contribution[1], [0.5, 0.5, np.nan, np.nan])
        assert made.score.tolist() == [0.0, 0.0]

    def test_one_faulty_signal_is_found_and_blamed(self, name: str) -> None:
        usual = calm(1, 10, seed=6)[0]
        usual[4, 2] = 0.9
        made = step(again(name), 1200, usual)
        assert made.score[4] > 0.6
        assert made.contribution[4].argmax() == 2
        assert made.contribution[4, 2] > 0.5

    def test_a_missing_signal_lowers_confidence_and_never_stops_the_score(self, name: str) -> None:
        surprise = calm(1, 10, seed=6)[0]
        surprise[4] = [0.9, np.nan, 0.1, 0.0]
        known = np.full(surprise.shape, KNOWN)
        known[4, 1] = 0.0
        made = step(again(name), 1200, surprise, known)
        assert made.score[4] > 0.6
        assert made.confidence[4] == pytest.approx(0.75 * KNOWN)
        assert np.isnan(made.contribution[4, 1])

    def test_a_signal_that_the_service_never_had_is_not_missing(self, name: str) -> None:
        surprise = calm(1, 10, seed=6)[0]
        surprise[4, 1] = np.nan
        known = np.where(np.isnan(surprise), np.nan, KNOWN)
        assert step(again(name), 1200, surprise, known).confidence[4] == pytest.approx(KNOWN)

    def test_a_service_of_which_nothing_is_there_has_no_score(self, name: str) -> None:
        surprise = calm(1, 10, seed=6)[0]
        surprise[4] = np.nan
        made = step(again(name), 1200, surprise, np.where(np.isnan(surprise), 0.0, KNOWN))
        assert np.isnan(made.score).tolist() == [row == 4 for row in range(10)]
        assert np.isnan(made.contribution[4]).all()
        assert made.confidence[4] == 0

    def test_while_nothing_is_known_no_score_exceeds_0_3(self, name: str) -> None:
        wild = np.random.default_rng(3).uniform(-1, 1, (20, 10, SIGNALS))
        combiner = again(name)
        for number, one in enumerate(wild):
            assert (step(combiner, 1200 + number, one, np.zeros(one.shape)).score <= 0.3).all()

    def test_it_scores_before_it_learns(self, name: str) -> None:
        one, other = again(name), again(name)
        now = calm(2, 10, seed=7)
        np.testing.assert_array_equal(run(one, now[:1], 1200), run(other, now[:1], 1200))
        changed = now.copy()
        changed[1, 5:] = 0.9
        left, right = run(one, now[1:], 1201), run(other, changed[1:], 1201)
        np.testing.assert_array_equal(left[0, :5], right[0, :5])

    def test_state_restored_goes_on_to_the_bit(self, name: str) -> None:
        values = calm(600, 10, seed=8)
        whole, half = make(name, 10), make(name, 10)
        expected = run(whole, values)
        run(half, values[:330])
        other = make(name, 10)
        other.restore(half.state())
        np.testing.assert_array_equal(run(other, values[330:], 330), expected[330:])

    def test_reindex_follows_services(self, name: str) -> None:
        values = calm(150, 10, seed=9)
        expected = run(again(name), values, 1200)
        moved = again(name)
        order = np.array([3, 1, 0, 2, 9, 8, 7, 6, 5, 4])
        moved.reindex(order, np.arange(SIGNALS))
        np.testing.assert_allclose(run(moved, values[:, order], 1200), expected[:, order], rtol=1e-9)

    def test_a_new_service_begins_anew(self, name: str) -> None:
        values = calm(20, 10, seed=9)
        grown = again(name)
        expected = run(again(name), values, 1200)
        grown.reindex(np.array([*range(10), -1]), np.arange(SIGNALS))
        more = np.concatenate([values, calm(20, 1, seed=10)], axis=1)
        got = run(grown, more, 1200)
        np.testing.assert_allclose(got[:, :10], expected, rtol=1e-9)
        assert not np.isnan(got[:, 10]).any()

    def test_reindex_follows_signals(self, name: str) -> None:
        """A signal that comes, and one that goes: the scores go on."""
        combiner = again(name)
        combiner.reindex(np.arange(10), np.array([0, 1, 2, 3, -1]))
        wide = np.concatenate([calm(20, 10, seed=9), np.full((20, 10, 1), np.nan)], axis=2)
        none = np.where(np.isnan(wide), np.nan, KNOWN)
        got = [step(combiner, 1200 + number, one, none[number]).score for number, one in enumerate(wide)]
        np.testing.assert_allclose(got, run(again(name), calm(20, 10, seed=9), 1200), rtol=1e-9)
        combiner.reindex(np.arange(10), np.array([1, 2]))
        assert run(combiner, calm(20, 10, 2), 1220).shape == (20, 10)

    def test_no_services_and_no_signals_are_no_trouble(self, name: str) -> None:
        for shape in ((0, SIGNALS), (3, 0), (0, 0)):
            made = step(make(name, *shape), 0, np.zeros(shape))
            assert (made.score.shape, made.contribution.shape) == (shape[:1], shape)

    def test_state_of_another_version_is_refused(self, name: str) -> None:
        with pytest.raises(ValueError, match="version"):
            make(name, 1).restore({})


@pytest.mark.parametrize("kind", [calm, as_one, in_pairs], ids=["independent", "all as one", "in pairs"])
@pytest.mark.parametrize("name", NAMES)
def test_clean_signals_raise_the_false_alarms_that_the_score_promises(
    name: str, kind: Callable[[int, int], np.ndarray]
) -> None:
    """0.3 is once in a thousand moments, within a factor of two, however the signals hang together."""
    got = run(make(name, 60), kind(3000, 60))[1000:]
    rate = float(np.mean(got >= 0.3))
    assert 0.0005 <= rate <= 0.002, f"{rate:.2e} of clean moments reach 0.3"
    # Faults must not teach a service what a fault is: where signals move as one, 0.6 comes sooner than it says.
    assert float(np.mean(got >= 0.6)) <= (2e-4 if name == "profile_together" else 3e-5)
