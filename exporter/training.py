"""Examples of failures from the past: no example knows what came after it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from presagio.detectors.base import Bools, Floats, Ints
from presagio.exporter.episodes import Episodes, labels
from presagio.exporter.features import Featuriser
from presagio.exporter.panel import Panel
from presagio.forecasters.base import Examples


@dataclass(frozen=True)
class Moments:
    """Moments that may be learnt from: services[m] and moments[m] are indices of a panel; failures: -1 for none."""

    services: Ints
    moments: Ints
    failed: Bools
    failures: Ints
    weights: Floats

    def rows(self, rows: Ints | Bools) -> Moments:
        """Return some of them."""
        return Moments(
            self.services[rows], self.moments[rows], self.failed[rows], self.failures[rows], self.weights[rows]
        )


def labelled(panel: Panel, episodes: Episodes, horizon: float, gap: float) -> Moments:
    """Return all moments of a panel at which it is known whether the failure began within the horizon (seconds)."""
    parts: list[Moments] = []
    first = 0
    for row, service in enumerate(panel.services):
        own = episodes.of(service)
        there = ~np.isnan(panel.values[row]).all(axis=1)
        alive_to = float(panel.times[there][-1]) if there.any() else -np.inf
        # a service that is still there now is not censored by its last sample, but by what is known at all
        alive_to = np.inf if alive_to >= panel.times[-1] - panel.step else alive_to
        found = labels(own, panel.times, horizon, gap, alive_to)
        at = np.flatnonzero(there & (found.positive | found.negative))
        failures = np.where(found.failure[at] >= 0, found.failure[at] + first, -1)
        parts.append(Moments(np.full(len(at), row), at, found.positive[at], failures, np.ones(len(at))))
        first += len(own)
    return _joined(parts)


def sampled(moments: Moments, most: int, rng: np.random.Generator) -> Moments:
    """Return at most about `most` moments: all before a failure, and of the quiet ones so many at random.

    Quiet ones that stay weigh as many as they stand for. Positive ones beyond half of `most` are thinned, too.
    """
    keep = np.zeros(len(moments.failed), dtype=np.bool_)
    weights = moments.weights.copy()
    room = most
    for which, share in ((moments.failed, most // 2), (~moments.failed, None)):
        rows = np.flatnonzero(which)
        room_here = room if share is None else share
        chosen = rows if len(rows) <= room_here else np.sort(rng.choice(rows, room_here, replace=False))
        keep[chosen] = True
        weights[chosen] *= len(rows) / max(len(chosen), 1)
        room -= len(chosen)
    return Moments(
        moments.services[keep], moments.moments[keep], moments.failed[keep], moments.failures[keep], weights[keep]
    )


def examples(panel: Panel, moments: Moments, featuriser: Featuriser, horizon: float) -> Examples:
    """Return the examples of some moments of a panel, in the order of time."""
    ordered = moments.rows(np.argsort(panel.times[moments.moments], kind="stable"))
    inputs = featuriser.inputs(panel, ordered.services, ordered.moments, horizon)
    times = panel.times[ordered.moments]
    return Examples(inputs, ordered.failed, times, ordered.services, ordered.failures, ordered.weights)


def _joined(parts: list[Moments]) -> Moments:
    def whole(name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
        return np.concatenate([getattr(part, name) for part in parts])

    if not parts:
        nothing = np.zeros(0, dtype=np.int64)
        return Moments(nothing, nothing, np.zeros(0, dtype=np.bool_), nothing, np.zeros(0))
    fields = (whole(name) for name in ("services", "moments", "failed", "failures", "weights"))
    return Moments(*fields)  # type: ignore[arg-type]  # concatenate keeps each field's type
