"""The usual moments of services with the same set of signals: a bounded sample, the newer the likelier."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from presagio.detectors.base import Floats, Ints, State

Bits = npt.NDArray[np.uint64]

_MIX = np.uint64(0x9E3779B97F4A7C15)


class Model(Protocol):
    """What is fitted on a sample [m, k]. Deterministic: the same sample and seed give the same model."""

    def raw(self, moments: Floats) -> Floats:
        """Return how unlike the sample moments[n, k] are, as n numbers of any unit."""

    def parts(self, moments: Floats) -> Floats:
        """Return what each signal [n, k] has to do with it, >= 0."""


class Sample:
    """At most `size` moments, drawn with weights that fade by e in each `memory` seconds.

    The draw is by exponential keys (Efraimidis and Spirakis 2006) whose chance is a hash of the moment: it needs no
    generator, and does not depend on the order of the services.
    """

    def __init__(self, columns: Ints, size: int, memory: float) -> None:
        self.columns = columns
        self.size = size
        self.memory = memory
        self.moments = np.zeros((0, len(columns)))
        self.priority = np.zeros(0)
        self.fitted = self.moments
        self.fitted_at = self.used_at = -np.inf
        self.model: Model | None = None

    def add(self, time: float, moments: Floats) -> None:
        """Take in moments[n, k] of `time`."""
        priority = time / self.memory - np.log(-np.log(_chance(time, moments)))
        if len(self.priority) >= self.size:
            better = priority > self.priority.min()
            moments, priority = moments[better], priority[better]
        if not len(priority):
            return
        self.moments, self.priority = np.concatenate([self.moments, moments]), np.append(self.priority, priority)
        if len(self.priority) > self.size:
            best = np.argsort(-self.priority, kind="stable")[: self.size]
            self.moments, self.priority = self.moments[best], self.priority[best]

    def is_due(self, time: float, every: float) -> bool:
        """Return whether it is time for a new model: the old one is old, or was made of half as much."""
        enough = len(self.moments) >= 100 + 20 * len(self.columns)
        return enough and (abs(time - self.fitted_at) >= every or len(self.moments) >= 2 * len(self.fitted))

    def take(self, time: float) -> None:
        """Keep the present sample for a fit, in an order that does not tell in which it came."""
        self.fitted, self.fitted_at, self.model = self.moments[np.lexsort(self.moments.T)], time, None

    def moved(self, columns: Ints) -> Sample | None:
        """Return the same sample after column j was columns[j]; None if one of its signals is gone."""
        now = np.flatnonzero(np.isin(columns, self.columns))
        if len(now) < len(self.columns):
            return None
        order = np.searchsorted(self.columns, columns[now])
        made = Sample(now, self.size, self.memory)
        made.moments, made.priority, made.fitted = self.moments[:, order], self.priority, self.fitted[:, order]
        made.fitted_at, made.used_at = self.fitted_at, self.used_at
        made.model = self.model if (order == np.arange(len(order))).all() else None
        return made

    def state(self) -> State:
        """Return all but the model, which `fitted` makes again."""
        times = np.array([self.fitted_at, self.used_at])
        return {
            "columns": self.columns, "moments": self.moments, "priority": self.priority, "fitted": self.fitted,
            "times": times,
        }  # fmt: skip

    def restore(self, state: State) -> None:
        """Take what `state` returned. Raises KeyError for what is missing, ValueError for what does not fit."""
        width = len(self.columns)
        self.moments = np.array(state["moments"], dtype=np.float64).reshape(-1, width)
        self.fitted = np.array(state["fitted"], dtype=np.float64).reshape(-1, width)
        self.priority = np.array(state["priority"], dtype=np.float64)
        self.fitted_at, self.used_at = np.array(state["times"], dtype=np.float64).tolist()
        if len(self.priority) != len(self.moments):
            raise ValueError("a sample with arrays of different lengths")


def _chance(time: float, moments: Floats) -> Floats:
    """Return a number in 0..1 for each of moments[n, k], the same for the same moment at the same time."""
    mixed: Bits = np.full(len(moments), np.float64(time).view(np.uint64), dtype=np.uint64)
    for column in np.ascontiguousarray(moments.T):
        mixed = _stirred(mixed ^ np.ascontiguousarray(column).view(np.uint64))
    return (_stirred(mixed) >> np.uint64(12)).astype(np.float64) / 2.0**52 * (1 - 2e-16) + 1e-16


def _stirred(bits: Bits) -> Bits:
    """Return the bits mixed, so that near numbers have far ones (splitmix64)."""
    bits = bits + _MIX
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
