"""What a part of a detector has learnt: arrays whose first axis is the row, once they leave it."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from presagio.detectors.base import Bools, Floats, Ints, State

__all__ = ["Arrays", "Bools", "take"]


class Arrays:
    """Attributes named by `fields`, each an array of n rows; they follow churn and survive a restart together.

    lanes: the shape of what is kept for each row. Inside, the row is the last axis, so that one step of time, which
    is one lane of all rows, lies in one piece; outside, it is the first.
    """

    fields: ClassVar[tuple[str, ...]]
    new: ClassVar[dict[str, float]] = {}
    dtype: ClassVar[type[np.floating[Any]]] = np.float64

    def __init__(self, *lanes: int) -> None:
        self.lanes = lanes
        for field in self.fields:
            setattr(self, field, np.zeros((*lanes, 0), dtype=self.dtype))

    def _kept(self, values: npt.NDArray[Any]) -> Floats:
        return values.astype(self.dtype)

    def reindex(self, rows: Ints) -> None:
        """New row i was row rows[i]; -1 begins anew."""
        for field in self.fields:
            setattr(self, field, take(getattr(self, field), rows, self.new.get(field, 0.0)))

    def state(self, prefix: str) -> dict[str, Floats]:
        """Return the arrays, each name led by `prefix`."""
        return {f"{prefix}{field}": np.moveaxis(getattr(self, field), -1, 0) for field in self.fields}

    def restore(self, state: State, prefix: str) -> None:
        """Take what `state` returned. Raises KeyError if one is missing, ValueError for another shape."""
        for field in self.fields:
            array = np.array(state[f"{prefix}{field}"], dtype=self.dtype)
            if array.shape[1:] != self.lanes:
                raise ValueError(f"state of another version: {prefix}{field} has shape {array.shape[1:]}")
            setattr(self, field, np.ascontiguousarray(np.moveaxis(array, 0, -1)))


def take(values: npt.NDArray[Any], rows: Ints, new: float = 0.0) -> npt.NDArray[Any]:
    """Return values[..., rows], and `new` where rows is -1."""
    taken: npt.NDArray[Any] = np.full((*values.shape[:-1], len(rows)), new, dtype=values.dtype)
    old = rows >= 0
    taken[..., old] = values[..., rows[old]]
    return taken
