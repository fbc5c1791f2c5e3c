"""Which model is best for each series is chosen seldom: that costs more than the forecast itself.

A forecaster may say what it chose: then it is asked for that once in a while, and told it again until then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from presagio.detectors.base import Floats
from presagio.forecasters.base import Forecast
from presagio.forecasters.rolling import Choice


class Chooser(Protocol):
    """A forecaster whose choice can be kept."""

    def choose(self, history: Floats, step_seconds: float, horizons: Sequence[float]) -> Choice:
        """Return what was chosen for each row of history[n, t]."""

    def forecast(
        self, history: Floats, step_seconds: float, horizons: Sequence[float], choice: Choice | None = None
    ) -> Forecast:
        """Return the forecast by that choice."""


@dataclass(frozen=True)
class _Kept:
    """The choice for one series, and until when (Unix seconds) it is good."""

    until: float
    choice: Choice


class KeptChoices:
    """The choices for all series, by their names."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}

    def forecast(
        self, chooser: Chooser, names: Sequence[str], history: Floats, step: float, horizons: Sequence[float],
        time: float, every: float,
    ) -> Forecast:  # fmt: skip
        """Return the forecast of history[n, t], made at `time`, by choices that are no older than `every` seconds.

        A series that is younger than that is chosen for again when it is twice as old: it had little to tell.
        """
        self._forget(time, every)
        due = [row for row, name in enumerate(names) if name not in self._kept or self._kept[name].until <= time]
        if due:
            chosen = chooser.choose(history[due], step, horizons)
            ages = step * (~np.isnan(history[due])).sum(axis=1)
            for number, row in enumerate(due):
                until = time + min(every, max(step, float(ages[number])))
                self._kept[names[row]] = _Kept(until, chosen.rows(np.array([number])))
        whole = Choice.joined([self._kept[name].choice for name in names])
        return chooser.forecast(history, step, horizons, whole)

    def _forget(self, time: float, every: float) -> None:
        """Leave out the series that were not forecast for long."""
        self._kept = {name: one for name, one in self._kept.items() if time - one.until < every}
