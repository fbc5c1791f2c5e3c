"""What a part of a detector has learnt: arrays whose first axis is the row."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from presagio.detectors.base import Floats, Ints, State

Bools = npt.NDArray[np.bool_]


class Arrays:
    """Attributes named by `fields`, each an array of n rows; they follow churn and survive a restart together."""

    fields: ClassVar[tuple[str, ...]]

    def __init__(self) -> None:
        for field in self.fields:
            setattr(self, field, np.zeros(0))

    def reindex(self, rows: Ints) -> None:
        """New row i was row rows[i]; -1 begins anew."""
        for field in self.fields:
            setattr(self, field, take(getattr(self, field), rows))

    def state(self, prefix: str) -> dict[str, Floats]:
        """Return the arrays, each name led by `prefix`."""
        return {f"{prefix}{field}": getattr(self, field) for field in self.fields}

    def restore(self, state: State, prefix: str) -> None:
        """Take what `state` returned. Raises KeyError for one that is missing."""
        for field in self.fields:
            setattr(self, field, np.array(state[f"{prefix}{field}"], dtype=np.float64))


def take(values: Floats, rows: Ints, new: float = 0.0) -> Floats:
    """Return values[rows], and `new` where rows is -1."""
    padded = np.append(values, new)
    return padded[np.where(rows < 0, len(values), rows)]
