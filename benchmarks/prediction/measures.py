"""What a prediction is worth: how many failures it catches at a price, how early, how far off a remaining life is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from presagio.detectors.base import Bools, Floats, Ints
from presagio.exporter.quality import average_precision, brier_skill
from presagio.forecasters.base import Examples

CAP = 125.0
"""Cycles beyond which a remaining life is not told apart, as all who publish on C-MAPSS have it."""

SHARES = {"0_1_percent": 0.001, "1_percent": 0.01}


@dataclass(frozen=True)
class Lives:
    """When each service failed that did: begins[f], Unix seconds, of service groups[f]."""

    groups: Ints
    begins: Floats


def probabilities(failed: Bools, said: Floats, weights: Floats) -> dict[str, float]:
    """Return how good probabilities [m] are: average precision, beside the base rate, and Brier skill."""
    return {
        "average_precision": average_precision(failed, said, weights),
        "base_rate": float(np.average(failed, weights=weights)),
        "brier_skill": brier_skill(failed, said, weights),
    }


def caught(found: Examples, said: Floats, lives: Lives, share: float) -> tuple[float, float]:
    """Return the share of failures caught, and the median lead in seconds, when so many healthy services are flagged.

    A service is flagged if any moment of it is above the threshold, which at most `share` of those that never failed
    are. A failure is caught if a moment within the horizon before it is. The lead is from the moment at which the
    alarm had lasted for two samples in a row, of all before the failure; NaN without one.
    """
    limit = threshold(found, said, lives, share)
    flagged = said > limit
    numbers = np.unique(found.groups[found.failed])
    if not len(numbers):
        return math.nan, math.nan
    hits = np.isin(numbers, found.groups[found.failed & flagged])
    leads = [lead for number in numbers.tolist() if (lead := _lead(found, flagged, lives, number)) > 0]
    return float(hits.mean()), float(np.median(leads)) if leads else math.nan


def threshold(found: Examples, said: Floats, lives: Lives, share: float) -> float:
    """Return the lowest threshold that at most `share` of the services that never failed are above of."""
    healthy = ~np.isin(found.groups, lives.groups)
    _, number = np.unique(found.groups[healthy], return_inverse=True)
    if not len(number):
        return math.nan
    highest = np.full(number.max() + 1, -np.inf)
    np.maximum.at(highest, number, said[healthy])
    highest = np.sort(highest)[::-1]
    return float(highest[int(share * len(highest))])


def at_moments(found: Examples, said: Floats, share: float) -> float:
    """Return the share of failures caught when so many of the moments that no failure followed are flagged."""
    quiet = np.sort(said[~found.failed])[::-1]
    numbers = np.unique(found.groups[found.failed])
    if not len(quiet) or not len(numbers):
        return math.nan
    flagged = said > quiet[int(share * len(quiet))]
    return float(np.isin(numbers, found.groups[found.failed & flagged]).mean())


def rmse(left: Floats, said: Floats) -> float:
    """Return the root mean squared error of remaining lives, both no more than CAP."""
    apart = np.minimum(left, CAP) - np.minimum(said, CAP)
    return float(np.sqrt(np.mean(apart * apart)))


def expected_life(failing: Mapping[float, Floats]) -> Floats:
    """Return the expected remaining life [m], at most CAP, from the probability to fail within each horizon.

    It is the area below the curve of survival (Klein and Moeschberger 2003, 2.4), straight between the horizons and
    never rising.
    """
    horizons = np.array([0.0, *sorted(failing)])
    left = np.stack([np.ones(len(next(iter(failing.values())))), *(1.0 - failing[one] for one in sorted(failing))])
    left = np.minimum.accumulate(left, axis=0)
    grid = np.append(horizons[horizons < CAP], CAP)
    survival = np.stack([np.interp(grid, horizons, column) for column in left.T], axis=1)
    area: Floats = (np.diff(grid)[:, None] * (survival[1:] + survival[:-1]) / 2).sum(axis=0)
    return area


def micro(failed: Bools, said: Floats) -> float:
    """Return the average precision over all cells of failed[m, c], each counting once."""
    return average_precision(failed.ravel(), said.ravel(), np.ones(failed.size))


def macro(failed: Bools, said: Floats) -> float:
    """Return the mean of the average precision of each column of failed[m, c] that is ever true."""
    there = np.flatnonzero(failed.any(axis=0))
    ones = np.ones(len(failed))
    found = [average_precision(failed[:, one], said[:, one], ones) for one in there.tolist()]
    return float(np.mean(found)) if found else math.nan


def _lead(found: Examples, flagged: Bools, lives: Lives, number: int) -> float:
    begin = float(lives.begins[lives.groups == number].min())
    rows = np.flatnonzero((found.groups == number) & (found.times < begin))
    rows = rows[np.argsort(found.times[rows], kind="stable")]
    lasted = flagged[rows][1:] & flagged[rows][:-1]
    return begin - float(found.times[rows][1:][lasted.argmax()]) if lasted.any() else 0.0
