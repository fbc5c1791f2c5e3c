"""Peaks over threshold against distributions whose tails are known."""

import numpy as np
import pytest

from presagio.detectors.tail import THRESHOLD, Tail


def learnt(residuals: np.ndarray) -> Tail:
    tail = Tail()
    tail.reindex(np.array([-1]))
    for residual in residuals:
        tail.learn(np.array([residual]), np.ones(1))
    return tail


def test_quantile_is_the_inverse_of_chance() -> None:
    tail = learnt(np.random.default_rng(0).laplace(0, 1, 5000))
    for p in (0.3, 0.1, 0.01, 1e-4, 1e-6, 1e-9):
        assert tail.chance(tail.quantile(p))[0] == pytest.approx(p, rel=1e-6)


def test_chance_falls_with_the_residual() -> None:
    tail = learnt(np.random.default_rng(0).normal(0, 1.2533, 5000))
    chances = [tail.chance(np.array([r]))[0] for r in np.linspace(0, 10, 200)]
    assert chances[0] == 0.5
    assert chances[-1] < 1e-7
    assert (np.diff(chances) <= 0).all()


def test_an_exponential_tail_is_extrapolated_far_beyond_what_was_seen() -> None:
    """Of a Laplace distribution with mean absolute deviation 1, P(X > r) = exp(-r) / 2."""
    tail = learnt(np.random.default_rng(0).laplace(0, 1, 20_000))
    for r in (THRESHOLD, 4.0, 7.0, 12.0):
        assert np.log10(tail.chance(np.array([r]))[0]) == pytest.approx(np.log10(np.exp(-r) / 2), rel=0.15)
