"""Isolation forests of many rows as arrays: a tree is a heap, whose node k has the children 2k + 1 and 2k + 2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from presagio.detectors.base import Floats, Ints

SAMPLE, DEPTH = 64, 6
"""A tree is grown from 64 samples to a depth of 6, as the method has it: what is not parted by then is usual."""

_INNER = 2**DEPTH - 1

Shorts = npt.NDArray[np.int8]
Singles = npt.NDArray[np.float32]


def grow(sample: Floats, trees: int, seed: int) -> tuple[Shorts, Singles, Singles]:
    """Return feature and cut [trees, inner nodes] and path [trees, nodes]: at a leaf, the depth it stands for."""
    feature = np.zeros((trees, _INNER), dtype=np.int8)
    cut = np.full((trees, _INNER), np.inf, dtype=np.float32)
    path = np.full((trees, 2 * _INNER + 1), np.nan, dtype=np.float32)
    if (sample == sample[0]).all():  # nothing to part
        path[:, 0] = average_path(np.array([SAMPLE]))[0]
    else:
        from sklearn.ensemble import IsolationForest

        fitted = IsolationForest(n_estimators=trees, max_samples=SAMPLE, random_state=seed).fit(sample)
        for number, one in enumerate(fitted.estimators_):
            _as_heap(one.tree_, feature[number], cut[number], path[number])
    _fill_down(path)
    return feature, cut, path


def _as_heap(tree: Any, feature: Shorts, cut: Singles, path: Singles) -> None:
    """Write one of scikit-learn's trees into the arrays of a heap."""
    rest = average_path(tree.n_node_samples)
    open_nodes = [(0, 0, 0)]
    while open_nodes:
        node, place, depth = open_nodes.pop()
        if tree.children_left[node] < 0:
            path[place] = depth + rest[node]
            continue
        feature[place], cut[place] = tree.feature[node], tree.threshold[node]
        open_nodes.append((tree.children_left[node], 2 * place + 1, depth + 1))
        open_nodes.append((tree.children_right[node], 2 * place + 2, depth + 1))


def _fill_down(path: Singles) -> None:
    """Give all that lies below a leaf the leaf's own, so that every walk may go to the bottom."""
    for place in range(1, path.shape[1]):
        path[:, place] = np.where(np.isnan(path[:, place]), path[:, (place - 1) // 2], path[:, place])


def walk(forests: Mapping[str, npt.NDArray[Any]], points: Floats) -> Floats:
    """Return 2^(-mean path / usual path) of points[n, k], each in its own forest; higher is stranger."""
    rounded = points.astype(np.float32)  # as the trees were grown
    rows, trees = np.arange(len(points))[:, None], np.arange(forests["cut"].shape[1])
    node: Ints = np.zeros((len(points), len(trees)), dtype=np.int64)
    for _ in range(DEPTH):
        left = rounded[rows, forests["feature"][rows, trees, node]] <= forests["cut"][rows, trees, node]
        node = 2 * node + np.where(left, 1, 2)
    mean = forests["path"][rows, trees, node].astype(np.float64).mean(axis=1)
    return np.asarray(2.0 ** (-mean / average_path(np.array([SAMPLE]))[0]), dtype=np.float64)


def average_path(sizes: Ints) -> Floats:
    """Return the mean depth of a random tree of so many samples: what a leaf that was not split would have added."""
    size = np.maximum(sizes.astype(np.float64), 2.0)
    path = 2.0 * (np.log(np.maximum(size - 1.0, 1.0)) + np.euler_gamma) - 2.0 * (size - 1.0) / size
    return np.where(sizes <= 1, 0.0, np.where(sizes == 2, 1.0, path))
