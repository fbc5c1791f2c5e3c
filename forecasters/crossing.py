"""`forecast`: the probability that a forecast reaches the failure's limit. It works on day one, without a failure."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np

from presagio.forecasters.base import Examples, Floats, Inputs, PredictorParams, Progress, State
from presagio.forecasters.calibration import Calibration, calibration, logit

COLUMN = "crossing"
"""The feature that is the forecast's own probability; there is none where a failure has no limit."""

_UNPROVEN = Calibration(lowest=0.001, highest=0.99)
"""What no failure was held against yet may not be surer than that."""

_PLAIN = 0.05
"""Probability that reasons are told against before any base rate is known."""


class Crossing:
    """Says what the forecast says; with enough failures seen, what that has been worth."""

    Params: ClassVar[type[PredictorParams]] = PredictorParams

    def __init__(self, params: PredictorParams | None = None, seed: int = 0) -> None:
        self.params = params or PredictorParams()
        self.seed = seed
        self.calibration = _UNPROVEN
        self.base = _PLAIN

    def fit(self, examples: Examples, progress: Progress) -> Self:
        """Calibrate, if there are failures enough to tell; the forecast itself learns nothing. Never raises."""
        said = self._said(examples.inputs)
        if examples.distinct >= self.params.min_failures and not np.isnan(said[examples.failed]).all():
            self.calibration = calibration(said, examples.failed, examples.failures, examples.weights)
            self.base = float(np.average(examples.failed, weights=examples.weights))
        progress(1.0)
        return self

    def predict(self, inputs: Inputs) -> Floats:
        """Return the probability of each moment [m]; NaN without a forecast."""
        return self.calibration(self._said(inputs))

    def explain(self, inputs: Inputs) -> Floats:
        """Return by how much the forecast moved the log odds from those of the base rate; nothing else does."""
        moved = np.zeros(inputs.features.shape)
        if COLUMN in inputs.names:
            odds = logit(self.predict(inputs)) - logit(np.array(self.base))
            moved[:, inputs.names.index(COLUMN)] = np.nan_to_num(odds)
        return moved

    def state(self) -> State:
        """Return the calibration."""
        return {**self.calibration.state(), "base": np.array(self.base)}

    def restore(self, state: State) -> None:
        """Take what `state` returned. Raises ValueError or KeyError if it is not that."""
        self.calibration = Calibration.restored(state)
        self.base = float(state["base"])

    def _said(self, inputs: Inputs) -> Floats:
        if COLUMN not in inputs.names:
            return np.full(len(inputs), np.nan)
        return inputs.features[:, inputs.names.index(COLUMN)]
