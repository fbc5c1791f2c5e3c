"""The best of several: for each series and horizon a median of models, each weighed by its errors on the past.

Which model is best changes from series to series, and the errors of two weeks tell it only roughly. A median weighed
by the inverse of the errors takes what they tell, and is not led astray by one model that goes wild (combination by
inverse errors: Bates and Granger 1969; medians of forecasts: Stock and Watson 2004).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field

from presagio.forecasters.base import Bools, Floats, Forecast, ForecasterParams, Ints
from presagio.forecasters.conformal import quantiles
from presagio.forecasters.naive import Naive
from presagio.forecasters.plain import Plain, leads_of
from presagio.forecasters.preparation import History, prepare
from presagio.forecasters.quick import Quick, followed
from presagio.forecasters.regression import Regression, RegressionParams
from presagio.forecasters.rolling import Choice, errors_of, weighted_median, weights_of
from presagio.forecasters.statsforecast_models import AutoEts, AutoTheta, Mstl, StatisticalParams
from presagio.forecasters.usual_day import UsualDay, UsualDayParams

Told = dict[str, Any]
_ROWS = 200
"""Series forecast at once."""


@dataclass(frozen=True)
class Candidate:
    """A model by its name, how it is made of the common parameters, and the CPU seconds that a series takes."""

    name: str
    make: Callable[[Told], Plain]
    seconds: float


CANDIDATES = (
    Candidate("naive", lambda told: Naive(ForecasterParams(**told)), 0.0),
    Candidate("usual_day", lambda told: UsualDay(UsualDayParams(**told)), 0.0005),
    Candidate("quick", lambda told: Quick(ForecasterParams(**told)), 0.001),
    Candidate("regression", lambda told: Regression(RegressionParams(shrinkage=0.03, **told)), 0.002),
    Candidate("regression_held", lambda told: Regression(RegressionParams(shrinkage=1.0, **told)), 0.002),
    Candidate("auto_theta", lambda told: AutoTheta(StatisticalParams(**told)), 0.045),
    Candidate("auto_ets", lambda told: AutoEts(StatisticalParams(**told)), 0.11),
    Candidate("mstl", lambda told: Mstl(StatisticalParams(**told)), 0.17),
)
"""By cost, measured at two weeks of five minutes and two horizons on one core."""


class AutoParams(ForecasterParams):
    """How much choosing may cost."""

    seconds: float = Field(
        0.1,
        ge=0,
        le=60,
        description="CPU seconds that a series may take, by a fixed table of what models cost, so that the choice "
        "does not hang on how busy the machine is: 0.1 has Theta among the candidates, 0.2 exponential "
        "smoothing too, 0.4 MSTL",
    )


class Auto:
    """Several models, weighed for each series by the errors of rolling origins."""

    Params = AutoParams

    def __init__(self, params: AutoParams, seed: int = 0) -> None:
        self.params = params
        self.seed = seed

    def choose(self, history: Floats, step_seconds: float, horizons: Sequence[float]) -> Choice:
        """Return how much each model is worth for history[n, t] at each horizon: it can be kept and used again."""
        leads = leads_of(horizons, step_seconds)
        return Choice.joined(
            [self._chosen(prepare(part), leads, step_seconds) for part in _parts(history)]
            or [Choice.none(self._names(), len(leads))]
        )

    def forecast(
        self, history: Floats, step_seconds: float, horizons: Sequence[float], choice: Choice | None = None
    ) -> Forecast:
        """Return the forecast of history[n, t], see `Forecaster`; by a choice made earlier for the same n and h."""
        leads = leads_of(horizons, step_seconds)
        if history.shape[1] == 0:
            mean = np.full((len(history), len(leads)), np.nan)
            return Forecast(mean, np.repeat(mean[..., None], len(self.params.levels), axis=-1), self.params.levels)
        chosen = choice or self.choose(history, step_seconds, horizons)
        mean = np.full((len(history), len(leads)), np.nan)
        spread = np.full((*mean.shape, len(self.params.levels)), np.nan)
        for at, part in zip(range(0, len(history), _ROWS), _parts(history), strict=True):
            rows = slice(at, at + len(part))
            mean[rows], spread[rows] = self._part(prepare(part), leads, step_seconds, chosen.rows(rows))
        low, high = self.params.minimum, self.params.maximum
        return Forecast(np.clip(mean, low, high), np.clip(spread, low, high), self.params.levels)

    def members(self) -> dict[str, Plain]:
        """Return the candidates that there is time for, the cheapest first."""
        told: Told = self.params.model_dump(include={"levels", "minimum", "maximum", "season"})
        spent = np.cumsum([one.seconds for one in CANDIDATES])
        there = zip(CANDIDATES, spent, strict=True)
        return {one.name: one.make(told) for one, cost in there if not one.seconds or cost <= self.params.seconds}

    def _names(self) -> tuple[str, ...]:
        return tuple(self.members())

    def _chosen(self, history: History, leads: Ints, step: float) -> Choice:
        members = self.members()
        errors = [errors_of(one, history, leads, step) for one in members.values()]
        weights = weights_of(np.stack(errors))
        return Choice(tuple(members), weights, weighted_median(np.stack(errors, axis=-1), weights[:, None]))

    def _part(self, history: History, leads: Ints, step: float, choice: Choice) -> tuple[Floats, Floats]:
        """Return mean and quantiles; a trend that has just begun is followed: no error of the past knows of it."""
        mean = self._mean(history, leads, step, choice.weights, choice.members)
        spread = quantiles(mean, choice.errors, leads.tolist(), self.params.levels)
        return followed(history, leads, self.params.levels, mean, spread)

    def _mean(self, history: History, leads: Ints, step: float, weights: Floats, names: Sequence[str]) -> Floats:
        """Return the mean [n, h]; a model that no series has a weight for is not even fitted."""
        members, last = self.members(), np.array([history.length - 1])
        paths = np.repeat(history.newest[:, None, None], len(leads), axis=1).repeat(len(names), axis=2)
        for number, name in enumerate(names):
            rows: Bools = np.asarray((weights[..., number] > 0).any(axis=1))
            if rows.any() and name in members:
                found = members[name].path(history.rows(rows), last, leads, step)[:, 0]
                paths[rows, :, number] = np.where(np.isnan(found), history.newest[rows, None], found)
        return weighted_median(paths, weights)


def _parts(history: Floats) -> list[Floats]:
    return [history[at : at + _ROWS] for at in range(0, len(history), _ROWS)]
