"""The tails of the residuals: peaks over threshold.

Excesses over a threshold follow a generalised Pareto distribution (Pickands 1975; Siffer et al., "Anomaly detection
in streams with extreme value theory", KDD 2017). The threshold is fixed in units of the spread; the rate of peaks and
the first two moments of the excess are learnt with exponential forgetting, and the distribution is fitted by moments
(Hosking and Wallis 1987): O(1) a sample, no history kept.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from presagio.detectors.arrays import Arrays
from presagio.detectors.base import Floats, Ints

_LEARNT = ("peaks", "excess", "excess_squared")

THRESHOLD = 2.0
"""Where the tail begins, in mean absolute deviations: about one sample in twenty of a Gaussian lies beyond."""

_MEMORY = 10_000.0
_PRIOR_SAMPLES, _PRIOR_PEAKS = 20.0, 1.0
_PRIOR_EXCESSES, _PRIOR_MEAN, _PRIOR_SQUARE = 5.0, 0.5, 2.5
_PRIOR_SHAPES, _PRIOR_SHAPE = 20.0, 0.0
# Not heavier than exponential. The moments of the peaks already hold the rate at 1 in 1,000, which is measured; what
# lies beyond is extrapolated, and faults learnt as peaks would bend a heavier tail until no fault is improbable.
_LIGHTEST, _HEAVIEST = -0.15, 0.01
_STEEPEST = 1.6
"""Times as steep as exponential at most: what lies past the end of a bounded tail is unlikely, not impossible."""

_SMALLEST_P = 1e-300


class Fit:
    """The tails as they are now: the rate of peaks, the shape and the scale of their excess, each an array."""

    def __init__(self, rate: Floats, shape: Floats, scale: Floats) -> None:
        self.rate = rate
        self.shape = shape
        self.scale = scale

    def chance(self, r: Floats) -> Floats:
        """Return P(residual > r), in 0..0.5 for r >= 0; r in units of the spread."""
        inner = np.log(0.5) + np.log(2 * self.rate) * np.square(np.minimum(r, THRESHOLD) / THRESHOLD)
        beyond = np.maximum(r - THRESHOLD, 0.0)
        outer = -np.log(np.maximum(1 + self.shape * beyond / self.scale, _SMALLEST_P)) / self.shape
        outer = np.maximum(outer, -_STEEPEST * beyond / self.scale)
        chance: Floats = np.maximum(np.exp(inner + outer), _SMALLEST_P)
        return chance

    def quantile(self, p: float) -> Floats:
        """Return the residual r that is exceeded with chance p, the inverse of `chance`."""
        inner = THRESHOLD * np.sqrt(np.log(2 * p) / np.log(2 * self.rate))
        outer = self.scale / self.shape * ((self.rate / p) ** self.shape - 1)
        outer = np.maximum(outer, self.scale * np.log(self.rate / p) / _STEEPEST)
        return np.where(p >= self.rate, inner, THRESHOLD + outer)


class Tail(Arrays):
    """For n rows: the chance of a residual beyond r on one side, learnt from the residuals seen.

    lanes: several tails for each row; arrays then have shape [*lanes, n].
    """

    fields: ClassVar[tuple[str, ...]] = ("samples", *_LEARNT, *(f"pending_{field}" for field in _LEARNT))
    dtype = np.float32
    samples: Floats
    peaks: Floats
    excess: Floats
    excess_squared: Floats

    def chance(self, r: Floats) -> Floats:
        """Return P(residual > r), in 0..0.5 for r >= 0; r in units of the spread."""
        return self.fit().chance(r)

    def quantile(self, p: float) -> Floats:
        """Return the residual r that is exceeded with chance p, the inverse of `chance`."""
        return self.fit().quantile(p)

    def learn(self, r: Floats, weight: Floats) -> None:
        """Take in residuals r of this side, each with its weight 0..1; NaN is no residual.

        Peaks in a row are kept apart until one follows that is none: a leak that goes on must not make itself likely.
        """
        inside, outside = r > THRESHOLD, r <= THRESHOLD
        beyond = np.where(inside, r - THRESHOLD, 0.0)
        self.samples = self._kept(self.samples * (1 - weight / _MEMORY) + weight)
        for field, amount in zip(_LEARNT, (inside, beyond, beyond * beyond), strict=True):
            pending = getattr(self, f"pending_{field}") + weight * amount
            learnt = getattr(self, field) * (1 - weight / _MEMORY) + np.where(outside, pending, 0.0)
            setattr(self, field, self._kept(learnt))
            setattr(self, f"pending_{field}", self._kept(np.where(outside, 0.0, pending)))

    def inherit(self, rows: Ints, samples: float) -> None:
        """Let what these rows were given count as so many samples at most."""
        share = np.minimum(samples / np.maximum(self.samples[..., rows], 1.0), 1.0)
        for field in ("samples", *_LEARNT):
            getattr(self, field)[..., rows] *= share
        for field in _LEARNT:
            getattr(self, f"pending_{field}")[..., rows] = 0.0

    def fit(self) -> Fit:
        """Return the distribution by its moments. The shape is kept from 0, where the formula has a hole."""
        peaks = self.peaks.astype(np.float64)
        rate = np.minimum((_PRIOR_PEAKS + peaks) / (_PRIOR_SAMPLES + self.samples), 0.45)
        weight = _PRIOR_EXCESSES + peaks
        mean = (_PRIOR_EXCESSES * _PRIOR_MEAN + self.excess) / weight
        square = (_PRIOR_EXCESSES * _PRIOR_SQUARE * _PRIOR_MEAN**2 + self.excess_squared) / weight
        moments = 0.5 * (1 - mean**2 / np.maximum(square - mean**2, 1e-12))
        # The shape of a few peaks is mostly chance, and a single outlier would bend the whole tail.
        shape = (_PRIOR_SHAPES * _PRIOR_SHAPE + peaks * moments) / (_PRIOR_SHAPES + peaks)
        shape = np.clip(shape, _LIGHTEST, _HEAVIEST)
        shape = np.where(np.abs(shape) < 1e-6, 1e-6, shape)
        return Fit(rate, shape, mean * (1 - shape))
