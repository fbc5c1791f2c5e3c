"""Half-space trees (Tan, Ting and Liu, "Fast anomaly detection for streaming data", IJCAI 2011).

Random trees halve a space of values and steps. How many samples of the last full window lie in a node is its mass;
few in a large node are strange. The cuts are drawn once, from the seed, and are those of all rows; only the masses
are a row's own, so that one step is a few lookups for all rows. (The library `river` steps series one by one, at
86 kB each, and its state is a pickle.)

Beyond the space the mass says no more; there the distance counts. Chances come from the row's own tail (tail.py).
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from presagio.detectors import lags
from presagio.detectors.arrays import Bools
from presagio.detectors.base import DetectorParams, Floats, Ints
from presagio.detectors.extremes import Extremes
from presagio.detectors.streaming import Lesson, Moment, Opinion, Streaming, StreamingParams

_SIDE = 6.0
"""The space reaches so many mean absolute deviations to each side."""

_JITTER = 3.0
_SMALL = 0.1
_MEMORY = 500.0
_LAGS = 1


class HalfSpaceTreesParams(StreamingParams):
    """Parameters of `half_space_trees`."""

    trees: int = Field(20, ge=1, le=100, description="trees")
    depth: int = Field(6, ge=2, le=10, description="cuts from the root to a leaf")
    window: int = Field(250, ge=50, le=10_000, description="samples of a window; the last full one is the reference")
    seed: int = Field(0, ge=0, description="of the cuts")


class HalfSpaceTrees(Streaming):
    """Masses of n rows. About 10 kB a row."""

    Params: ClassVar[type[DetectorParams]] = HalfSpaceTreesParams
    params: HalfSpaceTreesParams

    def __init__(self, params: HalfSpaceTreesParams) -> None:
        super().__init__(params)
        self.strange = Extremes()
        self.parts["strange_"] = self.strange
        self.feature, self.cut = cuts(params.trees, params.depth, 1 + _LAGS, params.seed)
        self.paths: Ints = np.zeros((0, params.trees, params.depth + 1), dtype=np.int64)
        self.raw = np.zeros(0)

    def blank(self, rows: int) -> dict[str, npt.NDArray[Any]]:
        """Return what is known of new rows."""
        masses = (rows, self.params.trees, 2 ** (self.params.depth + 1) - 1)
        return {
            **lags.blank(rows, _LAGS),
            "reference": np.zeros(masses, dtype=np.uint16),
            "latest": np.zeros(masses, dtype=np.uint16),
            "filled": np.zeros(rows),
            "windows": np.zeros(rows),
            "told": np.zeros(rows),
            "raw_level": np.zeros(rows),
            "raw_spread": np.zeros(rows),
        }

    def ready(self) -> Bools:
        """Return the rows that have a reference, and know what it says of usual values."""
        ready: Bools = self.learnt["told"] >= self.params.warm_up
        return ready

    def look(self, now: Moment) -> Opinion:
        """Return how little mass there is where the values lie."""
        point = lags.features(self.learnt, now.values)
        self.paths = self._paths(point)
        self.raw = self._raw(self.paths)
        spread = np.maximum(self.learnt["raw_spread"], 1e-3)
        r = np.where(self.learnt["told"] > 0, (self.raw - self.learnt["raw_level"]) / spread, 0.0)
        r = r + np.maximum(np.abs(point).max(axis=1) - _SIDE, 0.0)
        level = np.where(self.learnt["count"] > 0, self.learnt["level"], np.nan)
        wide = _SIDE * lags.unit(self.learnt)
        # The tail is of both sides together.
        return Opinion(r, 0.5 * np.where(r > 0, self.strange.chance(r), 1.0), level, level - wide, level + wide)

    def _paths(self, point: Floats) -> Ints:
        """Return the nodes [n, trees, depth + 1] that the points come through."""
        rows, trees = np.arange(len(point))[:, None], np.arange(self.params.trees)
        node = np.zeros((len(point), self.params.trees), dtype=np.int64)
        nodes = [node]
        for _ in range(self.params.depth):
            node = 2 * node + 1 + (point[rows, self.feature[trees, node]] > self.cut[trees, node])
            nodes.append(node)
        return np.stack(nodes, axis=2)

    def _raw(self, paths: Ints) -> Floats:
        """Return the surprise of the masses: minus the logarithm of their mean over the trees."""
        rows, trees = np.arange(len(paths))[:, None, None], np.arange(self.params.trees)[None, :, None]
        mass = self.learnt["reference"][rows, trees, paths].astype(np.float64)
        small = mass <= _SMALL * self.params.window
        small[:, :, -1] = True
        last = small.argmax(axis=2)
        there = np.take_along_axis(mass, last[:, :, None], axis=2)[:, :, 0]
        raw: Floats = -np.log2((there * 2.0**last).mean(axis=1) / self.params.window + 1e-3)
        return raw

    def learn(self, now: Moment, opinion: Opinion, lesson: Lesson) -> None:
        """Take in the values: masses of ordinary ones; windows change row by row."""
        self._learn_raw(opinion, lesson)
        counts = np.flatnonzero(lesson.ordinary & (self.learnt["count"] >= self.params.warm_up))
        trees = np.arange(self.params.trees)[None, :, None]
        self.learnt["latest"][counts[:, None, None], trees, self.paths[counts]] += 1
        self.learnt["filled"][counts] += 1
        lags.learn(self.learnt, now.values, opinion, lesson)
        self._turn(self.learnt["filled"] >= self.params.window)

    def _learn_raw(self, opinion: Opinion, lesson: Lesson) -> None:
        """Learn what the masses say of usual values, and the tail of it once that is known."""
        learnt = self.learnt
        weight = np.where(learnt["windows"] > 0, lesson.weight, 0.0)
        settled = np.where(learnt["told"] >= self.params.warm_up / 2, weight, 0.0)
        self.strange.learn(opinion.r, settled, lesson.anomalous, lesson.expected)
        rate = weight / np.minimum(learnt["told"] + 1, _MEMORY)
        off = np.where(learnt["told"] > 0, self.raw - learnt["raw_level"], 0.0)
        begun = np.where((learnt["told"] == 0) & (weight > 0), self.raw, learnt["raw_level"])
        learnt["raw_level"] = begun + rate * off
        learnt["raw_spread"] = learnt["raw_spread"] + rate * (np.abs(off) - learnt["raw_spread"])
        learnt["told"] = learnt["told"] + (weight > 0)

    def _turn(self, full: Bools) -> None:
        """Make the latest window of the rows that are full the reference."""
        rows = np.flatnonzero(full)
        self.learnt["reference"][rows] = self.learnt["latest"][rows]
        self.learnt["latest"][rows] = 0
        self.learnt["filled"][rows] = 0
        self.learnt["windows"][rows] += 1


def cuts(trees: int, depth: int, width: int, seed: int) -> tuple[Ints, Floats]:
    """Return feature and cut of each inner node [trees, 2^depth - 1]: each halves what is left of a moved space."""
    rng = np.random.default_rng(seed)
    nodes = 2**depth - 1
    feature = rng.integers(0, width, (trees, nodes))
    centre = rng.uniform(-_JITTER, _JITTER, (trees, width))
    cut = np.zeros((trees, nodes))
    low = {0: centre - _SIDE - _JITTER}
    high = {0: centre + _SIDE + _JITTER}
    every = np.arange(trees)
    for node in range(nodes):
        below, above = low.pop(node), high.pop(node)
        cut[:, node] = (0.5 * (below + above))[every, feature[:, node]]
        for child, bound in ((2 * node + 1, above), (2 * node + 2, below)):
            halved = bound.copy()
            halved[every, feature[:, node]] = cut[:, node]
            low[child], high[child] = (below, halved) if child % 2 else (halved, above)
    return feature, cut
