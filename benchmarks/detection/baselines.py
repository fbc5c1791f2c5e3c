"""Plain methods, each causal: what others do, so that our figures mean something.

Each takes a value's chance from what came before it, and gives it on our scale: 0.3 is once in a thousand. The score
of a machine is that of its worst metric.
"""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Callable, Sequence

import numpy as np
from scipy.signal import lfilter
from scipy.special import log_ndtr

from detection.data import DAY, Series
from detection.stream import Progress, worst
from presagio.detectors.base import Floats

LN10 = float(np.log(10.0))
HOURS_OF_BAND = 26
EWMA_SECONDS, EWMA_HIGHEST_RATE, EWMA_KNOWN = 7200.0, 0.05, 0.5
SEASONAL_DAYS, SEASONAL_LEAST = 14, 3
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


def ewma_zscore(series: Series) -> Floats:
    """Return how far each value is from an exponentially weighted mean of two hours, in deviations weighted alike.

    Where two hours are fewer than 20 samples, it remembers 20.
    """
    rate = min(series.interval / EWMA_SECONDS, EWMA_HIGHEST_RATE)
    centre = _centre(series.values, int(DAY / series.interval))
    centred = np.nan_to_num(series.values - centre, nan=0.0)
    there = (~np.isnan(series.values)).astype(np.float64)
    count, mean, square = (_weighted(part, rate) for part in (there, centred, centred * centred))
    known = np.where(count > EWMA_KNOWN, count, np.nan)
    mean, square = mean / known, square / known
    deviation = np.maximum(np.sqrt(np.maximum(square - mean * mean, 0.0)), _floor(mean + centre))
    return worst(gaussian(np.nan_to_num((series.values - centre - mean) / deviation, nan=0.0)))


def _weighted(values: Floats, rate: float) -> Floats:
    """Return the exponentially weighted sum of all before each row."""
    sums: Floats = lfilter([rate], [1.0, rate - 1.0], values, axis=0)
    return np.concatenate([np.zeros((1, values.shape[1])), sums[:-1]])


def seasonal_median(series: Series) -> Floats:
    """Return how far each value is from the median of the same time on the last 14 days, in their MAD.

    The MAD of a few values is mostly chance, and 0 for what is mostly 0: it is not let below that of all residuals of
    the last day.
    """
    slots = round(DAY / series.interval)
    days = -(-len(series.values) // slots)
    padded = np.pad(series.values, ((0, days * slots - len(series.values)), (0, 0)), constant_values=np.nan)
    folded = padded.reshape(days, slots, -1)
    z, least = np.zeros_like(folded), np.full(folded.shape[2], np.inf)
    for day in range(SEASONAL_LEAST, days):
        past = folded[max(day - SEASONAL_DAYS, 0) : day]
        median = _median(past)
        spread = np.maximum(1.4826 * _median(np.abs(past - median)), _floor(median))
        residual = folded[day] - median
        z[day] = np.where(np.isfinite(least), residual / np.maximum(spread, least), 0.0)
        least = np.maximum(1.2533 * _mean(np.abs(residual)), _floor(_median(median)))
    return worst(gaussian(np.nan_to_num(z.reshape(days * slots, -1)[: len(series.values)], nan=0.0)))


def _mean(values: Floats) -> Floats:
    """Return the mean over the first axis, of what is there; 0 where nothing is."""
    there = ~np.isnan(values)
    mean: Floats = np.where(there, values, 0.0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    return mean


def _median(values: Floats) -> Floats:
    """Return the median over the first axis, of what is there; 0 where nothing is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a slot without any value
        return np.nan_to_num(np.nanmedian(values, axis=0), nan=0.0)


def one_step_difference(series: Series) -> Floats:
    """Return how unusual the step from the value before is among the steps of the last day."""
    steps = np.diff(series.values, axis=0, prepend=np.nan)
    return worst(gaussian(_z(steps, int(DAY / series.interval))))


def _z(values: Floats, window: int) -> Floats:
    """Return the deviation of values[t, k] from the mean of the `window` samples before, without the value itself."""
    mean, deviation = moments(values, window)
    return np.nan_to_num((values - mean) / deviation, nan=0.0)


def moments(values: Floats, window: int) -> tuple[Floats, Floats]:
    """Return mean and deviation of the `window` samples before each of values[t, k]; NaN while there are too few."""
    centre = _centre(values, window)
    centred = values - centre
    there = ~np.isnan(centred)
    filled = np.where(there, centred, 0.0)
    count, total, squares = (_before(part, window) for part in (there.astype(np.float64), filled, filled * filled))
    known = np.where(count >= _LEAST, count, np.nan)
    mean = total / known
    variance = np.maximum(squares / known - mean * mean, 0.0)
    mean = mean + centre
    return mean, np.maximum(np.sqrt(variance), _floor(mean))


def _centre(values: Floats, window: int) -> Floats:
    """Return a constant near the first values: squares around it lose no digits. It drops out of the result."""
    return _median(values[: max(window, 1)])


def _floor(level: Floats) -> Floats:
    """Return the least deviation: what has stood still so far must not make the first change impossible."""
    least: Floats = 1e-3 * np.abs(level) + 1e-9
    return least


def _before(values: Floats, window: int) -> Floats:
    """Return the sum of the `window` rows before each row."""
    sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    rows = np.arange(len(values))
    sum_before: Floats = sums[rows] - sums[np.maximum(rows - window, 0)]
    return sum_before
