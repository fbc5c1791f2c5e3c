"""The contracts of forecasters and failure predictors.

None is built in yet: the rooms, the names and the shapes are settled here so that the code that comes has its place.
A forecaster says what a signal will be; a failure predictor, how likely it is that a named failure begins within a
horizon. Both are registered by entry points, `presagio.forecasters`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Forecast:
    """What n series will be at h horizons: mean[n, h], and quantiles[n, h, q] at `levels[q]`, each in 0..1."""

    mean: Floats
    quantiles: Floats
    levels: tuple[float, ...]


class Forecaster(Protocol):
    """Looks ahead of many series at once."""

    def forecast(self, history: Floats, step_seconds: float, horizons: Sequence[float]) -> Forecast:
        """Return the forecast of history[n, t], NaN where a sample is missing, at each horizon in seconds."""


@dataclass(frozen=True)
class Examples:
    """What a predictor learns from: features[m, f], whether the failure began in time [m], and when each was [m].

    times are Unix seconds: a predictor is calibrated on later ones than it was fitted on.
    """

    features: Floats
    failed: npt.NDArray[np.bool_]
    times: Floats
    names: tuple[str, ...]


class FailurePredictor(Protocol):
    """Learns from examples of a failure how likely it is."""

    def fit(self, examples: Examples) -> Self:
        """Learn, and calibrate on the latest part of the examples."""

    def predict(self, features: Floats) -> Floats:
        """Return the probability, 0..1, of each row of features[m, f]."""
