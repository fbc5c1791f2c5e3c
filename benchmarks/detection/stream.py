"""Presagio itself: every sample through the exporter's engine, point by point, all settings as they come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from detection.data import Series, by_interval
from presagio.detectors.base import Floats
from presagio.exporter.config import Signal
from presagio.exporter.engine import Engine
from presagio.exporter.signals import Key
from presagio.exporter.wiring import detector

WEEK = 7 * 86400.0
DROPPED = 0.05
_REPORTS = 200

Progress = Callable[[float], None]


@dataclass(frozen=True)
class Streamed:
    """What the engine said of each signal of a series; arrays [t, k], NaN where it said nothing.

    surprise: the score with the sign of the deviation, as combiners are told it.
    """

    score: Floats
    surprise: Floats
    confidence: Floats


def presagio(series: Sequence[Series], progress: Progress, restart: bool = False) -> list[Floats]:
    """Return score[t] of each series. `restart`: the state is saved and restored in the middle of the stream."""
    whole, done = sum(one.values.size for one in series), 0.0
    scores: dict[str, Floats] = {}
    for interval, group in by_interval(series).items():
        share = sum(one.values.size for one in group) / whole
        streamed = streams(group, interval, restart, lambda part, b=done, s=share: progress(b + s * part))  # type: ignore[misc]
        scores |= {one.name: combined(one, signals) for one, signals in zip(group, streamed, strict=True)}
        done += share
    return [scores[one.name] for one in series]


def dropped(series: Sequence[Series], seed: int = 0) -> list[Series]:
    """Return the series without one scrape in twenty: all signals of the service are missing at that moment."""
    rng = np.random.default_rng(seed)
    lost = (rng.random(len(one.times)) < DROPPED for one in series)
    return [
        replace(one, values=np.where(gone[:, None], np.nan, one.values))
        for one, gone in zip(series, lost, strict=True)
    ]


def combined(series: Series, signals: Streamed) -> Floats:
    """Return the score[t] of a service from those of its signals: the worst of them."""
    del series
    return worst(signals.score)


def worst(scores: Floats) -> Floats:
    """Return the highest of scores[t, k] at each moment; NaN where there is none."""
    highest: Floats = np.where(np.isnan(scores), -1.0, scores).max(axis=1)
    return np.where(highest < 0, np.nan, highest)


def streams(group: Sequence[Series], interval: float, restart: bool, progress: Progress) -> list[Streamed]:
    """Step all signals of series of one interval as the rows of one engine.

    Series of other years are moved by whole weeks until they begin within a week of each other: the hour and the day
    of the week stay true, and no row waits for another.
    """
    begin = min(one.times[0] for one in group)
    offsets = [round((one.times[0] - begin) % WEEK / interval) for one in group]
    values, slots = _matrix(group, offsets)
    scores, surprise, confidence = _step_all(values, begin, interval, restart, progress)
    return [Streamed(scores[slot], surprise[slot], confidence[slot]) for slot in slots]


def _matrix(group: Sequence[Series], offsets: Sequence[int]) -> tuple[Floats, list[Any]]:
    """Return values[t, row] of all signals, and where each series stands in it."""
    ends = [offset + len(one.times) for one, offset in zip(group, offsets, strict=True)]
    values, slots, row = np.full((max(ends), sum(one.values.shape[1] for one in group)), np.nan), [], 0
    for one, offset, end in zip(group, offsets, ends, strict=True):
        slots.append((slice(offset, end), slice(row, row + one.values.shape[1])))
        values[slots[-1]] = one.values
        row += one.values.shape[1]
    return values, slots


def _step_all(values: Floats, begin: float, interval: float, restart: bool, progress: Progress) -> list[Any]:
    """Return score, surprise and confidence [t, row]; in half the precision, for they are many."""
    signal = Signal(name="benchmark", query="benchmark")
    engine, columns = Engine(signal, detector(signal)), np.zeros(0, dtype=np.int64)
    out = [np.full(values.shape, np.nan, dtype=np.float32) for _ in range(3)]
    first, present = _first(values), ~np.isnan(values)
    for step, now in enumerate(present):
        time = begin + interval * step
        if (new := np.flatnonzero(first == step)).size:  # a row is made when its series is first seen
            engine.rows([_key(column) for column in new.tolist()], len(new))
            columns = np.append(columns, new)
        if restart and step == len(values) // 2:
            engine = _restarted(engine, signal)
        rows = np.flatnonzero(now[columns])
        said = engine.step(time, rows, values[step, columns[rows]])
        below = np.isnan(said.value) | (said.value < said.expected)
        for kept, given in zip(
            out, (said.score, np.where(below, -said.score, said.score), said.confidence), strict=True
        ):
            kept[step, columns] = given
        if step % (len(values) // _REPORTS + 1) == 0:
            progress(step / len(values))
    return out


def _first(values: Floats) -> Any:
    present = ~np.isnan(values)
    return np.where(present.any(axis=0), present.argmax(axis=0), -1)


def _key(column: int) -> Key:
    # Each row is a service of its own: the rows are unrelated series, of which in life each signal has its engine.
    return Key(f"benchmark/{column}", "benchmark", ())


def _restarted(engine: Engine, signal: Signal) -> Engine:
    new = Engine(signal, detector(signal))
    new.restore(engine.time, engine.keys, {name: array.copy() for name, array in engine.state().items()})
    return new
