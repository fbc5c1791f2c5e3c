"""Baselines that learn a model of the recent past and fit it anew on a schedule; all see the past alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import log_ndtr

from detection.baselines import LN10, moments
from detection.data import DAY, Series
from detection.stream import worst
from presagio.detectors.base import Floats

LEAST = 10
"""Samples between two trainings, where three hours have fewer."""

FOREST_DAYS, TREES, LAGS = 7, 25, 5
MODELS, TRAIN_EVERY, TRAIN_ON = 18, 3 * 3600.0, 6 * 3600.0
_DIFFERENCE, _SMOOTH, _LAGGED, _ROUNDS = 1, 3, 5, 8


def isolation_forest(series: Series) -> Floats:
    """Return what scikit-learn's isolation forest finds unusual (Liu, Ting and Zhou, ICDM 2008).

    Fitted each day on the last seven; a sample is all metrics and their steps, or five values of a single one.
    Its score has no probability: the chance is that under a Gaussian of its scores on what it was fitted on.
    """
    features, day = _features(series), round(DAY / series.interval)
    out = np.zeros(len(features))
    for begin in range(day, len(features), day):
        past = features[max(begin - FOREST_DAYS * day, 0) : begin]
        out[begin : begin + day] = _forest(past, features[begin : begin + day])
    return out


def _features(series: Series) -> Floats:
    values = _filled(series.values)
    if values.shape[1] == 1:
        return np.concatenate([_shifted(values, lag) for lag in range(LAGS)], axis=1)
    return np.concatenate([values, values - _shifted(values, 1)], axis=1)


def _forest(past: Floats, now: Floats) -> Floats:
    from sklearn.ensemble import IsolationForest

    forest = IsolationForest(n_estimators=TREES, random_state=0).fit(past)
    usual = -forest.score_samples(past[:: max(len(past) // 1000, 1)])
    unusual = -forest.score_samples(now)
    return upper((unusual - usual.mean()) / max(float(usual.std()), 1e-3))


def kmeans_votes(series: Series) -> Floats:
    """Return what all of 18 k-means models call far off: Netdata's published design, a model for each metric.

    Vectors of six smoothed differences in a row; k = 2; a model each three hours on the last six; its score is the
    mean distance to its centres, scaled to what it saw in training. Theirs is 1 where all models exceed 0.99: the
    least of the scores says the same, and its chance is that under a Gaussian of its last day, as theirs has none.
    """
    return worst(np.stack([_votes(values, series.interval) for values in _filled(series.values).T], axis=1))


def _votes(values: Floats, interval: float) -> Floats:
    every, on = max(round(TRAIN_EVERY / interval), LEAST), max(round(TRAIN_ON / interval), 2 * LEAST)
    vectors = _vectors(values)
    blocks = len(vectors) // every
    trained = -(-on // every)
    if blocks <= trained:
        return np.zeros(len(values))
    training = np.stack([vectors[(block * every - on) : block * every] for block in range(trained, blocks + 1)])
    centres = _kmeans(training)
    low, high = _range(_distance(training, centres))
    least = np.full(len(values), np.inf)
    for age in range(MODELS):  # the newest model first; each sample is judged by those that were there before it
        first = (trained + age) * every
        model = np.minimum((np.arange(first, len(values)) // every) - trained - age, len(centres) - 1)
        far = _distance(vectors[first:, None], centres[model])[:, 0]
        least[first:] = np.minimum(least[first:], (far - low[model]) / (high[model] - low[model]))
    least = np.where(np.isfinite(least), least, np.nan)[:, None]
    mean, deviation = moments(least, round(DAY / interval))
    return upper(np.nan_to_num((least - mean) / np.maximum(deviation, 1e-2), nan=0.0))[:, 0]


def _vectors(values: Floats) -> Floats:
    steps = np.abs(np.diff(values, n=_DIFFERENCE, prepend=values[:_DIFFERENCE]))
    smooth = np.mean([_shifted(steps[:, None], lag)[:, 0] for lag in range(_SMOOTH)], axis=0)
    return np.concatenate([_shifted(smooth[:, None], lag) for lag in range(_LAGGED + 1)], axis=1)


def _kmeans(training: Floats) -> Floats:
    """Return centres[model, 2, dimension] by Lloyd's rounds, from the least and the greatest vector."""
    models, size = np.arange(len(training)), training.sum(axis=2)
    centres = np.stack([training[models, size.argmin(axis=1)], training[models, size.argmax(axis=1)]], axis=1)
    for _ in range(_ROUNDS):
        squares = ((training[:, :, None] - centres[:, None]) ** 2).sum(axis=3)
        second = (squares[:, :, 1] < squares[:, :, 0])[:, :, None]
        for which, mine in enumerate((~second, second)):
            count = mine.sum(axis=1)
            centres[:, which] = np.where(
                count > 0, (training * mine).sum(axis=1) / np.maximum(count, 1), centres[:, which]
            )
    return centres


def _distance(vectors: Floats, centres: Floats) -> Floats:
    """Return the mean distance of vectors[model, sample, d] to the two centres[model, 2, d]."""
    parts = (np.sqrt(((vectors - centres[:, None, which]) ** 2).sum(axis=2)) for which in range(2))
    mean: Floats = sum(parts, np.zeros(vectors.shape[:2])) / 2
    return mean


def _range(distances: Floats) -> tuple[Floats, Floats]:
    low, high = distances.min(axis=1), distances.max(axis=1)
    return low, np.maximum(high, low + 1e-9 + 1e-3 * np.abs(low))


def _shifted(values: Floats, lag: int) -> Floats:
    """Return values of `lag` rows before; the first ones stand for those that are not there."""
    rows = np.maximum(np.arange(len(values)) - lag, 0)
    return values[rows]


def _filled(values: Floats) -> Floats:
    """Return the latest value where one is missing; 0 before the first."""
    there = ~np.isnan(values)
    latest: npt.NDArray[np.int64] = np.maximum.accumulate(np.where(there, np.arange(len(values))[:, None], 0), axis=0)
    return np.nan_to_num(np.take_along_axis(values, latest, axis=0), nan=0.0)


def upper(z: Floats) -> Floats:
    """Return the score of a deviation upwards under a Gaussian."""
    p: Floats = -log_ndtr(-z) / LN10
    return np.clip(p / 10.0, 0.0, 1.0)
