"""The contracts of forecasters and failure predictors.

A forecaster says what a signal will be; a failure predictor, how likely it is that a named failure begins within a
horizon. Both are plug-ins, registered by entry points: `presagio.forecasters` and `presagio.predictors`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, field_validator, model_validator

from presagio.toolkit.errors import PresagioError
from presagio.toolkit.schema import Model

Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
State = Mapping[str, npt.NDArray[Any]]
Progress = Callable[[float], None]
"""Told now and then which share of the work, 0..1, is done; may raise to interrupt it."""


class ForecasterParams(Model):
    """What every forecaster is told; its own `Params` may add to it."""

    levels: tuple[float, ...] = Field(
        (0.025, 0.1, 0.5, 0.9, 0.975), min_length=1, description="quantiles of the forecast, ascending, each in 0..1"
    )
    minimum: float = Field(-math.inf, description="lowest value that is possible at all")
    maximum: float = Field(math.inf, description="highest value that is possible at all: a disk cannot be fuller")
    season: Literal["auto", "none"] = Field("auto", description="auto: day and week, where the data has them")

    @field_validator("levels")
    @classmethod
    def _ascending(cls, levels: tuple[float, ...]) -> tuple[float, ...]:
        if list(levels) != sorted(set(levels)) or not 0 < levels[0] <= levels[-1] < 1:
            raise ValueError(f"ascending quantiles between 0 and 1, got {list(levels)}")
        return levels

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.minimum >= self.maximum:
            raise ValueError(f"minimum below maximum, got {self.minimum:g} and {self.maximum:g}")
        return self


@dataclass(frozen=True)
class Forecast:
    """What n series will be at h horizons: mean[n, h], and quantiles[n, h, q] at `levels[q]`, each level in 0..1.

    Quantiles do not cross: they rise with the level. NaN where there is no forecast (a series that is all NaN).
    """

    mean: Floats
    quantiles: Floats
    levels: tuple[float, ...]


class Forecaster(Protocol):
    """Looks ahead of many series at once. The constructor takes `Params` and a seed and only stores them."""

    Params: ClassVar[type[ForecasterParams]]

    def forecast(self, history: Floats, step_seconds: float, horizons: Sequence[float]) -> Forecast:
        """Return the forecast of history[n, t] at each of h horizons, in seconds after the last column.

        history is regular in time, the oldest first, NaN where a sample is missing; each horizon is rounded up to a
        multiple of `step_seconds`.
        """


@dataclass(frozen=True)
class Inputs:
    """What is known at m moments, each of one service.

    features[m, f], named `names[f]`; those listed in `categories` are codes (whole numbers from 0 on, NaN unknown),
    the others amounts. recent[m, w, k] is the road there: the last w steps of k `channels`, the oldest first.
    NaN where something is not known; w and k may be 0.
    """

    features: Floats
    recent: Floats32
    names: tuple[str, ...]
    channels: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.features)

    def rows(self, rows: Ints | Bools) -> Inputs:
        """Return some of the moments."""
        return Inputs(self.features[rows], self.recent[rows], self.names, self.channels, self.categories)


@dataclass(frozen=True)
class Examples:
    """What a predictor learns from: m moments of past time, none of them within a failure.

    failed[m]: the failure began within the horizon after `times[m]` (Unix seconds). groups[m]: which service it was.
    failures[m]: which failure it was, -1 if none, so that ten thousand moments before one failure are known to be one
    piece of evidence. weights[m]: how many moments of the history this one stands for, above 1 where others like it
    were left out.
    """

    inputs: Inputs
    failed: Bools
    times: Floats
    groups: Ints
    failures: Ints
    weights: Floats

    def __len__(self) -> int:
        return len(self.failed)

    def rows(self, rows: Ints | Bools) -> Examples:
        """Return some of the examples."""
        return Examples(
            self.inputs.rows(rows), self.failed[rows], self.times[rows], self.groups[rows], self.failures[rows],
            self.weights[rows],
        )  # fmt: skip

    @property
    def distinct(self) -> int:
        """How many distinct failures there are among the examples."""
        return len(np.unique(self.failures[self.failed]))


class TooFewFailuresError(PresagioError):
    """There is not enough evidence to learn from: the message says how many failures there are and are needed."""


class PredictorParams(Model):
    """What every failure predictor is told; its own `Params` may add to it."""

    min_failures: int = Field(
        8, ge=2, description="fewest distinct failures to learn from; with fewer nothing is learnt and that is said"
    )


class FailurePredictor(Protocol):
    """Learns from examples of one failure, at one horizon, how likely it is.

    The constructor takes `Params` and a seed and only stores them.
    """

    Params: ClassVar[type[PredictorParams]]
    params: PredictorParams

    def fit(self, examples: Examples, progress: Progress) -> Self:
        """Learn, and calibrate on the latest part of the examples, which is later than what was fitted on.

        Raises TooFewFailuresError.
        """

    def predict(self, inputs: Inputs) -> Floats:
        """Return the calibrated probability, 0..1, of each moment [m]; NaN where nothing can be said."""

    def explain(self, inputs: Inputs) -> Floats:
        """Return by how much each feature moved the log odds of each moment, [m, f]; 0 where it did not."""

    def state(self) -> State:
        """Return all that was learnt, as arrays: nothing in it is ever executed when it is read."""

    def restore(self, state: State) -> None:
        """Take what `state` returned. Raises ValueError or KeyError if it is not of this predictor and version."""
