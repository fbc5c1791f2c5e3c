"""Three views of how far a series is from what is expected: its jump, its distance, and its mean distance of late.

A spike is seen in the first, an outage in the second, a drop that hides in the noise in the third. Each has its own
spread and its own two tails, so that each is calibrated; the chance of the least likely one is multiplied by the
number of independent views that they are worth (Bonferroni).
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from presagio.detectors.arrays import Arrays, Bools
from presagio.detectors.base import Floats, Ints
from presagio.detectors.tail import THRESHOLD, Fit, Tail

JUMP, DISTANCE, MEAN = 0, 1, 2
VIEWS = 3
EFFECTIVE_VIEWS = 2.2
"""How many independent ones they are worth, measured on clean series: they see much of the same."""

_RECENT_SAMPLES = 4.0
_MEAN_SECONDS = 1_800.0
_MOST_IN_MEAN = 3.0
"""In spreads: a single spike must not fill the mean of half an hour."""

_SPREAD_SAMPLES, _SHORT_SAMPLES = 1_000.0, 60.0
_PRIOR_SAMPLES, _PRIOR_SPREAD, _LEAST_SPREAD = 30.0, 0.02, 0.001
_KNOWN_SAMPLES = 500.0
_INHERITED_SAMPLES = 500.0
_CALMEST, _WILDEST, _RESTLESS = 0.5, 3.0, 0.5
_ORDINARY_P, _EXTREME_P, REMARKABLE_P = 0.01, 1e-5, 1e-4


class _Rows(Arrays):
    fields: ClassVar[tuple[str, ...]] = ("recent", "mean", "extreme", "anomalous")
    recent: Floats
    mean: Floats
    extreme: Floats
    anomalous: Floats


class _Spreads(Arrays):
    fields: ClassVar[tuple[str, ...]] = ("long", "short", "side")
    long: Floats
    short: Floats
    side: Floats


class Views:
    """The views of n rows. Lanes of arrays: the view, then the side (0 above, 1 below)."""

    def __init__(self) -> None:
        self.rows, self.spreads, self.tails = _Rows(), _Spreads(VIEWS), Tail(VIEWS, 2)
        self._residuals = self._r = np.zeros((VIEWS, 0))
        self._above: Bools = np.zeros((VIEWS, 0), dtype=np.bool_)
        self._fit = self.tails.fit()

    def spread(self, level: Floats) -> Floats:
        """Return the long spread[n] of the distance, never quite zero."""
        spread: Floats = np.maximum(self.spreads.long[DISTANCE], _least(level))
        return spread

    def look(self, residual: Floats, elapsed: Floats, level: Floats, count: Floats) -> tuple[Floats, Bools]:
        """Return the two-sided chance[3, n] of each view, and whether it lies above."""
        rows = self.rows
        most = _MOST_IN_MEAN * self.spread(level)
        share = np.minimum(elapsed / _MEAN_SECONDS, 1.0)
        mean = rows.mean + share * (np.clip(residual, -most, most) - rows.mean)
        self._residuals = np.stack((residual - rows.recent, residual, mean))
        self._r = self._residuals / self._scale(level, count)
        self._above = self._r >= 0
        self._fit = self.tails.fit()
        p = np.minimum(2 * self._side(self._fit).chance(np.abs(self._r)), 1.0)
        return self._without_trace(p, residual, share), self._above

    def _side(self, fit: Fit) -> Fit:
        """Return the tails of the side on which each view lies."""
        above = self._above
        return Fit(*(np.where(above, part[:, 0], part[:, 1]) for part in (fit.rate, fit.shape, fit.scale)))

    def _without_trace(self, p: Floats, residual: Floats, share: Floats) -> Floats:
        """A fault that is over leaves no trace in the mean, so that its alarm ends with it."""
        rows = self.rows
        over = (rows.extreme > 0) & (p[DISTANCE] > _ORDINARY_P)
        if over.any():
            self._residuals[MEAN] = np.where(over, share * residual, self._residuals[MEAN])
            self._r[MEAN] = np.where(over, 0.0, self._r[MEAN])
            p[MEAN] = np.where(over, 1.0, p[MEAN])
        return p

    def _scale(self, level: Floats, count: Floats) -> Floats:
        """Return the spread[3, n]: a prior guess that weighs less with every sample, times how restless it is now."""
        least, known = _least(level), np.minimum(count, _KNOWN_SAMPLES)
        long, short = self.spreads.long, self.spreads.short
        scale = (_PRIOR_SAMPLES * _PRIOR_SPREAD * np.abs(level) + known * long) / (_PRIOR_SAMPLES + known)
        restless = np.clip((short + 1e-3 * long) / np.maximum(long, 1e-300), _CALMEST, _WILDEST) ** _RESTLESS
        return np.maximum(scale, least) * np.where(long > 0, restless, 1.0)

    def bounds(self, p: float, level: Floats, count: Floats) -> tuple[Floats, Floats]:
        """Return how far below and above the expected value the distance exceeds with chance p."""
        scale = self._scale(level, count)[DISTANCE]
        reach = self.tails.quantile(p)[DISTANCE]
        return scale * reach[1], scale * reach[0]

    def learn(self, residual: Floats, weight: Floats, count: Floats, teaches: Bools, excused: Bools) -> None:
        """Learn from what `look` saw with weight[n] 0..1; `teaches`: where it may teach the tails."""
        self._learn_tails(teaches, excused)
        spreads, size = self.spreads, np.abs(self._residuals)
        spreads.long = spreads.long + weight / np.clip(count, 1, _SPREAD_SAMPLES) * (size - spreads.long)
        spreads.short = spreads.short + weight / np.clip(count, 1, _SHORT_SAMPLES) * (size - spreads.short)
        rows = self.rows
        recent = rows.recent + weight / np.clip(count, 1, _RECENT_SAMPLES) * (residual - rows.recent)
        rows.recent = np.where(rows.anomalous > 0, recent * (1 - 1 / _RECENT_SAMPLES), recent)

    def remember(self, seen: Bools, anomalous: Bools, excused: Bools, p: Floats) -> None:
        """Note for the next sample what was just seen."""
        rows = self.rows
        extreme = (p[DISTANCE] < _EXTREME_P) | ((rows.extreme > 0) & (p[DISTANCE] < _ORDINARY_P))
        rows.extreme = np.where(seen, extreme, rows.extreme)
        rows.mean = np.where(seen & ~excused, self._residuals[MEAN], rows.mean)
        self.spreads.side = np.where(anomalous, np.where(self._above, 1.0, -1.0), self.spreads.side)
        rows.anomalous = np.where(seen, anomalous, rows.anomalous)

    def _learn_tails(self, teaches: Bools, excused: Bools) -> None:
        """Learn from all that is rare, or the tails would forget how heavy they are.

        What seems impossible but keeps happening must become likelier; what merely lasts must not. So an anomaly
        teaches nothing while it lasts, and when it is over it counts as one value that was just remarkable.
        """
        signed = np.stack((self._r, -self._r), axis=1)
        told = signed
        if (signed > THRESHOLD).any() or (self.rows.anomalous > 0).any():
            remarkable = self._fit.quantile(REMARKABLE_P)
            sides = np.stack((self.spreads.side > 0, self.spreads.side < 0), axis=1)
            over = (self.rows.anomalous > 0) & ~excused & sides
            told = np.where(over, remarkable, np.minimum(signed, remarkable))
        self.tails.learn(np.where(teaches, told, np.nan), np.broadcast_to(teaches, told.shape).astype(np.float64))

    def restart(self, rows: Bools, by: Floats) -> None:
        """Another forecast was chosen: all residuals are `by` larger, which is no jump; the mean begins anew."""
        self.rows.recent = np.where(rows, self.rows.recent + by, self.rows.recent)
        self.rows.mean = np.where(rows, 0.0, self.rows.mean)

    def widen(self, rows: Bools, spread: Floats) -> None:
        """Take at least this spread[n] in these rows: a new level came with it."""
        self.spreads.long = np.where(rows, np.maximum(self.spreads.long, spread), self.spreads.long)

    def inherit(self, rows: Ints, ratio: Floats) -> None:
        """Stretch the spreads that rows[m] were given by ratio[m]; their tails count as a few samples only."""
        for array in (self.spreads.long, self.spreads.short):
            array[:, rows] = array[:, rows] * ratio
        self.spreads.side[:, rows] = 0.0
        for array in (self.rows.recent, self.rows.mean, self.rows.extreme, self.rows.anomalous):
            array[rows] = 0.0
        self.tails.inherit(rows, _INHERITED_SAMPLES)

    def parts(self) -> tuple[tuple[str, Arrays], ...]:
        """Return what is learnt, by name."""
        return (("view_", self.rows), ("spread_", self.spreads), ("tail_", self.tails))


def _least(level: Floats) -> Floats:
    return np.maximum(_LEAST_SPREAD * np.abs(level), 1e-12)
