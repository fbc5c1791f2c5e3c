"""What people know, every registered detector heeds: a fault teaches nothing, what is expected is learnt."""

from typing import Any

import numpy as np
import pytest

from presagio.detectors.base import Detector
from presagio.toolkit import plugins

NAMES = plugins.names(plugins.DETECTORS)
INTERVAL = 300.0
FAULT = slice(300, 312)


def make(name: str, rows: int = 2, **params: Any) -> Detector:
    kind = plugins.load(plugins.DETECTORS, name)
    detector: Detector = kind(kind.Params(**params))
    detector.reindex(np.full(rows, -1))
    return detector


def kinds() -> dict[str, np.ndarray]:
    """Return more than a day of series of different kinds, each with an hour of something else."""
    rng = np.random.default_rng(3)
    noise = rng.normal(100, 3, (400, 2))
    spike, outage, constant = noise.copy(), noise.copy(), np.full((400, 2), 7.0)
    spike[FAULT] *= 4
    outage[FAULT] = 0.0
    constant[FAULT] = 3.0
    return {"spike": spike, "outage": outage, "constant": constant}


def learn(detector: Detector, values: np.ndarray, trust: float) -> np.ndarray:
    """Step through all values, of which those of FAULT have `trust`; return the scores."""
    found = []
    for number, row in enumerate(values):
        said = np.full(len(row), trust if FAULT.start <= number < FAULT.stop else np.nan)
        found.append(detector.step(number * INTERVAL, row, said).score)
    return np.array(found)


@pytest.mark.parametrize("kind", kinds())
@pytest.mark.parametrize("name", NAMES)
def test_a_fault_is_scored_and_teaches_as_little_as_a_missing_value(name: str, kind: str) -> None:
    values = kinds()[kind]
    holed = values.copy()
    holed[FAULT] = np.nan
    told, masked = make(name), make(name)
    assert not np.isnan(learn(told, values, 0.0)[FAULT]).any()
    learn(masked, holed, np.nan)
    for field, array in masked.state().items():
        np.testing.assert_array_equal(told.state()[field], array, err_msg=field)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_said_is_the_detector_s_own_judgement(name: str) -> None:
    values = kinds()["spike"]
    told, left = make(name), make(name)
    learn(told, values, np.nan)
    for number, row in enumerate(values):
        left.step(number * INTERVAL, row)
    for field, array in left.state().items():
        np.testing.assert_array_equal(told.state()[field], array, err_msg=field)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_said_of_one_row_touches_no_other(name: str) -> None:
    values = kinds()["spike"]
    one, both = make(name), make(name)
    for number, row in enumerate(values):
        inside = FAULT.start <= number < FAULT.stop
        one.step(number * INTERVAL, row, np.array([0.0 if inside else np.nan, np.nan]))
        both.step(number * INTERVAL, row)
    for field, array in both.state().items():
        np.testing.assert_array_equal(one.state()[field][1], array[1], err_msg=field)
