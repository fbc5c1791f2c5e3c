"""Plain methods, each causal: what others do, so that our figures mean something.

Each takes a value's chance from what came before it, and gives it on our scale: 0.3 is once in a thousand. The score
of a machine is that of its worst metric.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import log_ndtr

from detection.data import DAY, Series
from detection.stream import Progress, worst
from presagio.detectors.base import Floats

LN10 = float(np.log(10.0))
HOURS_OF_BAND = 26
_LEAST = 10


def gaussian(z: Floats) -> Floats:
    """Return the score of a deviation of z standard deviations to either side, under a Gaussian."""
    p: Floats = -(log_ndtr(-np.abs(z)) + np.log(2.0)) / LN10
    return np.clip(p / 10.0, 0.0, 1.0)


def each(scored: Callable[[Series], Floats]) -> Callable[[Sequence[Series], Progress], list[Floats]]:
    """Return the method that gives `scored` one series after the other."""

    def method(series: Sequence[Series], progress: Progress) -> list[Floats]:
        scores = []
        for done, one in enumerate(series):
            progress(done / len(series))
            scores.append(scored(one))
        return scores

    return method


def random(series: Series) -> Floats:
    """Return chances that are drawn: calibrated, and blind."""
    rng = np.random.default_rng(zlib.crc32(series.name.encode()))
    return np.asarray(-np.log10(1.0 - rng.random(len(series.times))) / 10.0, dtype=np.float64)


def null(series: Series) -> Floats:
    """Return 0 throughout."""
    return np.zeros(len(series.times))


def windowed_gaussian(series: Series) -> Floats:
    """Return how far each value is from the mean of the last day, in its deviations; a baseline of NAB."""
    return worst(gaussian(_z(series.values, int(DAY / series.interval))))


def promql_band(series: Series) -> Floats:
    """Return how far each value is from the mean of 26 hours: Grafana's published rules alert at two deviations.

    Theirs says only inside or outside; the distance in deviations becomes a chance under a Gaussian here.
    """
    return worst(gaussian(_z(series.values, int(HOURS_OF_BAND * 3600 / series.interval))))


def one_step_difference(series: Series) -> Floats:
    """Return how unusual the step from the value before is among the steps of the last day."""
    steps = np.diff(series.values, axis=0, prepend=np.nan)
    return worst(gaussian(_z(steps, int(DAY / series.interval))))


def _z(values: Floats, window: int) -> Floats:
    """Return the deviation of values[t, k] from the mean of the `window` samples before, without the value itself."""
    mean, deviation = _moments(values, window)
    return np.nan_to_num((values - mean) / deviation, nan=0.0)


def _moments(values: Floats, window: int) -> tuple[Floats, Floats]:
    centred = values - np.nanmedian(values[: max(window, 1)], axis=0)  # one constant: it keeps the sums exact
    there = ~np.isnan(centred)
    filled = np.where(there, centred, 0.0)
    count, total, squares = (_before(part, window) for part in (there.astype(np.float64), filled, filled * filled))
    known = np.where(count >= _LEAST, count, np.nan)
    mean = total / known
    variance = np.maximum(squares / known - mean * mean, 0.0)
    floor = 1e-3 * np.abs(mean + values - centred) + 1e-9
    return mean + (values - centred), np.maximum(np.sqrt(variance), floor)


def _before(values: Floats, window: int) -> Floats:
    """Return the sum of the `window` rows before each row."""
    sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    rows = np.arange(len(values))
    sum_before: Floats = sums[rows] - sums[np.maximum(rows - window, 0)]
    return sum_before
