"""Presagio itself: every sample through the exporter's engine, point by point, all settings as they come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from detection.data import Series, by_interval
from presagio.detectors.base import Detector, DetectorParams, Floats, Ints
from presagio.detectors.calendar import Calendar
from presagio.detectors.together import Combiner
from presagio.exporter.config import Signal, TogetherConfig
from presagio.exporter.engine import Engine
from presagio.exporter.signals import Key
from presagio.exporter.wiring import detector
from presagio.toolkit import plugins

WEEK = 7 * 86400.0
DROPPED = 0.05
_REPORTS = 200

Array = npt.NDArray[np.floating[Any]]
Progress = Callable[[float], None]


@dataclass(frozen=True)
class Streamed:
    """What the engine said of each signal; arrays [t, row], NaN where it said nothing.

    surprise: the score with the sign of the deviation, as combiners are told it.
    """

    score: Array
    surprise: Array
    confidence: Array


def presagio(series: Sequence[Series], progress: Progress, restart: bool = False) -> list[Floats]:
    """Return score[t] of each series. `restart`: the state is saved and restored in the middle of the stream."""
    whole, done = sum(one.values.size for one in series), 0
    scores: dict[str, Floats] = {}
    for group in by_interval(series).values():
        before, size = done, sum(one.values.size for one in group)
        done += size
        found = stepped(group, restart, lambda part, b=before, s=size: progress((b + s * part) / whole))  # type: ignore[misc]
        scores |= dict(zip((one.name for one in group), found, strict=True))
    return [scores[one.name] for one in series]


def dropped(series: Sequence[Series], seed: int = 0) -> list[Series]:
    """Return the series without one scrape in twenty: all signals of the service are missing at that moment."""
    rng = np.random.default_rng(seed)
    lost = (rng.random(len(one.times)) < DROPPED for one in series)
    return [
        replace(one, values=np.where(gone[:, None], np.nan, one.values))
        for one, gone in zip(series, lost, strict=True)
    ]


def combined(said: Streamed, width: int, begin: float, interval: float, restart: bool) -> Floats:
    """Return the scores [t, n] of services of `width` signals each: what the default combiner makes of them."""
    if width == 1:
        return said.score.astype(np.float64)
    shape = (len(said.score), -1, width)
    scores, surprise, confidence = (part.reshape(shape) for part in (said.score, said.surprise, said.confidence))
    services, out = np.arange(scores.shape[1]), np.full(scores.shape[:2], np.nan)
    combiner = _combiner(len(services), width)
    for step in range(len(scores)):
        if restart and step == len(scores) // 2:
            combiner = _recombined(combiner, len(services), width)
        moment = (scores[step], confidence[step], surprise[step])
        out[step] = combiner.step(begin + interval * step, *(part.astype(np.float64) for part in moment)).score
    return out


def _combiner(services: int, signals: int) -> Combiner:
    config = TogetherConfig()
    kind = plugins.load(plugins.COMBINERS, config.combiner)
    made: Combiner = kind(kind.Params.model_validate(config.params))
    made.reindex(np.full(services, -1), np.full(signals, -1))
    return made


def _recombined(combiner: Combiner, services: int, signals: int) -> Combiner:
    new = _combiner(services, signals)
    new.restore({name: array.copy() for name, array in combiner.state().items()})
    return new


def worst(scores: Floats) -> Floats:
    """Return the highest of scores[t, k] at each moment; NaN where there is none."""
    highest: Floats = np.where(np.isnan(scores), -1.0, scores).max(axis=1)
    return np.where(highest < 0, np.nan, highest)


def stepped(group: Sequence[Series], restart: bool, progress: Progress) -> list[Floats]:
    """Step all signals of series of one interval as the rows of one engine, and return score[t] of each series.

    Series of other years are moved by whole weeks until they begin within a week of each other: the hour and the day
    of the week stay true, and no row waits for another.
    """
    interval, begin = group[0].interval, min(float(one.times[0]) for one in group)
    offsets = [round((one.times[0] - begin) % WEEK / interval) for one in group]
    said = _step_all(_matrix(group, offsets), begin, interval, restart, progress)
    scores = combined(said, group[0].values.shape[1], begin, interval, restart)
    places = enumerate(zip(offsets, group, strict=True))
    return [scores[offset : offset + len(one.times), column] for column, (offset, one) in places]


def _matrix(group: Sequence[Series], offsets: Sequence[int]) -> Floats:
    """Return values[t, row] of all signals of all series; NaN before a series begins and after it ends."""
    length = max(offset + len(one.times) for one, offset in zip(group, offsets, strict=True))
    parts = (
        np.pad(one.values, ((offset, length - offset - len(one.times)), (0, 0)), constant_values=np.nan)
        for one, offset in zip(group, offsets, strict=True)
    )
    return np.concatenate(list(parts), axis=1)


def _step_all(values: Floats, begin: float, interval: float, restart: bool, progress: Progress) -> Streamed:
    """Return what is said of each row at each moment; in half the precision, for it is much."""
    signal = Signal(name="benchmark", query="benchmark")
    engine, columns = Engine(signal, Alone(detector(signal, Calendar()))), np.zeros(0, dtype=np.int64)
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
    return Streamed(*out)


class Alone:
    """A detector whose new rows inherit nothing: here other rows are other companies' series, not peers."""

    Params: ClassVar[type[DetectorParams]] = DetectorParams

    def __init__(self, detector: Detector) -> None:
        self.detector = detector
        self.step, self.reindex = detector.step, detector.reindex
        self.state, self.restore = detector.state, detector.restore


def _first(values: Floats) -> Ints:
    present = ~np.isnan(values)
    first: Ints = np.where(present.any(axis=0), present.argmax(axis=0), -1)
    return first


def _key(column: int) -> Key:
    # Each row is a service of its own: the rows are unrelated series, of which in life each signal has its engine.
    return Key(f"benchmark/{column}", "benchmark", ())


def _restarted(engine: Engine, signal: Signal) -> Engine:
    new = Engine(signal, Alone(detector(signal, Calendar())))
    new.restore(engine.time, engine.keys, {name: array.copy() for name, array in engine.state().items()})
    return new
