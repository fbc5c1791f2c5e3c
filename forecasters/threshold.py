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
    chance, times = _from_now(forecast, horizons, limit, direction, now)
    return Reach(_first(chance, times, MEDIAN), _first(chance, times, EARLY))


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


def _first(chance: Floats, times: Floats, level: float) -> Floats:
    """Return the first time at which chance[n, t], which never falls, is `level`."""
    right = (chance < level).sum(axis=1)
    reached = np.clip(right, 1, len(times) - 1)
    before, after = (np.take_along_axis(chance, (reached - less)[:, None], axis=1)[:, 0] for less in (1, 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(after > before, (level - before) / (after - before), 0.0)
    found = times[reached - 1] + np.clip(share, 0.0, 1.0) * (times[reached] - times[reached - 1])
    found = np.where(right == 0, 0.0, np.where(right == len(times), np.inf, found))
    return np.where(np.isnan(chance).any(axis=1), np.nan, found)
