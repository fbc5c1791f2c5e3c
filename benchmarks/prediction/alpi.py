"""Alarms of packaging machines: which codes come up within the next eight hours (Tosato et al. 2020, ALPI).

    DATA/alpi/alpi_*.parquet   x (codes of the alarms before, the oldest first), y (those after), stratify (machine)

Rows are in the order of time for each machine. A file of its own (alpi_test) has no more order with what was learnt
from, so that features are of x alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from presagio.detectors.base import Bools, Floats, Ints
from presagio.forecasters.base import Examples, Floats32, Inputs

SET = "alpi"
EARLIER, GAP = 0.7, 5
"""Share of each machine's windows that is learnt from, and how many after them are left out: they overlap."""

RARE = 0.01
"""A code is rare if fewer of the windows learnt from are followed by it."""

FEWEST = 8
"""Windows that a code must have come after to be learnt by itself."""

BY_CODE = ("lightgbm_raw", "gradient_boosting")
"""Methods that learn each code by itself. The others would take hours for it: they learn all codes at once."""

MOST = 200_000

_STEP = 480 * 60.0
_BATCH = 1000
_NEAR = 8
"""Alarms before the moment that count as just now."""


@dataclass(frozen=True)
class Windows:
    """counts[w, c] of each code in x, places[w, c]: alarms since its last, NaN if none; came[w, c]: code is in y."""

    machines: Ints
    order: Ints
    counts: Floats32
    near: Floats32
    places: Floats32
    came: Bools

    def rows(self, rows: Ints | Bools) -> Windows:
        """Return some of the windows."""
        return Windows(
            self.machines[rows], self.order[rows], self.counts[rows], self.near[rows], self.places[rows],
            self.came[rows],
        )  # fmt: skip


def load(folder: Path, name: str) -> pd.DataFrame | None:
    """Return a file of the set, None if it is not there."""
    path = folder / SET / f"alpi_{name}.parquet"
    return pd.read_parquet(path) if path.exists() else None


def codes(frames: Sequence[pd.DataFrame]) -> Ints:
    """Return all codes of x and y, ascending."""
    every = [np.concatenate(frame[side].to_list()) for frame in frames for side in ("x", "y")]
    return np.unique(np.concatenate(every)).astype(np.int64)


def windows(frame: pd.DataFrame, known: Ints) -> Windows:
    """Return the windows of a table."""
    shape = (len(frame), len(known))
    counts, near = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32)
    places, came = np.full(shape, np.nan, dtype=np.float32), np.zeros(shape, dtype=np.bool_)
    for row, (before, after) in enumerate(zip(frame["x"], frame["y"], strict=True)):
        numbers = np.searchsorted(known, before)
        np.add.at(counts[row], numbers, 1)
        np.add.at(near[row], numbers[-_NEAR:], 1)
        places[row, numbers] = np.arange(len(numbers) - 1, -1, -1)  # the last one wins: the most recent
        came[row, np.searchsorted(known, after)] = True
    machines = frame["stratify"].to_numpy(np.int64)
    order = frame.groupby("stratify").cumcount().to_numpy(np.int64)
    return Windows(machines, order, counts, near, places, came)


def split(found: Windows) -> tuple[Windows, Windows]:
    """Return each machine's earlier windows and its later ones, with a gap between them."""
    size = np.bincount(found.machines)[found.machines]
    border = np.floor(EARLIER * size)
    return found.rows(found.order < border), found.rows(found.order >= border + GAP)


def pairs(found: Windows, shares: Floats, rows: Ints, columns: Ints) -> Examples:
    """Return an example for each of some windows and codes: the code is the kind of service.

    shares[machine, c]: how often a code came on a machine, of what was learnt from.
    """
    machines = found.machines[rows]
    counts, near, places = found.counts[rows, columns], found.near[rows, columns], found.places[rows, columns]
    total = found.counts.sum(axis=1)[rows]
    own = [
        counts,
        near,
        places,
        counts / total,
        total,
        (found.counts > 0).sum(axis=1)[rows],
        shares[machines, columns],
    ]
    names = ["count, now", "just before, now", "alarms since, now", "share, now", "alarms, now", "codes, now"]
    features = np.concatenate(
        [np.stack(own, axis=1), found.counts[rows], columns[:, None], machines[:, None]], axis=1, dtype=np.float64
    )
    others = [f"count of {number}" for number in range(found.counts.shape[1])]
    named = (*names, "rate, now", *others, "kind", "machine")
    inputs = Inputs(features, np.zeros((len(rows), 0, 0), dtype=np.float32), named, (), ("kind", "machine"))
    failed = found.came[rows, columns]
    times = found.order[rows] / np.maximum(found.order.max(), 1) * _STEP * 1000
    number = np.arange(len(rows))
    return Examples(inputs, failed, times, machines, np.where(failed, number, -1), np.ones(len(rows)))


def inputs(found: Windows) -> Inputs:
    """Return what is known of each window, whatever code is asked for: the machine is the kind of service."""
    total, different = found.counts.sum(axis=1), (found.counts > 0).sum(axis=1)
    parts = [found.counts, found.near, found.places, total[:, None], different[:, None], found.machines[:, None]]
    features = np.concatenate(parts, axis=1, dtype=np.float64)
    numbers = range(found.counts.shape[1])
    of_codes = [f"{what} of {number}, now" for what in ("count", "just before", "since") for number in numbers]
    names = (*of_codes, "alarms, now", "codes, now", "machine")
    return Inputs(features, np.zeros((len(features), 0, 0), dtype=np.float32), names, (), ("machine",))


def of_code(found: Windows, known: Inputs, column: int) -> Examples:
    """Return the examples of one failure: that a code comes. known: of `inputs`."""
    failed = found.came[:, column]
    size = np.bincount(found.machines)[found.machines]
    times = found.order / size * _STEP * 1000  # machines side by side, each from its first window to its last
    number = np.where(failed, np.arange(len(failed)), -1)
    examples = Examples(known, failed, times, found.machines, number, np.ones(len(failed)))
    return examples.rows(np.argsort(times, kind="stable"))


def rates(found: Windows) -> Floats:
    """Return how often [machine, c] a code came on a machine; where it has few windows, others help."""
    usual = found.came.mean(axis=0)
    machines = int(found.machines.max()) + 1
    seen = np.bincount(found.machines, minlength=machines)[:, None]
    came = np.zeros((machines, found.came.shape[1]))
    np.add.at(came, found.machines, found.came)
    shares: Floats = (came + 10 * usual) / (seen + 10)
    return shares


def sample(found: Windows, shares: Floats, rng: np.random.Generator) -> Examples:
    """Return what is learnt from: pairs of window and code, at most about MOST, in the order of time.

    All that came true stay, up to half; the others weigh as many as they stand for.
    """
    parts, weights = [], []
    for true in (True, False):
        cells = np.argwhere(found.came == true)
        chosen = np.sort(rng.choice(len(cells), min(MOST // 2, len(cells)), replace=False))
        parts.append(cells[chosen])
        weights.append(np.full(len(chosen), len(cells) / max(len(chosen), 1)))
    cells = np.concatenate(parts)
    examples = replace(pairs(found, shares, cells[:, 0], cells[:, 1]), weights=np.concatenate(weights))
    return examples.rows(np.argsort(examples.times, kind="stable"))


def every(found: Windows, shares: Floats) -> Iterator[Examples]:
    """Yield all pairs of window and code, some windows at a time."""
    codes = found.came.shape[1]
    for begin in range(0, len(found.machines), _BATCH):
        rows = np.arange(begin, min(begin + _BATCH, len(found.machines)))
        yield pairs(found, shares, np.repeat(rows, codes), np.tile(np.arange(codes), len(rows)))
