"""What models are worth, told by the errors of rolling origins (Tashman 2000), and the median that they weigh."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from presagio.forecasters.base import Bools, Floats, Ints
from presagio.forecasters.plain import Plain, actual, origins_of
from presagio.forecasters.preparation import History

_KNOWN = 3
"""Errors from which on a model is weighed at all."""

_SHARPNESS = 6.0
"""Power of the errors: a model that errs a tenth more weighs half as much."""

_LEAST = 0.02
"""Share below which a model is left out, and not fitted."""


@dataclass(frozen=True)
class Choice:
    """The weights[n, h, m] of m members for n series at h horizons; they sum to 1.

    errors[n, o, h]: what came less what they said together, NaN where that is not known.
    """

    members: tuple[str, ...]
    weights: Floats
    errors: Floats

    @classmethod
    def none(cls, members: tuple[str, ...], horizons: int) -> Self:
        """Return the choice for no series."""
        return cls(members, np.zeros((0, horizons, len(members))), np.zeros((0, 1, horizons)))

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Return the choices for some series and others as one."""
        weights = np.concatenate([one.weights for one in parts])
        return cls(parts[0].members, weights, np.concatenate([one.errors for one in parts]))

    def rows(self, rows: Ints | Bools | slice) -> Choice:
        """Return the choice for some of the series."""
        return Choice(self.members, self.weights[rows], self.errors[rows])

    def best(self) -> list[list[str]]:
        """Return the member that weighs most, for each series and horizon."""
        return [[self.members[number] for number in row] for row in self.weights.argmax(axis=-1)]


def errors_of(model: Plain, history: History, leads: Ints, step: float) -> Floats:
    """Return what came less what a model said [n, o, h]; NaN where it is not known."""
    origins = origins_of(history.length)
    if not len(origins):
        return np.full((len(history.values), 1, len(leads)), np.nan)
    parts = [part for part in np.array_split(origins, model.fits) if len(part)]
    said = np.concatenate([model.path(history, part, leads, step) for part in parts], axis=1)
    return np.asarray(actual(history, origins, leads) - said, dtype=np.float64)


def weights_of(errors: Floats) -> Floats:
    """Return the weights [n, h, m] of m models from errors[m, n, o, h]: inverse powers of their mean size."""
    known = ~np.isnan(errors)
    count = known.sum(axis=2)
    size = np.where(known, np.abs(errors), 0.0).sum(axis=2) / np.maximum(count, 1)
    size = np.where(count >= _KNOWN, size, np.inf)
    best = size.min(axis=0)
    with np.errstate(invalid="ignore"):
        ratio = np.where(size <= best, 1.0, best / np.maximum(size, 1e-300))
    # where no error of any is known all are worth the same
    share = np.where(np.isinf(best), 1.0, ratio**_SHARPNESS)
    share = share / share.sum(axis=0)
    share = np.where(share < _LEAST, 0.0, share)
    weights: Floats = np.moveaxis(share / share.sum(axis=0), 0, -1)
    return weights


def weighted_median(values: Floats, weights: Floats) -> Floats:
    """Return the weighted median [...] of values[..., m], between the two in the middle; NaN are left out."""
    weights = np.where(np.isnan(values), 0.0, np.broadcast_to(weights, values.shape))
    order = np.argsort(values, axis=-1)
    ordered = np.take_along_axis(values, order, axis=-1)
    heap = np.cumsum(np.take_along_axis(weights, order, axis=-1), axis=-1)
    half = heap[..., -1:] / 2.0
    low = np.take_along_axis(ordered, (heap >= half * (1 - 1e-9)).argmax(axis=-1)[..., None], axis=-1)
    high = np.take_along_axis(ordered, (heap > half * (1 + 1e-9)).argmax(axis=-1)[..., None], axis=-1)
    return np.where(half > 0, (low + high) / 2.0, np.nan)[..., 0]
