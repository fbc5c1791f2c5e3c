"""From whom a new series learns: a pod that replaces another one, or a service that is like others.

The nearest peer is another series of the same service, else any of the same signal; of several the one whose expected
value is nearest to the first value of the new one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from presagio.detectors.arrays import Bools
from presagio.detectors.base import Floats, Ints


@dataclass(frozen=True)
class Heirs:
    """New rows and the row that each begins from; `kin` where both are of one service."""

    rows: Ints
    donors: Ints
    kin: Bools


def heirs(new: Bools, known: Bools, services: Ints, values: Floats, expected: Floats) -> Heirs:
    """Return the heirs among the new rows: those for which there is anybody known to learn from."""
    rows, old = np.flatnonzero(new), np.flatnonzero(known & ~new & ~np.isnan(expected))
    if len(old) == 0 or len(rows) == 0:
        return Heirs(rows[:0], rows[:0], np.zeros(0, dtype=np.bool_))
    ordered = old[np.argsort(expected[old], kind="stable")]
    families: dict[int, list[int]] = {}
    for row in ordered.tolist():
        families.setdefault(int(services[row]), []).append(row)
    donors, kin = np.empty(len(rows), dtype=np.int64), np.zeros(len(rows), dtype=np.bool_)
    for number, row in enumerate(rows.tolist()):
        family = families.get(int(services[row]))
        kin[number] = family is not None
        donors[number] = _nearest(np.array(family) if family else ordered, expected, float(values[row]))
    return Heirs(rows, donors, kin)


def _nearest(ordered: Ints, expected: Floats, value: float) -> int:
    """Return the row whose expected value is nearest; `ordered` are rows by their expected value."""
    place = int(np.searchsorted(expected[ordered], value))
    near = ordered[max(place - 1, 0) : place + 1]
    return int(near[np.abs(expected[near] - value).argmin()])
