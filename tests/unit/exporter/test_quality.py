"""Quality of predictions against what scikit-learn says, and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss

from presagio.detectors.base import Floats
from presagio.exporter.quality import average_precision, brier, brier_skill, quality
from presagio.forecasters.base import Examples, Inputs

RNG = np.random.default_rng(5)


def examples(failed: list[int], failures: list[int], times: list[float] | None = None) -> Examples:
    m = len(failed)
    inputs = Inputs(np.zeros((m, 1)), np.zeros((m, 0, 0), dtype=np.float32), ("x",))
    when = np.array(times if times else range(m), dtype=np.float64)
    return Examples(
        inputs, np.array(failed, dtype=np.bool_), when, np.zeros(m, dtype=np.int64), np.array(failures), np.ones(m)
    )


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 20), st.integers(1, 4)), min_size=1, max_size=50))
def test_average_precision_is_what_scikit_learn_says(rows: list[tuple[bool, int, int]]) -> None:
    failed = np.array([row[0] for row in rows])
    said = np.array([row[1] for row in rows]) / 20
    weights = np.array([float(row[2]) for row in rows])
    if failed.any():
        expected = average_precision_score(failed, said, sample_weight=weights)
        assert average_precision(failed, said, weights) == pytest.approx(expected)
    else:
        assert np.isnan(average_precision(failed, said, weights))


def test_brier_is_what_scikit_learn_says() -> None:
    failed, said, weights = RNG.random(200) < 0.2, RNG.random(200), RNG.random(200)
    assert brier(failed, said, weights) == pytest.approx(brier_score_loss(failed, said, sample_weight=weights))


def skill(failed: list[int], said: Floats) -> float:
    return brier_skill(np.array(failed, dtype=np.bool_), said, np.ones(len(failed)))


def test_the_base_rate_has_no_skill_the_truth_has_all_and_its_opposite_less_than_none() -> None:
    failed = [1, 0, 0, 0]
    assert skill(failed, np.full(4, 0.25)) == pytest.approx(0.0)
    assert skill(failed, np.array(failed, dtype=np.float64)) == 1.0
    assert skill(failed, 1.0 - np.array(failed)) < 0


def test_who_weighs_three_counts_three_times() -> None:
    failed, said = np.array([True, False, False, False]), np.array([0.7, 0.4, 0.4, 0.4])
    few = brier_skill(failed[:2], said[:2], np.array([1.0, 3.0]))
    assert few == pytest.approx(brier_skill(failed, said, np.ones(4)))


def test_the_lead_is_from_the_first_sustained_alarm_to_the_failure() -> None:
    """One moment above one half is none; two in a row are an alarm."""
    found = examples([1] * 6, [0] * 6, [0.0, 10, 20, 30, 40, 50])
    told = quality(found, np.array([0.9, 0.1, 0.6, 0.6, 0.2, 0.9]), np.array([60.0]))
    assert (told.caught, told.median_lead) == (1.0, 40.0)


def test_a_failure_without_an_alarm_is_not_caught() -> None:
    found = examples([1, 1, 1, 1, 0], [0, 0, 1, 1, -1])
    told = quality(found, np.array([0.9, 0.9, 0.1, 0.1, 0.6]), np.array([2.0, 9.0]))
    assert (told.caught, told.failures, told.examples) == (0.5, 2, 5)
    assert told.precision == pytest.approx(2 / 3)


def test_silence_is_the_base_rate() -> None:
    told = quality(examples([1, 0, 0, 0], [0, -1, -1, -1]), np.full(4, np.nan), np.array([1.0]))
    assert told.brier_skill == pytest.approx(0.0)
    assert told.average_precision == pytest.approx(0.25)


def test_reliability_says_what_came_of_what_was_said() -> None:
    told = quality(examples([1, 0, 0, 0], [0, -1, -1, -1]), np.array([0.95, 0.95, 0.05, 0.05]), np.array([1.0]))
    assert np.array(told.reliability) == pytest.approx(np.array([(0.05, 0.0, 2.0), (0.95, 0.5, 2.0)]))


def test_without_failures_there_is_no_precision_and_that_is_said() -> None:
    told = quality(examples([0, 0], [-1, -1]), np.array([0.1, 0.1]), np.zeros(0))
    assert np.isnan([told.average_precision, told.brier_skill, told.caught, told.median_lead, told.precision]).all()
