"""Intervals that hold what they promise: as wide as the model's own errors on the past were.

Split conformal prediction (Vovk, Gammerman and Shafer 2005) on the errors of rolling origins: whatever the model, a
new error is among the largest one in ten of n + 1 with a chance of one in ten, if errors are exchangeable. They are
not quite: neighbouring origins err alike, and tomorrow may be otherwise. So it is measured in benchmarks/prediction.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from presagio.forecasters.base import Floats

_FEWEST = 8
"""Errors at a horizon from which on its own are trusted; with fewer those of shorter ones are stretched."""


def quantiles(mean: Floats, errors: Floats, leads: Sequence[int], levels: Sequence[float]) -> Floats:
    """Return the quantiles [n, h, q] of a forecast mean[n, h] whose errors[n, o, h] on the past are known.

    An error is what came less what was said, NaN where it is not known. leads[h]: steps ahead, ascending. The median
    is the forecast itself: what the errors lean to is not corrected, since it leans otherwise tomorrow.
    """
    widths = np.stack([_widths(errors[..., lead], levels) for lead in range(errors.shape[-1])], axis=1)
    counts = (~np.isnan(errors)).sum(axis=1)
    widths = _stretched(widths, counts >= _FEWEST, np.asarray(leads, dtype=np.float64))
    side = np.sign(np.asarray(levels) - 0.5)
    widths = np.where(side > 0, np.maximum(widths, 0.0), np.where(side < 0, np.minimum(widths, 0.0), 0.0))
    return np.sort(mean[..., None] + widths, axis=-1)


def _widths(errors: Floats, levels: Sequence[float]) -> Floats:
    """Return the quantiles [n, q] of errors[n, o] at levels that make up for how few there are."""
    ordered = np.sort(errors, axis=1)  # NaN last
    count = (~np.isnan(errors)).sum(axis=1)[:, None]
    wanted = np.asarray(levels)[None, :]
    # of n errors the k-th largest is exceeded by the next with a chance of k / (n + 1); between two, between them
    rank = np.clip(wanted * (count + 1) - 1, 0, np.maximum(count - 1, 0))
    below, above = np.floor(rank).astype(np.int64), np.ceil(rank).astype(np.int64)
    low, high = (np.take_along_axis(ordered, each, axis=1) for each in (below, above))
    return np.asarray(low + (rank - below) * (high - low), dtype=np.float64)


def _stretched(widths: Floats, known: Floats, leads: Floats) -> Floats:
    """Give horizons whose errors are not known those of the longest that are, stretched by the root of time."""
    numbers = np.where(known, np.arange(len(leads)), -1)
    donor = np.maximum.accumulate(numbers, axis=1)
    base = np.where(donor >= 0, donor, 0)
    stretch = np.where(donor == np.arange(len(leads)), 1.0, np.sqrt(leads / leads[base]))
    taken = np.take_along_axis(widths, base[..., None], axis=1) * stretch[..., None]
    return np.where(np.isnan(taken), 0.0, taken)
