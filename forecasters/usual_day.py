"""As it usually is at that time of the day: the median over the days, which no single bad day moves."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from presagio.forecasters.base import Floats, ForecasterParams, Ints
from presagio.forecasters.moving import Means, means
from presagio.forecasters.plain import Plain
from presagio.forecasters.preparation import History

DAY = 86_400.0
_AROUND = 900.0
"""Seconds on both sides of the time of the day that count as the same time."""


class UsualDayParams(ForecasterParams):
    """Over which past the usual is taken."""

    days: int = Field(7, ge=1, le=28, description="median over so many days, the newest")


class UsualDay(Plain):
    """The median over some days of the mean around the same time of the day."""

    Params = UsualDayParams

    def __init__(self, params: UsualDayParams, seed: int = 0) -> None:
        super().__init__(params, seed)
        self.params: UsualDayParams = params

    def path(self, history: History, origins: Ints, leads: Ints, step: float) -> Floats:
        """Return the median of the days before each origin, NaN where there is not one."""
        return usual(means(history), origins, leads, step, self.params.days)


def usual(found: Means, origins: Ints, leads: Ints, step: float, days: int) -> Floats:
    """Return the median [n, o, h] over so many days of the mean around the time of origin + lead, or NaN."""
    day, around = round(DAY / step), round(_AROUND / step)
    shape = (len(origins), len(leads))
    if day < 2:
        return np.full((len(found.middle), *shape), np.nan)
    there = origins[:, None] + leads[None, :]
    back = -(-leads // day)[None, :]
    now = np.broadcast_to(origins[:, None] + 1, shape)
    each = np.empty((days, len(found.middle), *shape))
    for number in range(days):
        at = there - (back + number) * day
        each[number] = found.over(at - around, np.minimum(at + around + 1, now))
    return _median(each)


def _median(each: Floats) -> Floats:
    """Return the median over the first axis of what is not NaN; NaN where all is."""
    ordered = np.sort(each, axis=0)  # NaN last
    count = (~np.isnan(ordered)).sum(axis=0)[None]
    low = np.take_along_axis(ordered, np.maximum(count - 1, 0) // 2, axis=0)[0]
    high = np.take_along_axis(ordered, count // 2 * (count > 1), axis=0)[0]
    return np.asarray((low + high) / 2.0, dtype=np.float64)
