"""Our own fast forecaster: the plain ones weighed by how they did lately, for thousands of series at once.

Weights are inverse powers of the errors from rolling origins, as in forecast combinations since Bates and Granger
(1969). What no past error can know is a trend that has just begun: where the slope now is beyond all that the series
has had, and beyond its noise, it is followed instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from presagio.forecasters.base import Bools, Floats, Ints
from presagio.forecasters.conformal import quantiles
from presagio.forecasters.drift import Drift, DriftParams, steps_followed
from presagio.forecasters.naive import Naive
from presagio.forecasters.plain import Plain, actual, origins_of
from presagio.forecasters.preparation import History
from presagio.forecasters.seasonal_naive import SeasonalNaive, SeasonalNaiveParams
from presagio.forecasters.slopes import Line, Sums

WINDOWS = (12, 48, 288)
"""Samples over which slopes are measured: at five minutes an hour, four hours, a day."""

_SHARPNESS = 6.0
_HALF_LIFE = 0.35
"""Of the history: errors so far back count half."""

_SPANS = (12, 24, 48, 96, 288)
_TRUST = 2.0
_FEWEST = 3
_SEEN = 8
"""Slopes of the past that a new one is held against."""

_UNHEARD = 1.5
_CERTAIN = 4.0
_STEADY = 0.3
"""Share of a new slope that each half of its window has at least."""

_UNSURE = 0.25
"""Share of a new slope that is taken for its standard error beside what its noise tells: it may stop tomorrow."""


@dataclass(frozen=True)
class Trend:
    """A slope beyond all that the series had: if there is one [n], and where it leads, mean and spread [n, h]."""

    there: Bools
    mean: Floats
    spread: Floats


class Quick(Plain):
    """The plain forecasters, weighed; a new trend is followed."""

    def members(self) -> list[Plain]:
        """Return the plain forecasters that are weighed."""
        told: dict[str, Any] = self.params.model_dump(include={"levels", "minimum", "maximum"})
        lines: list[Plain] = [Drift(DriftParams(window=window, **told)) for window in WINDOWS]
        if self.params.season == "none":
            return [Naive(self.params), *lines]
        days: list[Plain] = [
            SeasonalNaive(SeasonalNaiveParams(periods=periods, level=level, **told))
            for periods, level in ((1, 1.0), (1, 0.0), (3, 0.0), (3, 0.5))
        ]
        week = SeasonalNaive(SeasonalNaiveParams(period="week", level=0.5, **told))
        return [Naive(self.params), *lines, *days, week]

    def path(self, history: History, origins: Ints, leads: Ints, step: float) -> Floats:
        """Return the members' paths weighed by their errors before the last origin."""
        past = origins_of(int(origins.max()) + 1)
        weights, _ = self._weigh(history, past, leads, step)
        return _mixed([one.path(history, origins, leads, step) for one in self.members()], weights)

    def _whole(self, history: History, leads: Ints, step: float) -> tuple[Floats, Floats]:
        last = np.array([history.length - 1])
        weights, errors = self._weigh(history, origins_of(history.length), leads, step)
        mean = _mixed([one.path(history, last, leads, step) for one in self.members()], weights)[:, 0]
        mean = np.where(np.isnan(mean), history.newest[:, None], mean)
        spread = quantiles(mean, errors, leads.tolist(), self.params.levels)
        return followed(history, leads, self.params.levels, mean, spread)

    def _weigh(self, history: History, origins: Ints, leads: Ints, step: float) -> tuple[list[Floats], Floats]:
        """Return each member's weight [n, 1, h], and the errors [n, o, h] of all of them so weighed."""
        came = actual(history, origins, leads)
        each = [came - one.path(history, origins, leads, step) for one in self.members()]
        age = (history.length - 1 - origins) / max(1.0, _HALF_LIFE * history.length)
        recent = (0.5**age)[None, :, None]
        sizes = np.stack([_size(errors, recent) for errors in each])
        weights = _weights(sizes)
        return list(weights), _mixed(each, list(weights))


def followed(
    history: History, leads: Ints, levels: Sequence[float], mean: Floats, spread: Floats
) -> tuple[Floats, Floats]:
    """Return mean [n, h] and quantiles [n, h, q] of a forecast, or of the new trend of the series that have one."""
    from scipy.special import ndtri

    trend = _trend(history, leads)
    wide = trend.mean[..., None] + trend.spread[..., None] * ndtri(np.asarray(levels))
    there = trend.there[:, None]
    return np.where(there, trend.mean, mean), np.where(there[..., None], wide, spread)


def _size(errors: Floats, recent: Floats) -> Floats:
    """Return the mean size [n, h] of errors[n, o, h], recent ones counting more; inf where too few are known."""
    known = ~np.isnan(errors)
    weight = known * recent
    total = np.where(known, np.abs(errors) * recent, 0.0).sum(axis=1)
    return np.where(known.sum(axis=1) >= _FEWEST, total / np.maximum(weight.sum(axis=1), 1e-300), np.inf)


def _weights(sizes: Floats) -> Floats:
    """Return the weights [m, n, 1, h] of m members from the sizes [m, n, h] of their errors; they sum to 1."""
    best = sizes.min(axis=0)
    unknown = np.isinf(best)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(sizes <= best, 1.0, (best / sizes) ** _SHARPNESS)
    share = np.where(share < 0.05, 0.0, share)
    share[:, unknown] = 0.0
    share[0][unknown] = 1.0  # the first member is the last value
    weights: Floats = (share / share.sum(axis=0))[:, :, None, :]
    return weights


def _mixed(parts: list[Floats], weights: list[Floats]) -> Floats:
    """Return the weighted mean of parts[n, o, h], each time of those that are known."""
    total = np.zeros_like(parts[0])
    weight = np.zeros_like(parts[0])
    for part, share in zip(parts, weights, strict=True):
        known = ~np.isnan(part)
        total += np.where(known, part * share, 0.0)
        weight += known * share
    return np.where(weight > 0, total / np.where(weight > 0, weight, 1.0), np.nan)


def _trend(history: History, leads: Ints) -> Trend:
    """Return the new trend, over the window in which it is the most certain."""
    sums = Sums(history)
    shape = (len(history.values), len(leads))
    best, mean, spread = np.zeros((shape[0], 1)), np.zeros(shape), np.zeros(shape)
    for window in _SPANS:
        certainty, line = _new(sums, window)
        better = certainty > best
        ahead = line.slope * steps_followed(leads, line.count, _TRUST)
        own = np.sqrt(line.residual**2 + (line.error * leads) ** 2 + (_UNSURE * ahead) ** 2)
        best = np.where(better, certainty, best)
        mean, spread = np.where(better, line.level + ahead, mean), np.where(better, own, spread)
    return Trend(best[:, 0] > 0, mean, spread)


def _new(sums: Sums, window: int) -> tuple[Floats, Line]:
    """Return how certain the slope over the last `window` samples is [n, 1], 0 where it is not new, and its line."""
    length = sums.history.length
    now = sums.line(np.array([length - 1]), window)
    before = np.arange(window, length - 2 * window, max(1, window // 4), dtype=np.int64)
    if len(before) < _SEEN:
        return np.zeros((len(sums.history.values), 1)), now
    past = sums.line(before, window)
    most = np.where(past.count >= window / 2, np.abs(past.slope), 0.0).max(axis=1, keepdims=True)
    certainty = np.abs(now.slope) / np.maximum(now.error, 1e-300)
    is_new = (np.abs(now.slope) > _UNHEARD * most) & (certainty > _CERTAIN) & (now.count >= window)
    return np.where(is_new & _steady(sums, now, window), certainty, 0.0), now


def _steady(sums: Sums, now: Line, window: int) -> Bools:
    """Return whether both halves of the window rise, or fall, as the whole does [n, 1]: no step and no spike does."""
    last, half = sums.history.length - 1, window // 2
    halves = [sums.line(np.array([origin]), half).slope for origin in (last, last - half)]
    least = _STEADY * np.abs(now.slope)
    return np.asarray(np.minimum(*(np.sign(now.slope) * slope for slope in halves)) >= least, dtype=np.bool_)
