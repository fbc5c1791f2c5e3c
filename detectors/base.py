"""The contract of a detector.

A detector holds one profile for each row of a signal and steps all rows at once. It scores first and learns after
(causal), never reads a clock, and treats a value of NaN as a missing one: no score, nothing learnt.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from presagio.detectors.calendar import Calendar
from presagio.toolkit.schema import Model
from presagio.toolkit.units import Duration

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
State = Mapping[str, npt.NDArray[Any]]
Direction = Literal["both", "above", "below"]
Season = Literal["auto", "none"]


class DeadBand(Model):
    """Deviations from the expected value that are too small to matter, however rare they are."""

    absolute: float = Field(0.0, ge=0, description="in the signal's unit")
    relative: float = Field(0.0, ge=0, description="as a share of the expected value: 0.1 is ten per cent")


class Range(Model):
    """The values that are possible at all, in the signal's unit: one outside is an anomaly whatever came before."""

    min: float = Field(-math.inf, description="lowest possible value")
    max: float = Field(math.inf, description="highest possible value")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min >= self.max:
            raise ValueError(f"a range with min below max, got {self.min:g} and {self.max:g}")
        return self


class DetectorParams(Model):
    """What every detector is told; its own `Params` may add to it."""

    direction: Direction = Field("both", description="which deviations count: both, above or below")
    dead_band: DeadBand = Field(default_factory=DeadBand, description="deviations too small to matter")
    range: Range = Field(default_factory=Range, description="values that are possible at all")
    adapt_after: Duration = Field(28800.0, gt=0, description="a changed level that holds so long is the new normal")
    season: Season = Field("auto", description="auto finds the day and the week in the data; none: there is none")
    calendar: Calendar = Field(default_factory=Calendar, description="the clock that days and weeks are told by")


@dataclass(frozen=True)
class Verdict:
    """What a detector says of n rows at one moment; each array has shape [n].

    score: 0..1, `min(1, -log10(p) / 10)`, NaN where there is none. expected, lower, upper: in the signal's unit,
    NaN before anything is known. confidence: 0..1, 0 while warming up, when no score exceeds 0.3.
    """

    score: Floats
    expected: Floats
    lower: Floats
    upper: Floats
    confidence: Floats


class Detector(Protocol):
    """All rows of one signal. The constructor takes `Params` and only stores it."""

    Params: ClassVar[type[DetectorParams]]

    def step(self, time: float, values: Floats, trust: Floats | None = None) -> Verdict:
        """Score values[n] at `time` (Unix seconds), then learn from them.

        trust[n]: NaN where the detector decides how much a value teaches; 0 where a person called it a fault, and it
        teaches nothing; 1 where a person called it expected, and it is learnt whole. None is NaN everywhere.
        """

    def reindex(self, rows: Ints) -> None:
        """Follow churn: new row i was row rows[i]; -1 is a series never seen."""

    def state(self) -> State:
        """Return all that was learnt, as arrays whose first axis is the row."""

    def restore(self, state: State) -> None:
        """Take what `state` returned. Raises ValueError if it is not of this detector and version."""


@runtime_checkable
class Inheriting(Protocol):
    """A detector whose new rows can begin from the profile of others; to have it is optional."""

    def inherit(self, rows: Ints, donors: Ints, kin: Bools, values: Floats) -> None:
        """Let rows[m] that have seen nothing yet begin from donors[m], before they see their first values[m].

        kin[m]: both are of one service, so that the day and the week are alike, too.
        """


def score_of(p: Floats) -> Floats:
    """Return the calibrated score of a tail probability: 0.3 is once in a thousand, 0.6 once in a million."""
    # 0.0 - x, not -x: the score of p = 1 must be 0 and not -0 on the page.
    with np.errstate(divide="ignore"):
        return np.clip(0.0 - np.log10(p) / 10.0, 0.0, 1.0)
