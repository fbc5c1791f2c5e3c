"""When a forecast reaches a limit, and how likely it does: read off its quantiles, nothing simulated.

Between two quantiles of a forecast its distribution is taken for a piece of a bell curve, beyond the outermost for
the continuation of the last piece. The path between two horizons is taken for straight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from presagio.forecasters.base import Floats, Forecast

Side = Literal["above", "below"]

MEDIAN, EARLY = 0.5, 0.1


@dataclass(frozen=True)
class Reach:
    """Seconds until n series are at their limit: as likely as not (median[n]), and one time in ten (early[n]).

    0 where it is there now, +inf where it is not within the last horizon, NaN where there is no forecast or limit.
    """

    median: Floats
    early: Floats


def beyond(forecast: Forecast, limit: Floats, direction: Side) -> Floats:
    """Return the probability [n, h] of being at or beyond limit[n] at each horizon; NaN where one is not known."""
    from scipy.special import ndtr, ndtri

    z = ndtri(np.asarray(forecast.levels, dtype=np.float64))
    values, edge = forecast.quantiles, limit[:, None]
    if direction == "below":
        z, values, edge = -z[::-1], -values[..., ::-1], -edge
    if len(z) == 1:  # a piece needs two ends
        z, values = np.add(z, (-1.0, 1.0)), np.repeat(values, 2, axis=-1)
    left = np.clip((values <= edge[..., None]).sum(axis=-1) - 1, 0, len(z) - 2)
    low, high = (np.take_along_axis(values, (left + more)[..., None], axis=-1)[..., 0] for more in (0, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (edge - low) / (high - low)
    # A piece without width is a value that is certain: at it the limit is reached, above it never.
    share = np.where(high > low, share, np.where(edge > low, np.inf, -np.inf))
    at = z[left] + share * (z[left + 1] - z[left])
    known = ~np.isnan(values).any(axis=-1) & ~np.isnan(edge)
    return np.where(known, 1.0 - ndtr(at), np.nan)


def time_to_threshold(
    forecast: Forecast, horizons: Sequence[float], limit: Floats, direction: Side, now: Floats
) -> Reach:
    """Return how long until limit[n] is reached; horizons are ascending, in seconds; now[n] is the newest value."""
    times = np.concatenate([[0.0], np.asarray(horizons, dtype=np.float64)])
    if direction == "above":
        paths = [np.column_stack([now, _quantile(forecast, 1.0 - level)]) for level in (MEDIAN, EARLY)]
        return Reach(*(_first(path, times, limit) for path in paths))
    paths = [np.column_stack([now, _quantile(forecast, level)]) for level in (MEDIAN, EARLY)]
    return Reach(*(_first(-path, times, -limit) for path in paths))


def crossing(
    forecast: Forecast,
    horizons: Sequence[float],
    limit: Floats,
    direction: Side,
    now: Floats,
    within: Sequence[float],
) -> Floats:
    """Return the probability [n, len(within)] that limit[n] is reached within so many seconds.

    It is the highest probability at any horizon up to then: right for what grows steadily, and a lower bound for what
    also swings on its way (for a random walk without drift the truth is twice as much, by the reflection principle).
    """
    chance, times = _from_now(forecast, horizons, limit, direction, now)
    right = np.clip(np.searchsorted(times, within), 1, len(times) - 1)
    share = np.clip((np.asarray(within) - times[right - 1]) / (times[right] - times[right - 1]), 0.0, 1.0)
    return chance[:, right - 1] + share * (chance[:, right] - chance[:, right - 1])


def _from_now(
    forecast: Forecast, horizons: Sequence[float], limit: Floats, direction: Side, now: Floats
) -> tuple[Floats, Floats]:
    """Return the probability [n, 1 + h] of having been beyond by each of `times`, the first of which is now."""
    there = now >= limit if direction == "above" else now <= limit
    start = np.where(np.isnan(limit), np.nan, there.astype(np.float64))[:, None]
    chance = np.hstack([start, beyond(forecast, limit, direction)])
    return np.maximum.accumulate(chance, axis=1), np.concatenate([[0.0], np.asarray(horizons, dtype=np.float64)])


def _quantile(forecast: Forecast, level: float) -> Floats:
    """Return the path [n, h] of one quantile, which need not be among the forecast's levels."""
    from scipy.special import ndtri

    z, values = ndtri(np.asarray(forecast.levels, dtype=np.float64)), forecast.quantiles
    if len(z) == 1:
        return values[..., 0]
    right = int(np.clip(np.searchsorted(z, ndtri(level)), 1, len(z) - 1))
    share = (ndtri(level) - z[right - 1]) / (z[right] - z[right - 1])
    path: Floats = values[..., right - 1] + share * (values[..., right] - values[..., right - 1])
    return path


def _first(path: Floats, times: Floats, limit: Floats) -> Floats:
    """Return the first time at which path[n, t], the first of which is now, is at or above limit[n]."""
    there = path >= limit[:, None]
    found = there.argmax(axis=1)
    right = np.maximum(found, 1)
    before, after = (np.take_along_axis(path, (right - less)[:, None], axis=1)[:, 0] for less in (1, 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(after > before, (limit - before) / (after - before), 1.0)
    time = times[right - 1] + np.clip(share, 0.0, 1.0) * (times[right] - times[right - 1])
    time = np.where(there.any(axis=1), np.where(found == 0, 0.0, time), np.inf)
    return np.where(np.isnan(path[:, 1:]).any(axis=1) | np.isnan(limit), np.nan, time)
