"""What a signal will be: the forecasts of all its series at one moment, and when each reaches its thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from presagio.detectors.base import Floats
from presagio.exporter.evaluation import Source
from presagio.exporter.forecast_config import ForecastsConfig, Threshold
from presagio.exporter.signals import Key
from presagio.forecasters.base import Forecast
from presagio.forecasters.threshold import Reach, time_to_threshold
from presagio.toolkit.prometheus import Vector

_GRID = 24
"""Moments up to the longest horizon at which thresholds are looked for."""


@dataclass(frozen=True)
class Outlook:
    """Forecasts made at `time` (Unix seconds) of n series; mean, lower and upper have shape [n, h].

    now[n]: the newest value. reach: by threshold.
    """

    time: float
    keys: Sequence[Key]
    now: Floats
    horizons: tuple[float, ...]
    mean: Floats
    lower: Floats
    upper: Floats
    reach: Mapping[str, Reach]


def levels(settings: ForecastsConfig) -> tuple[float, ...]:
    """Return the quantiles that are asked of a forecaster: those published, and those that thresholds need."""
    return tuple(sorted({0.025, 0.1, 0.5, 0.9, 0.975, settings.lower, settings.upper}))


def grid(settings: ForecastsConfig) -> tuple[float, ...]:
    """Return all horizons that are asked of a forecaster, ascending."""
    last = settings.horizons[-1]
    dense = (max(settings.step, last * (number + 1) / _GRID) for number in range(_GRID))
    return tuple(sorted({*settings.horizons, *dense}))


def outlook(
    time: float, keys: Sequence[Key], now: Floats, forecast: Forecast, settings: ForecastsConfig,
    limits: Sequence[tuple[Threshold, Floats]],
) -> Outlook:  # fmt: skip
    """Return what a forecast at the horizons of `grid` comes to; limits: for each threshold [n], NaN unknown."""
    horizons = grid(settings)
    shown = [horizons.index(horizon) for horizon in settings.horizons]
    low, high = (forecast.levels.index(level) for level in (settings.lower, settings.upper))
    reach = {
        threshold.name: time_to_threshold(forecast, horizons, limit, threshold.direction, now)
        for threshold, limit in limits
    }
    return Outlook(
        time, keys, now, tuple(settings.horizons), forecast.mean[:, shown], forecast.quantiles[:, shown, low],
        forecast.quantiles[:, shown, high], reach,
    )  # fmt: skip


def limits(source: Source, threshold: Threshold, keys: Sequence[Key], time: float) -> Floats:
    """Return the limit of each series, NaN where the query gives none or more than one. Raises SourceError."""
    if threshold.value is not None:
        return np.full(len(keys), threshold.value)
    assert threshold.query is not None  # noqa: S101 # for the type checker: the configuration has one of the two
    return matched(source.instant(threshold.query, time), keys)


def matched(answer: Vector, keys: Sequence[Key]) -> Floats:
    """Return for each key the value of the one series whose labels agree with it, NaN where there is not one.

    Labels that only one of both has are not compared: a limit may be one for the machine, or for all.
    """
    own = [{**dict(key.labels), "service_id": key.service_id} for key in keys]
    fits = [list[int]() for _ in keys]
    for theirs in {frozenset(labels) for labels in answer.labels}:
        rows = [row for row, labels in enumerate(answer.labels) if labels.keys() == theirs]
        for ours in {frozenset(labels) for labels in own}:
            shared = sorted(theirs & ours)
            index: dict[tuple[str, ...], list[int]] = {}
            for row in rows:
                index.setdefault(tuple(answer.labels[row][name] for name in shared), []).append(row)
            for number, labels in enumerate(own):
                if labels.keys() == ours:
                    fits[number] += index.get(tuple(labels[name] for name in shared), [])
    return np.array([answer.values[one[0]] if len(one) == 1 else np.nan for one in fits], dtype=np.float64)
