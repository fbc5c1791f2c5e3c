"""The score of the Numenta Anomaly Benchmark, by its published definition and its own scorer's semantics.

Lavin and Ahmad, "Evaluating Real-time Anomaly Detection Algorithms", ICMLA 2015; numenta/NAB, nab/sweeper.py. A
window that is found earns by how early; a detection outside costs by how far it lies behind the last window; a window
that is missed costs whole. 0 is a detector that never speaks, 100 one that finds each window at its first sample.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detection.data import LONGEST_NAB_PROBATION, PROBATION
from presagio.detectors.base import Ints

PROFILES = {"nab_standard": "standard", "nab_low_fp": "reward_low_FP_rate", "nab_low_fn": "reward_low_FN_rate"}
_PERFECT_POSITION = -1.0


@dataclass(frozen=True)
class Costs:
    """What a profile gives for a true detection, and takes for a false one and for a miss."""

    true_positive: float
    false_positive: float
    false_negative: float


Profiles = Mapping[str, Costs]

PUBLISHED = {
    "standard": Costs(1.0, 0.11, 1.0),
    "reward_low_FP_rate": Costs(1.0, 0.22, 1.0),
    "reward_low_FN_rate": Costs(1.0, 0.11, 2.0),
}


@dataclass(frozen=True)
class Part:
    """One series' share of the score: what it earned, and how many windows there were to find."""

    earned: float
    windows: int


def profiles(folder: Path) -> Profiles:
    """Return the costs of each profile, from profiles.json beside the data or as published."""
    path = folder / "profiles.json"
    if not path.exists():
        return PUBLISHED
    matrices = {name: profile["CostMatrix"] for name, profile in json.loads(path.read_text()).items()}
    given = {name: Costs(one["tpWeight"], one["fpWeight"], one["fnWeight"]) for name, one in matrices.items()}
    return {**PUBLISHED, **given}


def part(detections: Ints, windows: Sequence[tuple[int, int]], samples: int, costs: Costs) -> Part:
    """Score detections (numbers of samples) against windows (first and last sample)."""
    probation = min(int(PROBATION * samples), LONGEST_NAB_PROBATION)
    counted = [window for window in windows if window[1] >= probation]
    best = dict.fromkeys(counted, -costs.false_negative)
    false = 0.0
    for at in detections[detections >= probation].tolist():
        inside = [window for window in windows if window[0] <= at <= window[1]]
        if inside:
            best[inside[0]] = max(best[inside[0]], _earned(at, inside[0]) * costs.true_positive)
        else:
            false += _lost(at, windows) * costs.false_positive
    return Part(sum(best.values()) + false, len(counted))


def normalised(parts: Sequence[Part], costs: Costs) -> float:
    """Return the score of all series together: 0 for a detector that is silent, 100 for a perfect one."""
    windows = sum(one.windows for one in parts)
    if not windows:
        return math.nan
    silent, perfect = -costs.false_negative * windows, costs.true_positive * windows
    return 100 * (sum(one.earned for one in parts) - silent) / (perfect - silent)


def _earned(at: int, window: tuple[int, int]) -> float:
    first, last = window
    return _sigmoid(-(last - at + 1) / (last - first + 1)) / _sigmoid(_PERFECT_POSITION)


def _lost(at: int, windows: Sequence[tuple[int, int]]) -> float:
    before = [window for window in windows if window[1] < at]
    if not before:
        return -1.0
    first, last = before[-1]
    return _sigmoid((at - last) / max(last - first, 1))


def _sigmoid(position: float) -> float:
    if position >= 3.0:
        return -1.0
    return 2.0 / (1.0 + math.exp(5.0 * position)) - 1.0


def detections(onsets: Ints, samples: Ints) -> Ints:
    """Return the numbers of the file's samples at which alarms begin, from their places on the grid."""
    return np.unique(np.searchsorted(samples, onsets)).astype(np.int64)
