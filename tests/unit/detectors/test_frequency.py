"""How often what should be rare has come of late."""

import numpy as np
import pytest

from presagio.detectors.frequency import Frequency

RARE, ORDINARY = 1e-4, 0.5


def counted(rare_every: int, samples: int, teaches: bool = True) -> float:
    """Return the factor after `samples` of which each `rare_every`-th is rare; 0: none is."""
    frequency = fresh(1)
    for number in range(samples):
        is_rare = rare_every > 0 and number % rare_every == rare_every - 1
        frequency.learn(np.array([RARE if is_rare else ORDINARY]), np.array([teaches]))
    return float(frequency.factor()[0])


def fresh(rows: int) -> Frequency:
    frequency = Frequency()
    frequency.reindex(np.full(rows, -1))
    return frequency


def test_a_new_series_is_believed() -> None:
    assert counted(0, 0) == 1.0


def test_what_comes_as_often_as_it_should_stays_believed() -> None:
    assert counted(1000, 10_000) == pytest.approx(1.0, abs=0.1)


def test_what_comes_too_often_becomes_likelier() -> None:
    assert counted(200, 10_000) > 2


def test_what_never_comes_becomes_less_likely() -> None:
    assert counted(0, 10_000) < 0.6


def test_a_few_rare_samples_say_little() -> None:
    frequency = fresh(1)
    for _ in range(2):
        frequency.learn(np.array([RARE]), np.array([True]))
    assert frequency.factor()[0] < 1.5


@pytest.mark.parametrize(("rare_every", "limit"), [(2, 4.0), (0, 0.4)])
def test_the_factor_has_its_limits(rare_every: int, limit: float) -> None:
    """A row that is always anomalous must not talk itself out of it; one that is always calm must not cry."""
    frequency = fresh(1)
    frequency.came, frequency.due = (np.array([1e6]), np.zeros(1)) if rare_every else (np.zeros(1), np.array([1e6]))
    assert frequency.factor()[0] == limit


def test_what_does_not_teach_is_not_counted() -> None:
    assert counted(2, 1000, teaches=False) == 1.0


def test_it_is_forgotten_within_some_ten_thousand_samples() -> None:
    frequency, yes = fresh(1), np.array([True])
    for _ in range(100):
        frequency.learn(np.array([RARE]), yes)
    assert frequency.factor()[0] == 4.0
    for _ in range(40_000):
        frequency.learn(np.array([ORDINARY]), yes)
    assert frequency.factor()[0] < 0.6


def test_each_row_is_counted_by_itself() -> None:
    frequency = fresh(3)
    for _ in range(20):
        frequency.learn(np.array([RARE, ORDINARY, RARE]), np.array([True, True, False]))
    assert frequency.factor()[0] > 4 * 0.9
    assert 0.99 < frequency.factor()[1] < 1.0
    assert frequency.factor()[2] == 1.0
