"""Jet engines that run to failure in a simulation: NASA's C-MAPSS (Saxena et al. 2008), FD001 and FD003.

DATA/cmapss/cmapss.parquet   subset, split (train, test), unit, cycle, set1 .., s01 ..
DATA/cmapss/test_rul.csv     subset, unit, rul: what the test engines had left after their last cycle
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from presagio.detectors.base import Bools, Floats, Ints
from presagio.exporter.features import Featuriser
from presagio.exporter.panel import Channel, Panel
from presagio.forecasters.base import Examples

SET = "cmapss"
FAILING = 30.0
"""Cycles within which the probability of failure is scored on its own."""

HORIZONS = (10.0, 20.0, 30.0, 45.0, 60.0, 80.0, 100.0, 125.0)
PUBLISHED = {
    "published_lstm": {"FD001_rmse": 14.93},
    "published_cnn_1d": {"FD001_rmse": 16.97},
}
"""As the benchmark's brief names them: an LSTM and a 1-D CNN, on the test engines of FD001."""

FOLDS, CUTS = 5, 5
MOST, RECENT = 8_000, 30
WINDOWS = (20.0, 50.0)

_PEERS = "beside peers"
_APART = 10_000.0
"""Cycles from one engine's beginning to the next one's: engines follow one another, so that later ones are others."""


@dataclass(frozen=True)
class Engines:
    """Engines side by side, a cycle a step; lives[e]: the cycle after which it failed; subsets[e]."""

    panel: Panel
    subsets: tuple[str, ...]
    lengths: Ints
    lives: Floats


@dataclass(frozen=True)
class Exam:
    """Engines to learn from, and moments of others to score: services[m], moments[m]."""

    learnt: Ints
    services: Ints
    moments: Ints


def load(folder: Path, split: str) -> Engines | None:
    """Return the engines of a split; None if the folder has none, or does not tell how long test engines lived."""
    frame = pd.read_parquet(folder / SET / "cmapss.parquet")
    frame = frame[frame["split"] == split]
    told = folder / SET / "test_rul.csv"
    if frame.empty or (split == "test" and not told.exists()):
        return None
    return engines(frame, pd.read_csv(told) if split == "test" else None)


def engines(frame: pd.DataFrame, left: pd.DataFrame | None) -> Engines:
    """Return the engines of a table; left: what each had after its last cycle, 0 if that is not given."""
    numbers = frame.groupby(["subset", "unit"], sort=True).ngroup().to_numpy()
    keys = frame.groupby(["subset", "unit"], sort=True).size()
    lengths = keys.to_numpy(np.int64)
    names = [name for name in frame.columns if name not in ("subset", "split", "unit")]
    values = np.full((len(keys), lengths.max(), len(names)), np.nan, dtype=np.float32)
    values[numbers, frame["cycle"].to_numpy(np.int64) - 1] = frame[names].to_numpy(np.float32)
    units = list(keys.index)
    rest = np.zeros(len(units))
    if left is not None:
        known = left.set_index(["subset", "unit"])["rul"]
        rest = np.array([float(known[unit]) for unit in units])
    subsets = tuple(str(subset) for subset, _ in units)
    times = np.arange(1, values.shape[1] + 1, dtype=np.float64)
    channels = tuple(Channel(name) for name in names)
    panel = Panel(tuple(f"{a}/{b}" for a, b in units), subsets, times, 1.0, channels, values)
    return Engines(panel, subsets, lengths, lengths + rest)


def joined(one: Engines, other: Engines) -> Engines:
    """Return engines of two splits as one; those of the second come last."""
    length = max(len(one.panel.times), len(other.panel.times))
    values = np.full(
        (len(one.subsets) + len(other.subsets), length, len(one.panel.channels)), np.nan, dtype=np.float32
    )
    values[: len(one.subsets), : len(one.panel.times)] = one.panel.values
    values[len(one.subsets) :, : len(other.panel.times)] = other.panel.values
    services = (*one.panel.services, *(f"{name} test" for name in other.panel.services))
    times = np.arange(1, length + 1, dtype=np.float64)
    panel = Panel(services, one.subsets + other.subsets, times, 1.0, one.panel.channels, values)
    lengths, lives = np.append(one.lengths, other.lengths), np.append(one.lives, other.lives)
    return Engines(panel, panel.kinds, lengths, lives)


def folds(found: Engines, rng: np.random.Generator) -> Iterator[Exam]:
    """Yield exams in which each engine is held out once, cut off CUTS times at random, evenly over its life."""
    order = rng.permutation(len(found.subsets))
    for fold in range(FOLDS):
        held = np.sort(order[fold::FOLDS])
        services = np.repeat(held, CUTS)
        moments = (rng.random(len(services)) * found.lengths[services]).astype(np.int64)
        yield Exam(np.sort(np.setdiff1d(order, held)), services, moments)


def last(found: Engines, learnt: int) -> Exam:
    """Return the exam of engines after the first `learnt`, each after its last cycle."""
    services = np.arange(learnt, len(found.subsets))
    return Exam(np.arange(learnt), services, found.lengths[services] - 1)


def lesson(found: Engines, exam: Exam, rng: np.random.Generator) -> Examples:
    """Return what is learnt from: moments of the other engines, spread evenly, in the order of time."""
    services = np.repeat(exam.learnt, found.lengths[exam.learnt])
    moments = np.concatenate([np.arange(found.lengths[one]) for one in exam.learnt])
    some = np.sort(rng.choice(len(services), min(MOST, len(services)), replace=False))
    learnt = asked(found, services[some], moments[some])
    return learnt.rows(np.argsort(learnt.times, kind="stable"))


def asked(found: Engines, services: Ints, moments: Ints) -> Examples:
    """Return examples at services[m] and moments[m]; `within` tells which of them fail."""
    features = Featuriser(found.panel.channels, 1.0, WINDOWS, RECENT, None, sorted(set(found.subsets)))
    inputs = features.inputs(found.panel, services, moments, 1.0)
    # they did not run side by side: what others did at the same cycle may be later than the moment
    alone = [number for number, name in enumerate(inputs.names) if not name.endswith(_PEERS)]
    inputs = replace(inputs, features=inputs.features[:, alone], names=tuple(inputs.names[one] for one in alone))
    # engines follow one another in time, in an order that mixes the subsets
    place = np.random.default_rng(0).permutation(len(found.subsets))
    times: Floats = (place[services] * _APART + moments).astype(np.float64)
    nobody = np.zeros(len(moments), dtype=np.bool_)
    return Examples(inputs, nobody, times, services, np.full(len(moments), -1), np.ones(len(moments)))


def within(examples: Examples, left: Floats, horizon: float) -> Examples:
    """Return examples of failures within a horizon, by the cycles left[m]."""
    failed: Bools = left <= horizon
    return replace(examples, failed=failed, failures=np.where(failed, examples.groups, -1))


def remaining(found: Engines, examples: Examples) -> Floats:
    """Return the cycles left [m] before each engine failed."""
    return found.lives[examples.groups] - (examples.times % _APART + 1)
