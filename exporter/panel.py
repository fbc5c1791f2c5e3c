"""The past of many services as one array: what features are made of, live and in training alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from presagio.detectors.base import Floats

Floats32 = npt.NDArray[np.float32]
Aggregate = Literal["worst", "mean", "score"]
"""Of a service's instances: the worst value, by the signal's direction; the mean; the highest anomaly score."""


@dataclass(frozen=True)
class Channel:
    """One row of numbers of each service: an aggregate of a signal over its instances, in `unit`."""

    signal: str
    aggregate: Aggregate = "worst"
    unit: str = ""

    @property
    def name(self) -> str:
        """How features name it."""
        return self.signal if self.aggregate == "worst" else f"{self.signal} {self.aggregate}"


@dataclass(frozen=True)
class Panel:
    """values[s, t, k] of s services at t `times` (Unix seconds), `step` seconds apart, in k channels; NaN: missing.

    kinds[s]: what kind of service it is, "" if that is not known; those of one kind are peers.
    """

    services: tuple[str, ...]
    kinds: tuple[str, ...]
    times: Floats
    step: float
    channels: tuple[Channel, ...]
    values: Floats32

    def index(self, channel: Channel) -> int:
        """Return where a channel is. Raises ValueError if it is not there."""
        return self.channels.index(channel)


def kind_of(service_id: str) -> str:
    """Return the kind of a service by its id: what follows the namespace, without the number of a replica set.

    `shop/checkout` and `staging/checkout` are one kind.
    """
    name = service_id.rsplit("/", 1)[-1]
    return name.rstrip("0123456789").rstrip("-_") or name
