"""Probabilities that hold: what a predictor says, mapped to what then came true on later examples.

Beta calibration (Kull, Silva Filho and Flach 2017): log odds of the truth = a log s - b log(1 - s) + c, with a and b
not below 0, so that the order is kept and the identity, a = b = 1 and c = 0, is among the maps. That is where the
prior lies: with few failures little is changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from presagio.forecasters.base import Bools, Floats, Ints, State

_EDGE = 1e-6
_LOOSE = 2.0
"""Standard deviation of the prior on a, b and c."""


@dataclass(frozen=True)
class Calibration:
    """A monotone map of probabilities; `lowest` and `highest` are as sure as the evidence allows to be."""

    a: float = 1.0
    b: float = 1.0
    c: float = 0.0
    lowest: float = _EDGE
    highest: float = 1.0 - _EDGE

    def __call__(self, said: Floats) -> Floats:
        """Return the calibrated probabilities [m]; NaN stays."""
        odds = _design(said) @ np.array([self.a, self.b, self.c])
        return np.clip(expit(odds), self.lowest, self.highest)

    def state(self, prefix: str = "calibration") -> dict[str, np.ndarray[Any, Any]]:
        """Return it as an array."""
        return {prefix: np.array([self.a, self.b, self.c, self.lowest, self.highest])}

    @classmethod
    def restored(cls, state: State, prefix: str = "calibration") -> Self:
        """Return what `state` returned. Raises KeyError or ValueError if it is not that."""
        values = state[prefix]
        if values.shape != (5,) or not np.isfinite(values).all():
            raise ValueError(f"five numbers for {prefix!r}, got shape {values.shape}")
        return cls(*values.tolist())


def calibration(said: Floats, failed: Bools, failures: Ints, weights: Floats) -> Calibration:
    """Return the map from said[m] to what came true; failures[m]: which failure, so that each counts as one.

    n distinct failures do not allow to be surer than (n + 1) / (n + 2) (Laplace's rule of succession).
    """
    known = ~np.isnan(said)
    distinct = len(np.unique(failures[failed & known]))
    if distinct == 0:
        return Calibration()
    # all moments before one failure are one piece of evidence, and what did not fail is scaled alike
    mass = weights[known] * distinct / weights[failed & known].sum()
    highest = surest(distinct)
    lowest = min(1 / (mass.sum() + 2), highest / 2)
    a, b, c = logistic(_design(said[known]), failed[known], mass, np.array([1.0, 1.0, 0.0]), (0, 1))
    return Calibration(a, b, c, lowest, highest)


def surest(distinct: int) -> float:
    """Return the highest probability that so many distinct failures allow."""
    return (distinct + 1) / (distinct + 2)


def logistic(design: Floats, failed: Bools, mass: Floats, prior: Floats, positive: tuple[int, ...]) -> Floats:
    """Return the coefficients of a logistic regression of failed[m] on design[m, k], weighted by mass[m].

    Gaussian prior around `prior`; the coefficients in `positive` are not below 0.
    """
    from scipy.optimize import minimize

    truth = failed.astype(np.float64)

    def loss(coefficients: Floats) -> tuple[float, Floats]:
        odds = design @ coefficients
        off = coefficients - prior
        value = float(mass @ (np.logaddexp(0.0, odds) - truth * odds) + off @ off / (2 * _LOOSE**2))
        return value, design.T @ (mass * (expit(odds) - truth)) + off / _LOOSE**2

    bounds = [(0.0, None) if number in positive else (None, None) for number in range(design.shape[1])]
    found: Floats = minimize(loss, prior, jac=True, method="L-BFGS-B", bounds=bounds).x
    return found


def expit(odds: Floats) -> Floats:
    """Return the probability of log odds."""
    found: Floats = 0.5 * (1.0 + np.tanh(0.5 * odds))
    return found


def logit(probability: Floats) -> Floats:
    """Return the log odds of a probability; 0 and 1 are brought within a millionth."""
    clipped = np.clip(probability, _EDGE, 1 - _EDGE)
    found: Floats = np.log(clipped) - np.log1p(-clipped)
    return found


def _design(said: Floats) -> Floats:
    clipped = np.clip(said, _EDGE, 1 - _EDGE)
    return np.stack([np.log(clipped), -np.log1p(-clipped), np.ones(len(said))], axis=1)
