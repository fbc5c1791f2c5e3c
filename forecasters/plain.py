"""What the plain forecasters have in common: a path from any moment of the past, and intervals from its errors there.

A path is made for all series and many origins at once, so that the errors of rolling origins (Tashman 2000) cost
little more than the forecast itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from presagio.forecasters.base import Floats, Forecast, ForecasterParams, Ints
from presagio.forecasters.conformal import quantiles
from presagio.forecasters.preparation import History, prepare

_ORIGINS = 64
_BATCH = 2_000_000
"""Numbers held at once, for each of the arrays of a batch of series."""


def leads_of(horizons: Sequence[float], step: float) -> Ints:
    """Return horizons in seconds as whole steps, rounded up; each at least one."""
    return np.maximum(1, np.ceil(np.asarray(horizons, dtype=np.float64) / step - 1e-9)).astype(np.int64)


def origins_of(length: int) -> Ints:
    """Return the moments of the past to forecast from: evenly over the later three quarters."""
    earliest = min(length - 1, max(1, length // 4))
    return (
        np.unique(np.linspace(earliest, length - 2, _ORIGINS).round().astype(np.int64))
        if length > 2
        else np.array([], dtype=np.int64)
    )


def actual(history: History, origins: Ints, leads: Ints) -> Floats:
    """Return what came [n, o, h] at each lead after each origin; NaN where that is not past yet."""
    there = origins[:, None] + leads[None, :]
    came = history.came[:, np.minimum(there, history.length - 1)]
    known = (there < history.length) & (origins >= history.first[:, None])[..., None]
    return np.where(known, came, np.nan)


class Plain(ABC):
    """A forecaster that can look ahead from any moment of the past. The constructor only stores."""

    Params: ClassVar[type[ForecasterParams]] = ForecasterParams
    fits: ClassVar[int] = 1
    """Into how many parts the past is divided, each forecast by a fit on what came before; 1: nothing is fitted."""

    def __init__(self, params: ForecasterParams, seed: int = 0) -> None:
        self.params = params
        self.seed = seed

    @abstractmethod
    def path(self, history: History, origins: Ints, leads: Ints, step: float) -> Floats:
        """Return what is expected [n, o, h] `leads` steps after each origin, from what was known then, or NaN."""

    def forecast(self, history: Floats, step_seconds: float, horizons: Sequence[float]) -> Forecast:
        """Return the forecast of history[n, t]; see `Forecaster`."""
        leads = leads_of(horizons, step_seconds)
        rows = max(1, _BATCH // max(history.shape[1], _ORIGINS * len(leads), 1))
        parts = [self._batch(history[at : at + rows], step_seconds, leads) for at in range(0, len(history), rows)]
        shape = (len(history), len(leads))
        mean = np.concatenate([part[0] for part in parts]) if parts else np.zeros(shape)
        spread = np.concatenate([part[1] for part in parts]) if parts else np.zeros((*shape, len(self.params.levels)))
        return Forecast(mean, spread, self.params.levels)

    def _batch(self, raw: Floats, step: float, leads: Ints) -> tuple[Floats, Floats]:
        if raw.shape[1] == 0:
            mean = np.full((len(raw), len(leads)), np.nan)
            return mean, np.repeat(mean[..., None], len(self.params.levels), axis=-1)
        history = prepare(raw)
        mean, spread = self._whole(history, leads, step)
        return self._possible(mean), self._possible(spread)

    def _whole(self, history: History, leads: Ints, step: float) -> tuple[Floats, Floats]:
        """Return mean[n, h] and quantiles[n, h, q]."""
        last = np.array([history.length - 1])
        mean = self.path(history, last, leads, step)[:, 0]
        mean = np.where(np.isnan(mean), history.newest[:, None], mean)
        origins = origins_of(history.length)
        errors = actual(history, origins, leads) - self.path(history, origins, leads, step)
        return mean, quantiles(mean, errors, leads.tolist(), self.params.levels)

    def _possible(self, values: Floats) -> Floats:
        return np.clip(values, self.params.minimum, self.params.maximum)
