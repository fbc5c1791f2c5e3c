"""Drift of inputs: by chance none, by a change much, and only of what a model heeds."""

import numpy as np
import pytest

from presagio.exporter.drift import reference, stability_index

RNG = np.random.default_rng(7)
THEN = np.stack([RNG.normal(0, 1, 5000), RNG.normal(5, 2, 5000)], axis=1)


def test_the_same_population_has_not_drifted() -> None:
    known = reference(THEN, np.ones(2))
    for size in (60, 600, 5000):
        now = np.stack([RNG.normal(0, 1, size), RNG.normal(5, 2, size)], axis=1)
        assert stability_index(known, now) < 0.1


def test_a_shift_by_a_deviation_is_a_changed_population() -> None:
    assert stability_index(reference(THEN, np.ones(2)), THEN + np.array([1.0, 2.0])) > 0.25


def test_the_index_is_what_its_formula_says() -> None:
    """Nine in ten of the tenths empty, all in the first: (1 - .1) ln(1/.1) + 9 (.1 - .0001) ln(.1/.0001)."""
    known = reference(THEN[:, :1], np.ones(1))
    found = stability_index(known, np.full((100_000, 1), -9.0))
    assert found == pytest.approx(0.9 * np.log(10) + 9 * 0.0999 * np.log(1000), rel=1e-3)


def test_features_that_become_missing_have_drifted() -> None:
    now = THEN.copy()
    now[:, 0] = np.nan
    assert stability_index(reference(THEN, np.ones(2)), now) > 0.25


def test_what_the_model_does_not_heed_may_drift() -> None:
    known = reference(THEN, np.array([0.0, 1.0]))
    assert stability_index(known, THEN + np.array([9.0, 0.0])) < 0.1


def test_constants_and_what_was_always_missing_are_no_drift() -> None:
    then = np.stack([np.full(500, 3.0), np.full(500, np.nan)], axis=1)
    assert stability_index(reference(then, np.ones(2)), then[:100]) < 0.1


def test_nothing_seen_is_nothing_known() -> None:
    assert np.isnan(stability_index(reference(THEN, np.ones(2)), THEN[:0]))
