"""Calibration: what is said twice as surely as it holds is mended, what holds stays, and the order is kept."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from presagio.forecasters.base import Bools, Floats, Ints
from presagio.forecasters.calibration import Calibration, calibration, expit, logit

RNG = np.random.default_rng(11)


def world(m: int = 20_000) -> tuple[Floats, Bools, Ints]:
    """Return true probabilities, and what came of them, each failure on its own."""
    true = RNG.beta(0.3, 2.0, m)
    failed = RNG.random(m) < true
    return true, failed, np.where(failed, np.arange(m), -1)


def test_what_holds_stays() -> None:
    true, failed, failures = world()
    found = calibration(true, failed, failures, np.ones(len(true)))
    grid = np.linspace(0.01, 0.9, 30)
    assert found(grid) == pytest.approx(grid, abs=0.04)


@pytest.mark.parametrize("sharpness", [0.4, 2.5])
def test_what_is_said_too_surely_or_too_timidly_is_mended(sharpness: float) -> None:
    true, failed, failures = world()
    said = expit(sharpness * logit(true) - 0.7)
    found = calibration(said, failed, failures, np.ones(len(true)))
    off = np.abs(found(said) - true)
    assert off.mean() < 0.02
    assert off.mean() < 0.25 * np.abs(said - true).mean()


@given(st.floats(0.0, 3.0), st.floats(0.0, 3.0), st.floats(-3.0, 3.0))
def test_the_order_is_kept(a: float, b: float, c: float) -> None:
    said = Calibration(a, b, c)(np.linspace(0, 1, 50))
    assert (np.diff(said) >= -1e-12).all()


def test_thousand_moments_before_one_failure_are_one_piece_of_evidence() -> None:
    """All moments were said to be 2 in 100 and one failure came: the map may not become sure of it."""
    said, failed = np.full(2000, 0.02), np.arange(2000) < 1000
    found = calibration(said, failed, np.where(failed, 0, -1), np.ones(2000))
    assert found(np.array([0.999999]))[0] <= 2 / 3


def test_weights_stand_for_moments_that_were_left_out() -> None:
    true, failed, failures = world(4000)
    keep = failed | (RNG.random(4000) < 0.25)
    weights = np.where(failed, 1.0, 4.0)
    whole = calibration(true, failed, failures, np.ones(4000))
    thinned = calibration(true[keep], failed[keep], failures[keep], weights[keep])
    assert thinned(true) == pytest.approx(whole(true), abs=0.08)


def test_without_a_failure_nothing_is_changed_and_what_is_unknown_stays_unknown() -> None:
    found = calibration(np.array([0.2, np.nan]), np.zeros(2, dtype=np.bool_), np.full(2, -1), np.ones(2))
    assert found(np.array([0.2]))[0] == pytest.approx(0.2)
    assert np.isnan(found(np.array([np.nan]))[0])


def test_it_comes_back_from_its_state_and_nothing_else_does() -> None:
    one = Calibration(0.5, 2.0, -1.0, 0.01, 0.9)
    assert Calibration.restored(one.state()) == one
    with pytest.raises(ValueError, match="five numbers"):
        Calibration.restored({"calibration": np.zeros(4)})
