"""The statistical models of statsforecast, on a history that they can afford and from many moments of the past.

Their cost grows with the samples and, steeply, with the length of the season: a day of five minutes is beyond them.
So they see means over hours, a season of 24, and their path is interpolated between them. To the moments of the past
whose errors are measured a fitted model is brought forward without fitting it anew.
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field

from presagio.forecasters.base import Floats, ForecasterParams, Ints
from presagio.forecasters.learnt import Learnt
from presagio.forecasters.preparation import History

DAY, WEEK = 86_400.0, 604_800.0
_FEWEST = 8
"""Blocks from which on a model is fitted at all."""


class StatisticalParams(ForecasterParams):
    """What a statistical model is shown."""

    season_points: int = Field(
        24, ge=2, le=24, description="means a day that the model sees; more is beyond what these models can afford"
    )
    points: int = Field(
        504, ge=48, description="most means that the model sees, the newest; the cost grows with them"
    )


@dataclass(frozen=True)
class Blocks:
    """Means[n, c] of so many samples each; the last ends at sample `end`. NaN before the series begins."""

    means: Floats
    size: int
    end: int

    def upto(self, origin: int) -> tuple[int, int]:
        """Return how many blocks have ended at a sample, and how many samples have passed since."""
        passed = self.end - origin
        return self.means.shape[1] - -(-passed // self.size), -passed % self.size


def blocks(history: History, end: int, size: int, most: int) -> Blocks:
    """Return the newest means over blocks that lie wholly within the history up to sample `end`."""
    count = min((end + 1) // size, most)
    part = history.values[:, end + 1 - count * size : end + 1]
    return Blocks(part.reshape(len(part), count, size).mean(axis=2), size, end)


class Statistical(Learnt):
    """One model for each series; it falls back on the last value where there is too little to fit."""

    Params = StatisticalParams

    def __init__(self, params: StatisticalParams, seed: int = 0) -> None:
        super().__init__(params, seed)
        self.params: StatisticalParams = params

    @abstractmethod
    def model(self, season: int, length: int) -> Any:
        """Return a model of statsforecast for a season and a length in blocks; season 1: none."""

    def path(self, history: History, origins: Ints, leads: Ints, step: float) -> Floats:
        """Return what is said by a model fitted on what came before the first origin; the last value without one."""
        day = max(1, round(DAY / step))
        size = max(1, day // self.params.season_points)
        seen = blocks(history, int(origins[-1]), size, self.params.points)
        season = day // size if self.params.season == "auto" and day > size else 1
        path = history.values[:, origins][..., None].repeat(len(leads), axis=-1)
        for row, means in enumerate(seen.means):
            begin = int(np.isnan(means).sum())
            found = self._row(means[begin:], seen, origins, leads, season)
            path[row] = path[row] if found is None else found
        return path

    def _row(self, means: Floats, seen: Blocks, origins: Ints, leads: Ints, season: int) -> Floats | None:
        """Return the path [o, h] of one series from its means[c], None if there is nothing to fit."""
        missing = seen.means.shape[1] - len(means)
        ends = [(seen.upto(int(origin))[0] - missing, seen.upto(int(origin))[1]) for origin in origins]
        first = ends[0][0]
        if first < _FEWEST:
            return None
        middle, spread = float(np.median(means[:first])), float(np.std(means[:first]))
        if spread <= 1e-9 * abs(middle):
            return np.repeat([[means[max(count, 1) - 1]] for count, _ in ends], len(leads), axis=1)
        scaled = (means - middle) / spread
        ahead = -(-(int(leads[-1]) + seen.size) // seen.size) + 1
        season = season if first >= 2 * season + 2 else 1
        try:
            paths = _forward(self.model(season, first), scaled, [count for count, _ in ends], ahead)
        except Exception:  # what statsforecast raises where nothing can be fitted is of no narrower class
            return None
        found = [
            _interpolated(path, scaled[count - 1], leads + since, seen.size)
            for path, (count, since) in zip(paths, ends, strict=True)
        ]
        return np.asarray(middle + spread * np.array(found), dtype=np.float64)


def _forward(model: Any, values: Floats, counts: Sequence[int], ahead: int) -> list[Floats]:
    """Return the path after each count of values, of a model fitted on the first of them."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of optimisers that did not quite converge: the errors tell
        model.fit(y=values[: counts[0]])
        paths = [model.predict(h=ahead)["mean"]]
        paths += [model.forward(y=values[:count], h=ahead)["mean"] for count in counts[1:]]
    return paths


def _interpolated(path: Floats, last: float, leads: Ints, size: int) -> Floats:
    """Return what means over blocks tell of single samples: each mean is taken to be that of its middle."""
    places = np.concatenate([[0.0], np.arange(1, len(path) + 1)]) * size - (size - 1) / 2
    return np.asarray(np.interp(leads, places, np.concatenate([[last], path])), dtype=np.float64)


class AutoEts(Statistical):
    """Exponential smoothing, its form chosen by AICc (Hyndman and Khandakar 2008)."""

    def model(self, season: int, length: int) -> Any:  # noqa: ARG002 # the contract's
        """Return statsforecast's AutoETS."""
        from statsforecast.models import AutoETS

        return AutoETS(season_length=season, model="AZZ")


class AutoTheta(Statistical):
    """The Theta method, its form chosen by error (Assimakopoulos and Nikolopoulos 2000; Fiorucci et al. 2016)."""

    def model(self, season: int, length: int) -> Any:  # noqa: ARG002 # the contract's
        """Return statsforecast's AutoTheta."""
        from statsforecast.models import AutoTheta as Model

        return Model(season_length=season, decomposition_type="additive")


class Mstl(Statistical):
    """Day and week taken off by LOESS (Bandara, Hyndman and Bergmeir 2021), the rest by exponential smoothing."""

    def model(self, season: int, length: int) -> Any:
        """Return statsforecast's MSTL, with the week where there are two of them."""
        from statsforecast.models import MSTL, AutoETS

        trend = AutoETS(model="AZN")
        if season == 1:
            return trend
        seasons = [season, 7 * season] if length >= 2 * 7 * season else [season]
        return MSTL(season_length=seasons, trend_forecaster=trend)
