"""Isolation forest over the signals of services (Liu, Ting and Zhou 2008): few cuts tell strange moments apart."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from presagio.detectors.base import Floats, Ints
from presagio.detectors.together import CombinerParams
from presagio.detectors.together_learned import Learned, LearnedParams


class IsolationForestTogetherParams(LearnedParams):
    """Parameters of `isolation_forest_together`."""

    trees: int = Field(64, ge=8, le=512, description="trees of the forest")
    seed: int = Field(0, ge=0, description="of the forest")


class IsolationForestTogether(Learned):
    """Many signals somewhat unusual at once; that signals part which moved as one it does not see."""

    Params: ClassVar[type[CombinerParams]] = IsolationForestTogetherParams
    version: ClassVar[float] = 1.0
    params: IsolationForestTogetherParams

    def fit(self, moments: Floats) -> Forest:
        """Return a forest of moments[m, k]."""
        return Forest(moments, self.params.trees, self.params.seed)


class Forest:
    """The trees of scikit-learn's forest, walked by all moments and trees at once.

    score_samples() takes 10 ms a call, which is too much for the 80,000 moments of two weeks.
    """

    def __init__(self, moments: Floats, trees: int, seed: int) -> None:
        from sklearn.ensemble import IsolationForest

        fitted = IsolationForest(n_estimators=trees, random_state=seed).fit(moments)
        grown = [one.tree_ for one in fitted.estimators_]
        offsets = np.cumsum([0, *(tree.node_count for tree in grown)])
        self.roots: Ints = offsets[:-1]
        self.left = _joined([tree.children_left for tree in grown], offsets)
        self.right = _joined([tree.children_right for tree in grown], offsets)
        self.feature: Ints = np.maximum(np.concatenate([tree.feature for tree in grown]), 0)
        self.cut: Floats = np.concatenate([tree.threshold for tree in grown])
        sizes = np.concatenate([tree.n_node_samples for tree in grown])
        self.rest = _average_path(sizes)
        self.depth = max(tree.max_depth for tree in grown)
        self.usual = _average_path(np.array([fitted.max_samples_]))[0]
        told = self._score(moments)
        self.middle = float(np.median(told))
        self.scale = max(float(np.mean(np.abs(told - self.middle))), 1e-9)

    def raw(self, moments: Floats) -> Floats:
        """Return the forest's score of moments[n, k], in units that stay the same from fit to fit."""
        return (self._score(moments) - self.middle) / self.scale

    def parts(self, moments: Floats) -> Floats:
        """Return by how much the score falls if one signal after the other were as usual."""
        count, width = moments.shape
        without = np.repeat(moments[None], width, axis=0)
        without[np.arange(width), :, np.arange(width)] = 0.0
        fallen = self.raw(without.reshape(-1, width)).reshape(width, count).T
        return np.maximum(self.raw(moments)[:, None] - fallen, 0.0)

    def _score(self, moments: Floats) -> Floats:
        """Return 2^(-mean path / usual path), 0..1, higher for stranger ones."""
        rounded = moments.astype(np.float32).astype(np.float64)  # as the trees were grown
        rows = np.arange(len(moments))[:, None]
        node = np.broadcast_to(self.roots, (len(moments), len(self.roots)))
        steps = np.zeros(node.shape)
        for _ in range(self.depth):
            goes_on = self.left[node] >= 0
            lower = rounded[rows, self.feature[node]] <= self.cut[node]
            node = np.where(goes_on, np.where(lower, self.left[node], self.right[node]), node)
            steps += goes_on
        path = (steps + self.rest[node]).mean(axis=1)
        return np.asarray(2.0 ** (-path / self.usual), dtype=np.float64)


def _joined(children: list[Ints], offsets: Ints) -> Ints:
    """Return the children of all trees as indices into one array; -1 for a leaf."""
    parts = [np.where(own >= 0, own + offset, -1) for own, offset in zip(children, offsets, strict=False)]
    joined: Ints = np.concatenate(parts)
    return joined


def _average_path(sizes: Ints) -> Floats:
    """Return the mean depth of a random tree of so many samples: what a leaf that was not split would have added."""
    size = np.maximum(sizes.astype(np.float64), 2.0)
    path = 2.0 * (np.log(np.maximum(size - 1.0, 1.0)) + np.euler_gamma) - 2.0 * (size - 1.0) / size
    return np.where(sizes <= 1, 0.0, np.where(sizes == 2, 1.0, path))
