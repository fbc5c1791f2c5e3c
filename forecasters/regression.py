"""What comes as a weighted sum of what was: the last hours, and the same time of days before; weights per series.

A direct forecast: each horizon has weights of its own. They are learnt by least absolute errors (Koenker and Bassett
1978, by iteratively reweighted least squares), since one fault in the past is not to bend them, and shrunk to the
usual day (ridge, Hoerl and Kennard 1970), since two weeks are little evidence of how tomorrow depends on today.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field

from presagio.forecasters.base import Bools, Floats, ForecasterParams, Ints
from presagio.forecasters.learnt import Learnt
from presagio.forecasters.moving import Means, means
from presagio.forecasters.plain import actual
from presagio.forecasters.preparation import History
from presagio.forecasters.usual_day import DAY, usual

HOUR, WEEK = 3600.0, 604_800.0
_RECENT = (0.0, 900.0, HOUR, 6 * HOUR, DAY, WEEK)
"""Seconds up to now that means are taken over; 0 is the last sample."""

_AGO = (1, 2, 3, 7)
"""Days."""

_AROUND = (0.0, 900.0, HOUR)
"""Seconds around the same time of yesterday that means are taken over."""

_EXAMPLES = 600
_FEWEST = 24
_FLAT = 0.3
"""Of the median error: errors below it are squared, so that none weighs without bound."""


class RegressionParams(ForecasterParams):
    """How the weights are learnt."""

    shrinkage: float = Field(
        0.1,
        gt=0,
        le=1000,
        description="how strongly the weights are held to the usual day: 0.01 hardly, 10 almost only it",
    )
    rounds: int = Field(4, ge=0, le=20, description="reweightings towards least absolute errors; 0: least squares")


class Regression(Learnt):
    """A weighted sum of the past for each series and horizon."""

    Params = RegressionParams

    def __init__(self, params: RegressionParams, seed: int = 0) -> None:
        super().__init__(params, seed)
        self.params: RegressionParams = params

    def path(self, history: History, origins: Ints, leads: Ints, step: float) -> Floats:
        """Return the weighted sums, of weights learnt from what was known at the first origin."""
        found = means(history)
        parts = [self._ahead(history, found, origins, leads[at : at + 1], step) for at in range(len(leads))]
        return np.stack(parts, axis=-1)

    def _ahead(self, history: History, found: Means, origins: Ints, lead: Ints, step: float) -> Floats:
        """Return the path [n, o] of one lead."""
        now = int(origins[0])
        past = np.unique(np.linspace(0, max(now - int(lead[0]), 0), _EXAMPLES).round().astype(np.int64))
        came = np.where(past + lead[0] <= now, actual(history, past, lead)[..., 0], np.nan)
        base, inputs = self._inputs(found, past, lead, step)
        weights = _learnt(came - base, inputs, self.params.shrinkage, self.params.rounds)
        base, inputs = self._inputs(found, origins, lead, step)
        return np.asarray(base + np.einsum("nof,nf->no", inputs, weights), dtype=np.float64)

    def _inputs(self, found: Means, origins: Ints, lead: Ints, step: float) -> tuple[Floats, Floats]:
        """Return the base [n, o] and how far each of f things known is from it [n, o, f], 0 where unknown."""
        now = found.over(origins, origins + 1)
        if self.params.season == "none":
            base, known = now, _recent(found, origins, step)
        else:
            base = usual(found, origins, lead, step, 7)[..., 0]
            base = np.where(np.isnan(base), now, base)
            known = [*_recent(found, origins, step), *_seasonal(found, origins, int(lead[0]), step)]
        apart = np.stack(known, axis=-1) - base[..., None]
        return base, np.where(np.isnan(apart), 0.0, apart)


def _recent(found: Means, origins: Ints, step: float) -> list[Floats]:
    """Return means [n, o] up to each origin."""
    lengths = sorted({max(1, round(seconds / step)) for seconds in _RECENT})
    return [found.over(origins + 1 - length, origins + 1) for length in lengths]


def _seasonal(found: Means, origins: Ints, lead: int, step: float) -> list[Floats]:
    """Return what was [n, o] at the time ahead on earlier days, and at this time on earlier days."""
    day, hour = round(DAY / step), max(1, round(HOUR / step))
    now = origins + 1

    def around(days: int, seconds: float) -> Floats:
        at = origins + lead - (-(-lead // (days * day)) * days if days == 7 else -(-lead // day) + days - 1) * day
        width = round(seconds / step)
        return found.over(at - width, np.minimum(at + width + 1, now))

    ahead = [around(1, seconds) for seconds in _AROUND] + [around(days, _AROUND[1]) for days in _AGO[1:]]
    today = [found.over(now - days * day - length, now - days * day) for days in (1, 7) for length in (1, hour)]
    week = [found.over(now - days * day - hour, now - days * day) for days in range(1, 8)]
    return [*ahead, *today, _mean(week)]


def _mean(parts: list[Floats]) -> Floats:
    known = np.stack([~np.isnan(part) for part in parts]).sum(axis=0)
    total = np.stack([np.nan_to_num(part) for part in parts]).sum(axis=0)
    return np.where(known > 0, total / np.maximum(known, 1), np.nan)


def _learnt(wanted: Floats, inputs: Floats, shrinkage: float, rounds: int) -> Floats:
    """Return the weights [n, f] by which inputs[n, o, f] give wanted[n, o], NaN where it is not known."""
    known = ~np.isnan(wanted)
    wanted = np.where(known, wanted, 0.0)
    count = np.maximum(known.sum(axis=1), 1)[:, None]
    scale = np.sqrt((inputs**2 * known[..., None]).sum(axis=1) / count)
    # what hardly differs from the base tells nothing
    scale = np.where(scale > 1e-9 * scale.max(axis=1, keepdims=True), scale, np.inf)
    scaled = inputs / scale[:, None, :]
    weight = known.astype(np.float64)
    ridge = shrinkage * np.eye(inputs.shape[-1])
    for _ in range(rounds + 1):
        heavy = scaled * weight[..., None]
        gram = heavy.transpose(0, 2, 1) @ scaled + ridge * np.maximum(weight.sum(axis=1), 1.0)[:, None, None]
        moment = np.einsum("nof,no->nf", heavy, wanted)
        found = np.linalg.solve(gram, moment[..., None])[..., 0]
        error = np.abs(wanted - np.einsum("nof,nf->no", scaled, found))
        flat = _FLAT * _middle(error, known)
        weight = known * np.where(error > flat, flat / np.maximum(error, 1e-300), 1.0)
    return np.where(count >= _FEWEST, found / scale, 0.0)


def _middle(errors: Floats, known: Bools) -> Floats:
    """Return the median [n, 1] of the known of errors[n, o], 0 where none is."""
    ordered = np.sort(np.where(known, errors, np.inf), axis=1)
    middle = np.take_along_axis(ordered, np.maximum(known.sum(axis=1, keepdims=True) - 1, 0) // 2, axis=1)
    return np.where(np.isfinite(middle), middle, 0.0)
