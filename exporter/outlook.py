"""What a signal will be: the forecasts of all its series at one moment, and when each reaches its thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from presagio.detectors.base import Floats
from presagio.exporter.forecast_config import ForecastsConfig, Threshold
from presagio.exporter.signals import Key
from presagio.forecasters.base import Forecast
from presagio.forecasters.threshold import Reach, time_to_threshold

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
    """Return all horizons that are asked of a forecaster, ascending: even, and denser near now."""
    last, step = settings.horizons[-1], settings.step
    even = [last * (number + 1) / _GRID for number in range(_GRID)]
    near = [even[0] / 2**number for number in range(1, _GRID)]
    whole = {float(np.floor(one / step + 1e-9) * step) for one in (*near, *even)}
    return tuple(sorted({*settings.horizons, *whole} - {0.0}))


def outlook(
    time: float, keys: Sequence[Key], now: Floats, forecast: Forecast, settings: ForecastsConfig,
    bounds: Sequence[tuple[Threshold, Floats]],
) -> Outlook:  # fmt: skip
    """Return what a forecast at the horizons of `grid` comes to; bounds: for each threshold [n], NaN unknown."""
    horizons = grid(settings)
    shown = [horizons.index(horizon) for horizon in settings.horizons]
    low, high = (forecast.levels.index(level) for level in (settings.lower, settings.upper))
    reach = {
        threshold.name: time_to_threshold(forecast, horizons, limit, threshold.direction, now)
        for threshold, limit in bounds
    }
    return Outlook(
        time, keys, now, tuple(settings.horizons), forecast.mean[:, shown], forecast.quantiles[:, shown, low],
        forecast.quantiles[:, shown, high], reach,
    )  # fmt: skip
