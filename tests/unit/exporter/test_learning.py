"""Whether a candidate takes over, and kinds of service between two models."""

import numpy as np
import pytest

from presagio.exporter.features import KIND
from presagio.exporter.learning import no_worse, recoded
from presagio.forecasters.base import Examples, Floats, Inputs

DAY = 86_400.0


def later(services: int = 10, days: int = 10, moments: int = 24) -> Examples:
    """Return moments of services over days; each service fails on one of the days, all of its moments before that."""
    rows = services * days * moments
    groups = np.repeat(np.arange(services), days * moments)
    times = np.tile(np.arange(days * moments) * DAY / moments, services).astype(np.float64)
    failed = (times // DAY).astype(np.int64) == groups % days
    inputs = Inputs(np.zeros((rows, 1)), np.zeros((rows, 0, 0), dtype=np.float32), ("x",))
    return Examples(inputs, failed, times, groups, np.where(failed, groups, -1), np.ones(rows))


LATER = later()
RNG = np.random.default_rng(2)


def said(sure: float) -> Floats:
    return np.where(LATER.failed, sure, 0.1)


def test_the_better_one_takes_over_and_the_worse_one_does_not() -> None:
    assert no_worse(said(0.9), said(0.5), LATER)
    assert not no_worse(said(0.5), said(0.9), LATER)


def test_the_same_again_takes_over_since_it_knows_newer_time() -> None:
    assert no_worse(said(0.7), said(0.7), LATER)


def test_one_bad_day_of_one_service_is_no_evidence() -> None:
    """Twenty-four moments in a row that are a little worse are one piece of evidence, not twenty-four."""
    worse = said(0.7).copy()
    worse[(LATER.groups == 3) & (LATER.times < DAY)] = 0.3
    assert no_worse(worse, said(0.7), LATER)


def test_silence_counts_as_the_base_rate() -> None:
    silent = np.full(len(LATER), np.nan)
    assert not no_worse(silent, said(0.9), LATER)
    assert no_worse(said(0.9), silent, LATER)


def test_with_nothing_to_judge_by_the_newer_one_takes_over() -> None:
    nothing = LATER.rows(np.zeros(0, dtype=np.int64))
    assert no_worse(np.zeros(0), np.zeros(0), nothing)


def test_kinds_are_numbered_as_the_other_model_knows_them() -> None:
    features = np.array([[0.0], [1.0], [2.0], [np.nan]])
    inputs = Inputs(features, np.zeros((4, 0, 0), dtype=np.float32), (KIND,), (), (KIND,))
    found = recoded(inputs, ("db", "web", "queue"), ("web", "db"))
    np.testing.assert_array_equal(found.features[:, 0], [1.0, 0.0, np.nan, np.nan])
    assert features[0, 0] == 0.0
    assert recoded(inputs, ("a",), ("a",)) is inputs


def test_weights_count() -> None:
    whole = later()
    heavy = Examples(whole.inputs, whole.failed, whole.times, whole.groups, whole.failures, 3 * whole.weights)
    assert no_worse(said(0.5), said(0.9), heavy) == no_worse(said(0.5), said(0.9), whole)
    assert pytest.approx(heavy.weights.sum()) == 3 * whole.weights.sum()
