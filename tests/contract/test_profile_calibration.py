"""The default detector on clean series of every kind that exporters produce, and what a series costs it.

0.3 is reached once in a thousand samples, after the first 1,000 at one a minute, by default parameters. These are the
first three days: what is learnt later, of seasons and of drift, is not asked here.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest

from presagio.detectors.profile import Profile, ProfileParams

Floats = npt.NDArray[np.float64]
Generator = np.random.Generator

INTERVAL, DAY = 60.0, 86_400.0
START = 1_699_833_600.0
SAMPLES, ROWS, WARM = 4000, 60, 1000
SHAPE = (SAMPLES, ROWS)
PROMISED = 1e-3
LOUDEST = {"student_3": 2.5}
"""Times what is promised, where it is not 2: a tail of three degrees is heavier than the heaviest that is learnt."""

BYTES_A_ROW = 2000


def autoregressive(rng: Generator, memory: float) -> Floats:
    """Return series that remember: each value is `memory` of the last one and something new."""
    fresh, values = rng.normal(0, np.sqrt(1 - memory**2), SHAPE), np.empty(SHAPE)
    last = rng.normal(0, 1, ROWS)
    for number, row in enumerate(fresh):
        values[number] = last = memory * last + row
    return 100 + 5 * values


def daily(rng: Generator) -> Floats:
    """Return a day of the shape of a sine, begun anywhere, under noise."""
    turn = np.arange(SAMPLES)[:, None] * INTERVAL / DAY + rng.uniform(0, 1, ROWS)
    return 100 + 20 * np.sin(2 * np.pi * turn) + rng.normal(0, 5, SHAPE)


def bursts(rng: Generator) -> Floats:
    """Return zeros with three values in a hundred that are not."""
    return np.where(rng.random(SHAPE) < 0.03, rng.exponential(10, SHAPE), 0.0)


KINDS: dict[str, Callable[[Generator], Floats]] = {
    "gauss": lambda rng: rng.normal(100, 5, SHAPE),
    "laplace": lambda rng: rng.laplace(100, 5, SHAPE),
    "lognormal": lambda rng: rng.lognormal(0, 1, SHAPE),
    "lognormal_mild": lambda rng: rng.lognormal(3, 0.3, SHAPE),
    "student_3": lambda rng: 100 + 5 * rng.standard_t(3, SHAPE),
    "uniform": lambda rng: rng.uniform(0, 100, SHAPE),
    "poisson_20": lambda rng: rng.poisson(20, SHAPE).astype(float),
    "poisson_3": lambda rng: rng.poisson(3, SHAPE).astype(float),
    "poisson_sparse": lambda rng: rng.poisson(0.1, SHAPE).astype(float),
    "ratio": lambda rng: rng.beta(2, 8, SHAPE),
    "autoregressive": lambda rng: autoregressive(rng, 0.9),
    "autoregressive_slow": lambda rng: autoregressive(rng, 0.99),
    "daily": daily,
    "daily_multiplied": lambda rng: daily(rng) * rng.lognormal(0, 0.05, SHAPE),
    "random_walk": lambda rng: 1000 + rng.normal(0, 1, SHAPE).cumsum(axis=0),
    "bursts": bursts,
}


@cache
def scores() -> dict[str, Floats]:
    """Step all kinds as the rows of one detector; return the scores of each after it is warm."""
    rng = np.random.default_rng(11)
    values = np.concatenate([make(rng) for make in KINDS.values()], axis=1)
    detector = Profile(ProfileParams())
    detector.reindex(np.full(values.shape[1], -1))
    found = np.array([detector.step(START + t * INTERVAL, row).score for t, row in enumerate(values)])
    parts = np.split(found[WARM:], len(KINDS), axis=1)
    return dict(zip(KINDS, parts, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_clean_series_reach_0_3_no_more_than_twice_as_often_as_promised(kind: str) -> None:
    rate = float(np.mean(scores()[kind] >= 0.3))
    assert rate <= LOUDEST.get(kind, 2.0) * PROMISED, f"{rate:.2e} of the samples reach 0.3"


@pytest.mark.parametrize("rows", [1, 100_000])
def test_a_series_costs_less_than_two_kilobytes_and_stays_so(rows: int) -> None:
    detector = Profile(ProfileParams())
    detector.reindex(np.full(rows, -1))
    before = sizes(detector)
    for number in range(3):
        detector.step(START + number * 3 * 3600, np.full(rows, 100.0 + number))
    assert sizes(detector) == before
    assert sum(before.values()) < BYTES_A_ROW * rows


def test_a_moment_of_all_rows_lies_in_one_piece_outside_each_row_comes_first() -> None:
    """A step of 100,000 rows reads a bin of each: strided over the rows it would cost a page for every one."""
    rows = 100_000
    first, second = Profile(ProfileParams()), Profile(ProfileParams())
    first.reindex(np.full(rows, -1))
    state = first.state()
    assert {array.shape[0] for array in state.values()} == {rows}
    second.restore(state)
    for detector in (first, second):
        for kept in (detector.season.day.means, detector.season.week.means):
            assert kept.shape[-1] == rows
            assert kept.flags.c_contiguous


def sizes(detector: Profile) -> dict[str, int]:
    """Return the bytes of each array that is kept."""
    return {name: array.nbytes for name, array in detector.state().items()}
