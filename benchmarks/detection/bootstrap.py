"""How sure a figure is: 95 % intervals from series drawn anew; the samples of a series are not independent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from detection.measures import Facts

DRAWS = 500
Interval = tuple[float, float]


def intervals(
    known: Sequence[Facts], figures: Callable[[Sequence[Facts]], Mapping[str, float]], seed: int = 0
) -> dict[str, Interval]:
    """Return the 95 % interval of each figure. NaN where fewer than half of the draws have one."""
    rng = np.random.default_rng(seed)
    drawn = [figures([known[i] for i in rng.integers(len(known), size=len(known))]) for _ in range(DRAWS)]
    return {name: _interval(np.array([one[name] for one in drawn])) for name in drawn[0]}


def _interval(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Interval:
    there = values[~np.isnan(values)]
    if len(there) < len(values) / 2:
        return (np.nan, np.nan)
    low, high = np.quantile(there, (0.025, 0.975))
    return float(low), float(high)
