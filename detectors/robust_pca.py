"""Principal components of the signals of services, of which the strangest moments have no say.

A moment is unusual by its distance inside the plane of the components, or from it. Both are joined as the combined
index of Yue and Qin (2001), and shared among the signals by complete decomposition (Alcala and Qin 2009). The fit
leaves out the tenth of the moments that fit worst, and is done again, until a few strange ones cannot turn the plane.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from presagio.detectors.base import Floats
from presagio.detectors.together import CombinerParams
from presagio.detectors.together_learned import Learned, LearnedParams

_ROUNDS, _KEPT = 4, 0.9
_LEAST_SPREAD = 0.05


class RobustPcaParams(LearnedParams):
    """Parameters of `robust_pca`."""

    variance: float = Field(0.8, gt=0, lt=1, description="share of the variance that the components explain")


class RobustPca(Learned):
    """Signals that no longer move together as they did."""

    Params: ClassVar[type[CombinerParams]] = RobustPcaParams
    version: ClassVar[float] = 2.0
    params: RobustPcaParams

    def fit(self, moments: Floats) -> Plane:
        """Return the plane of moments[m, k]."""
        plane = Plane(moments, self.params.variance)
        for _ in range(_ROUNDS):
            distance = plane.raw(moments)
            kept = moments[distance <= np.quantile(distance, _KEPT)]
            plane = Plane(kept, self.params.variance)
        return plane


class Plane:
    """Centre, components and the square root of the combined index as one matrix."""

    def __init__(self, moments: Floats, variance: float) -> None:
        from sklearn.decomposition import PCA

        self.centre = np.median(moments, axis=0)
        self.scale = np.maximum(np.mean(np.abs(moments - self.centre), axis=0), _LEAST_SPREAD)
        spread = (moments - self.centre) / self.scale
        fitted = PCA(svd_solver="covariance_eigh").fit(spread)
        explained = np.cumsum(fitted.explained_variance_ratio_)
        inside = min(int(np.searchsorted(explained, variance)) + 1, len(explained) - 1)
        inside = max(inside, 1)
        # A direction in which nothing ever moved must not make the least step infinite.
        deviation = np.sqrt(np.maximum(fitted.explained_variance_, _LEAST_SPREAD**2))
        # All directions beyond the plane count alike, as the distance from it.
        deviation[inside:] = max(float(np.sqrt(np.mean(deviation[inside:] ** 2))), _LEAST_SPREAD)
        components = fitted.components_
        self.root = (components.T / deviation) @ components

    def raw(self, moments: Floats) -> Floats:
        """Return the distance of moments[n, k], 1 on average in each direction."""
        return np.asarray(np.sqrt(self.parts(moments).sum(axis=1)), dtype=np.float64)

    def parts(self, moments: Floats) -> Floats:
        """Return each signal's part of the squared distance."""
        # einsum adds up in the same order for one row as for many: a matrix product may not
        whitened = np.einsum("nk,kj->nj", (moments - self.centre) / self.scale, self.root)
        return np.asarray(whitened**2, dtype=np.float64)
