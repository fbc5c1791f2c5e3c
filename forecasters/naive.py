"""The last value, for ever: what every other forecast has to beat."""

from __future__ import annotations

from presagio.forecasters.base import Floats, Ints
from presagio.forecasters.plain import Plain
from presagio.forecasters.preparation import History


class Naive(Plain):
    """It stays as it is (random walk)."""

    def path(self, history: History, origins: Ints, leads: Ints, step: float) -> Floats:  # noqa: ARG002 # the contract's
        """Return the value at the origin."""
        return history.values[:, origins][..., None].repeat(len(leads), axis=-1)
