"""Measures of the order of scores, whatever the threshold: VUS-PR and AUC-PR, of one series each."""

from __future__ import annotations

import importlib.util
import math
from functools import cache

import numpy as np

from presagio.detectors.base import Floats

MOST_POINTS = 5000
_BUFFER, _THRESHOLDS = 1800.0, 250


@cache
def has_vus() -> bool:
    """Return whether the package `vus` is installed."""
    return importlib.util.find_spec("vus") is not None


def auc_pr(labels: Floats, score: Floats) -> float:
    """Return the average precision; NaN for a series without anomalies."""
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(labels, score)) if labels.any() else math.nan


def vus_pr(labels: Floats, score: Floats, interval: float) -> float:
    """Return the volume under the surface of precision and recall (Paparrizos et al., VLDB 2022), by their package.

    The buffer around anomalies goes up to 30 minutes. Its cost grows with the samples, so that a long series is
    thinned to 5,000 blocks, each with its highest score and its label if any of it is anomalous.
    """
    if not has_vus() or not labels.any():
        return math.nan
    from vus.utils.metrics import metricor

    block = math.ceil(len(score) / MOST_POINTS)
    window = max(round(_BUFFER / interval / block), 1)
    volume = metricor().RangeAUC_volume_opt(thinned(labels, block), thinned(score, block), window, _THRESHOLDS)
    return float(volume[-1])


def thinned(values: Floats, block: int) -> Floats:
    """Return the highest of each `block` samples."""
    highest: Floats = np.maximum.reduceat(values, np.arange(0, len(values), block))
    return highest
