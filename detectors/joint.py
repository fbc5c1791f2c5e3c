"""The default combiner: the harmonic mean of the signals' p-values. It learns nothing and never has to warm up."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from presagio.detectors.base import Floats, Ints, State
from presagio.detectors.together import Combined, CombinerParams, confidence_of, harmonic, shares, tempered

_VERSION = 1.0


class ProfileTogetherParams(CombinerParams):
    """Parameters of `profile_together`: there are none."""


class ProfileTogether:
    """One signal that is beside itself is enough; its chance is multiplied by the number of signals looked at."""

    Params: ClassVar[type[CombinerParams]] = ProfileTogetherParams

    def __init__(self, params: ProfileTogetherParams) -> None:
        self.params = params

    def step(self, time: float, scores: Floats, confidence: Floats, surprise: Floats) -> Combined:  # noqa: ARG002
        """Combine scores[n, k]; the time and the side of a deviation do not matter."""
        known = confidence_of(scores, confidence)
        return Combined(tempered(harmonic(scores), known), shares(scores), known)

    def reindex(self, rows: Ints, columns: Ints) -> None:
        """Nothing is kept."""

    def state(self) -> State:
        """Return the version alone."""
        return {"version": np.array([_VERSION])}

    def restore(self, state: State) -> None:
        """Raises ValueError for what another version left."""
        if "version" not in state or state["version"].tolist() != [_VERSION]:
            raise ValueError(f"state of another combiner or version than profile_together {_VERSION:g}")
