"""History as a model needs to see it: without holes and spikes, and knowing where its present run began."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from presagio.forecasters.base import Bools, Floats, Ints

_SUDDEN = 8.0
"""In usual steps: a fall by so much at once may be a reset."""

_DEEP = 0.3
"""Share of the whole range of the history that a reset falls by at least: less is noise on the way."""


@dataclass(frozen=True)
class History:
    """n series at t regular times. values[n, t] has no hole after `first[n]`, where the series begins, and no spikes.

    came[n, t] still has the spikes: what a forecast is compared with. newest[n] is the last sample. run[n, t]
    is the index at which the run that each sample belongs to began: memory falls when a process starts anew, a disk
    when it is cleaned, and what was before has another slope.
    """

    values: Floats
    came: Floats
    first: Ints
    newest: Floats
    run: Ints

    @property
    def length(self) -> int:
        """How many times there are."""
        return int(self.values.shape[1])

    def rows(self, rows: Ints | Bools) -> History:
        """Return some of the series."""
        return History(self.values[rows], self.came[rows], self.first[rows], self.newest[rows], self.run[rows])


def prepare(raw: Floats) -> History:
    """Return raw[n, t] prepared; a hole is bridged by a straight line, one at the end by the last sample."""
    present = np.isfinite(raw)
    first = np.where(present.any(axis=1), present.argmax(axis=1), raw.shape[1])
    filled = _bridged(raw, present)
    values = _without_spikes(filled)
    return History(values, filled, first, filled[:, -1], _runs(values, first))


def _bridged(raw: Floats, present: Bools) -> Floats:
    """Interpolate between the samples on both sides of each hole; before the first sample there is NaN."""
    times = np.arange(raw.shape[1])
    before = np.maximum.accumulate(np.where(present, times, -1), axis=1)
    after = np.minimum.accumulate(np.where(present, times, raw.shape[1])[:, ::-1], axis=1)[:, ::-1]
    left = np.take_along_axis(raw, np.maximum(before, 0), axis=1)
    right = np.take_along_axis(raw, np.minimum(after, raw.shape[1] - 1), axis=1)
    share = np.where(after > before, (times - before) / np.maximum(after - before, 1), 0.0)
    right = np.where(after < raw.shape[1], right, left)
    return np.where(present, raw, np.where(before < 0, np.nan, left + share * (right - left)))


def _without_spikes(values: Floats) -> Floats:
    """Replace each sample by the median of it and its neighbours: one wild sample tilts no slope."""
    if values.shape[1] < 3:
        return values
    one, two, three = values[:, :-2], values[:, 1:-1], values[:, 2:]
    median = np.maximum(np.minimum(one, two), np.minimum(np.maximum(one, two), three))
    # a first sample has no neighbour before it
    inner = np.where(np.isnan(one), two, median)
    return np.concatenate([values[:, :1], inner, values[:, -1:]], axis=1)


def _runs(values: Floats, first: Ints) -> Ints:
    """Return where the run of each sample began: at the beginning, or after the last sudden and deep fall."""
    count = values.shape[1]
    times = np.broadcast_to(np.arange(count), values.shape)
    start = np.minimum(first, max(count - 1, 0))[:, None]
    if count < 3:
        return np.broadcast_to(start, values.shape).copy()
    step = np.diff(values, axis=1, prepend=np.nan)
    with np.errstate(invalid="ignore"):
        usual = _nanmean(np.abs(step))[:, None]
        span = (np.fmax.reduce(values, axis=1) - np.fmin.reduce(values, axis=1))[:, None]
        # within three steps: despiking spreads a fall over two
        fall = values - np.roll(values, 3, axis=1)
        fall[:, :3] = 0.0
        reset = (fall < -_SUDDEN * usual) & (fall < -_DEEP * span)
    return np.maximum(np.maximum.accumulate(np.where(reset, times, -1), axis=1), start)


def _nanmean(values: Floats) -> Floats:
    known = ~np.isnan(values)
    mean: Floats = np.where(known, values, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return mean
