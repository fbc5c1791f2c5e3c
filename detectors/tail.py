"""The tail of one side of the residuals: peaks over threshold.

Excesses over a threshold follow a generalised Pareto distribution (Pickands 1975; Siffer et al., "Anomaly detection
in streams with extreme value theory", KDD 2017). The threshold is fixed in units of the spread; the rate of peaks and
the first two moments of the excess are learnt with exponential forgetting, and the distribution is fitted by moments
(Hosking and Wallis 1987): O(1) a sample, no history kept.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from presagio.detectors.arrays import Arrays
from presagio.detectors.base import Floats

_LEARNT = ("peaks", "excess", "excess_squared")

THRESHOLD = 2.0
"""Where the tail begins, in mean absolute deviations: about one sample in twenty of a Gaussian lies beyond."""

_MEMORY = 5000.0
_PRIOR_SAMPLES, _PRIOR_PEAKS = 20.0, 1.0
_PRIOR_EXCESSES, _PRIOR_MEAN, _PRIOR_SQUARE = 5.0, 0.5, 2.5
_PRIOR_SHAPES, _PRIOR_SHAPE = 20.0, 0.0
_LIGHTEST, _HEAVIEST = -0.15, 0.5
_SMALLEST_P = 1e-300


class Tail(Arrays):
    """For n rows: the chance of a residual beyond r on one side, learnt from the residuals seen."""

    fields: ClassVar[tuple[str, ...]] = ("samples", *_LEARNT, *(f"pending_{field}" for field in _LEARNT))
    samples: Floats
    peaks: Floats
    excess: Floats
    excess_squared: Floats

    def chance(self, r: Floats) -> Floats:
        """Return P(residual > r), in 0..0.5 for r >= 0; r in units of the spread."""
        rate, shape, scale = self._fit()
        inner = 0.5 * (2 * rate) ** ((np.minimum(r, THRESHOLD) / THRESHOLD) ** 2)
        beyond = np.maximum(r - THRESHOLD, 0.0)
        outer = np.maximum(1 + shape * beyond / scale, 0.0) ** (-1 / shape)
        return np.maximum(inner * outer, _SMALLEST_P)

    def quantile(self, p: float) -> Floats:
        """Return the residual r that is exceeded with chance p, the inverse of `chance`."""
        rate, shape, scale = self._fit()
        inner = THRESHOLD * np.sqrt(np.log(2 * p) / np.log(2 * rate))
        outer = THRESHOLD + scale / shape * ((rate / p) ** shape - 1)
        return np.where(p >= rate, inner, outer)

    def learn(self, r: Floats, weight: Floats) -> None:
        """Take in residuals r[n] of this side, each with its weight 0..1; NaN is no residual.

        Peaks in a row are kept apart until one follows that is none: a leak that goes on must not make itself likely.
        """
        inside, outside = r > THRESHOLD, r <= THRESHOLD
        beyond = np.where(inside, r - THRESHOLD, 0.0)
        self.samples = self.samples * (1 - weight / _MEMORY) + weight
        for field, amount in zip(_LEARNT, (inside, beyond, beyond * beyond), strict=True):
            pending = getattr(self, f"pending_{field}") + weight * amount
            learnt = getattr(self, field) * (1 - weight / _MEMORY) + np.where(outside, pending, 0.0)
            setattr(self, field, learnt)
            setattr(self, f"pending_{field}", np.where(outside, 0.0, pending))

    def _fit(self) -> tuple[Floats, Floats, Floats]:
        """Return the rate of peaks, shape and scale. The shape is kept from 0, where the formula has a hole."""
        rate = np.minimum((_PRIOR_PEAKS + self.peaks) / (_PRIOR_SAMPLES + self.samples), 0.45)
        weight = _PRIOR_EXCESSES + self.peaks
        mean = (_PRIOR_EXCESSES * _PRIOR_MEAN + self.excess) / weight
        square = (_PRIOR_EXCESSES * _PRIOR_SQUARE * _PRIOR_MEAN**2 + self.excess_squared) / weight
        moments = 0.5 * (1 - mean**2 / np.maximum(square - mean**2, 1e-12))
        # The shape of a few peaks is mostly chance, and a single outlier would bend the whole tail.
        shape = (_PRIOR_SHAPES * _PRIOR_SHAPE + self.peaks * moments) / (_PRIOR_SHAPES + self.peaks)
        shape = np.clip(shape, _LIGHTEST, _HEAVIEST)
        shape = np.where(np.abs(shape) < 1e-6, 1e-6, shape)
        return rate, shape, mean * (1 - shape)
