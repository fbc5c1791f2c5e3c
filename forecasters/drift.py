"""It goes on as it has gone: the slope of the present run, followed for as long as it has been there."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from presagio.forecasters.base import Floats, ForecasterParams, Ints
from presagio.forecasters.plain import Plain
from presagio.forecasters.preparation import History
from presagio.forecasters.slopes import Sums


class DriftParams(ForecasterParams):
    """Over which past the slope is measured."""

    window: int = Field(48, ge=3, description="samples that the slope is measured over, if the run is as long")
    trust: float = Field(
        2.0,
        gt=0,
        description="times the length of the past it was seen in that a slope is followed; then it levels off",
    )


class Drift(Plain):
    """A straight line from the present run (since the last reset) that levels off in time."""

    Params = DriftParams

    def __init__(self, params: DriftParams, seed: int = 0) -> None:
        super().__init__(params, seed)
        self.params: DriftParams = params

    def path(self, history: History, origins: Ints, leads: Ints, step: float) -> Floats:  # noqa: ARG002 # the contract's
        """Return the value at the origin and the slope times the lead."""
        line = Sums(history).line(origins, self.params.window)
        followed = steps_followed(leads, line.count[..., None], self.params.trust)
        return history.values[:, origins][..., None] + line.slope[..., None] * followed


def steps_followed(leads: Ints, age: Floats, trust: float) -> Floats:
    """Return the steps of a slope that are expected within `leads`, if it has been there for `age` steps.

    For as long as it has been there it is taken to go on, and levels off after that: `trust` times its age more.
    """
    far = trust * np.maximum(age, 1.0)
    sure = np.minimum(leads, age)
    return np.asarray(sure - far * np.expm1((sure - leads) / far), dtype=np.float64)
