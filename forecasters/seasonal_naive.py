"""As it was a day, or a week, before."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from presagio.forecasters.base import Floats, ForecasterParams, Ints
from presagio.forecasters.plain import Plain
from presagio.forecasters.preparation import History

DAY, WEEK = 86_400.0, 604_800.0


class SeasonalNaiveParams(ForecasterParams):
    """Which season, and how it is followed."""

    period: Literal["day", "week"] = Field("day", description="as it was a day, or a week, before")
    periods: int = Field(1, ge=1, le=28, description="mean of so many of them")
    level: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of today's difference to yesterday that is taken to stay: 1 follows the level",
    )


class SeasonalNaive(Plain):
    """As it was at the same time of the day or the week before."""

    Params = SeasonalNaiveParams

    def __init__(self, params: SeasonalNaiveParams, seed: int = 0) -> None:
        super().__init__(params, seed)
        self.params: SeasonalNaiveParams = params

    def path(self, history: History, origins: Ints, leads: Ints, step: float) -> Floats:
        """Return the mean of the values whole periods before, NaN where there is not one."""
        period = round((DAY if self.params.period == "day" else WEEK) / step)
        if period < 2:
            return np.full((len(history.values), len(origins), len(leads)), np.nan)
        there = origins[:, None] + leads[None, :]
        back = -(-leads // period)[None, :]
        path = self._mean(history, there - back * period, period)
        if self.params.level:
            now = history.values[:, origins] - self._mean(history, origins[:, None] - period, period)[..., 0]
            path = path + self.params.level * np.where(np.isnan(now), 0.0, now)[..., None]
        return path

    def _mean(self, history: History, index: Ints, period: int) -> Floats:
        """Return the mean [n, o, h] of the values at index[o, h] and whole periods before it."""
        total, count = (np.zeros((len(history.values), *index.shape)) for _ in range(2))
        for number in range(self.params.periods):
            at = index - number * period
            known = (at >= history.first[:, None, None]) & (at >= 0)
            total += np.where(known, history.values[:, np.maximum(at, 0)], 0.0)
            count += known
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)
