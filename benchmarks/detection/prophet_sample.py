"""Prophet (Taylor and Letham, 2018) on a sample: a fit takes a second, so that all of the data would take days."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd

from detection.baselines import gaussian
from detection.data import DAY, Series
from detection.stream import Progress, worst
from presagio.detectors.base import Floats

MOST_SERIES, MOST_METRICS, MOST_DAYS, FIT_DAYS, MOST_POINTS = 3, 2, 7, 14, 1500


@cache
def has_prophet() -> bool:
    """Return whether the package `prophet` is installed."""
    return importlib.util.find_spec("prophet") is not None


def sample(series: Sequence[Series]) -> list[Series]:
    """Return three series, spread over the set, of at most two metrics that move; their last week is scored."""
    chosen = [series[round(at)] for at in np.linspace(0, len(series) - 1, min(MOST_SERIES, len(series)))]
    return [_shortened(one) for one in chosen]


def _shortened(series: Series) -> Series:
    moving = np.flatnonzero(np.nanstd(series.values, axis=0) > 0)[:MOST_METRICS]
    last = series.times[series.scored][-1]
    recent = series.times > last - MOST_DAYS * DAY
    values = series.values[:, moving if len(moving) else slice(1)]
    # NAB asks for all windows of a series: of a week it has no score
    return replace(series, values=values, scored=series.scored & recent, windows=None)


def prophet(series: Sequence[Series], progress: Progress) -> list[Floats]:
    """Return how far each value is from the forecast of a model fitted at midnight on the last 14 days.

    In deviations of what the model left unexplained, under a Gaussian.
    """
    scores = []
    for done, one in enumerate(series):
        progress(done / len(series))
        z = [_deviations(one, metric) for metric in range(one.values.shape[1])]
        scores.append(worst(gaussian(np.nan_to_num(np.stack(z, axis=1), nan=0.0))))
    return scores


def _deviations(series: Series, metric: int) -> Floats:
    day = round(DAY / series.interval)
    frame = pd.DataFrame({"ds": pd.to_datetime(series.times, unit="s"), "y": series.values[:, metric]})
    z = np.zeros(len(frame))
    for begin in range(int(series.scored.argmax()), len(frame), day):
        past = frame[max(begin - FIT_DAYS * day, 0) : begin]
        if len(past) > day:
            z[begin : begin + day] = _z(past[:: max(len(past) // MOST_POINTS, 1)], frame[begin : begin + day])
    return z


def _z(past: pd.DataFrame, now: pd.DataFrame) -> Floats:
    from prophet import Prophet

    for name in ("prophet", "cmdstanpy"):
        logging.getLogger(name).setLevel(logging.ERROR)
    model = Prophet(uncertainty_samples=0).fit(past)
    unexplained = past["y"].to_numpy() - model.predict(past[["ds"]])["yhat"].to_numpy()
    deviation = max(float(np.nanstd(unexplained)), 1e-3 * float(np.nanmean(np.abs(past["y"]))), 1e-9)
    return np.asarray(
        (now["y"].to_numpy() - model.predict(now[["ds"]])["yhat"].to_numpy()) / deviation, dtype=np.float64
    )
