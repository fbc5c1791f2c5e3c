"""What the combiners have in common that learn which moments are usual.

The model says how unlike the usual a moment is; the tail of the service's own past (tail.py) makes a chance of it.
The chance by the signals alone is asked beside it, so that no fault of one signal is missed: the harmonic mean of
both counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from presagio.detectors.arrays import Arrays
from presagio.detectors.base import Floats, Ints, State, score_of
from presagio.detectors.tail import Tail
from presagio.detectors.together import (
    Bools,
    Combined,
    CombinerParams,
    confidence_of,
    harmonic,
    shares,
    tempered,
)
from presagio.detectors.usual_moments import Model, Sample
from presagio.toolkit.units import Duration

_MOST_SETS = 32
_MEMORY = 2000.0
_REMARKABLE = 2.0
"""In units of the spread: below it the model blames nobody, which costs time."""

_SUSPECT, _ANOMALOUS, _LEAST_WEIGHT = 0.3, 0.6, 0.01


class LearnedParams(CombinerParams):
    """Parameters of the combiners that learn."""

    samples: int = Field(2000, ge=200, le=20_000, description="usual moments kept for each set of signals")
    memory: Duration = Field(86400.0, gt=0, description="a moment of so long ago is kept with a third of the chance")
    refit_every: Duration = Field(3600.0, gt=0, description="time between two fits of the model")
    warm_up: int = Field(200, ge=30, description="moments of a service before the model counts")


class Residuals(Arrays):
    """Level and spread of what the model says of each service, and how often it was asked."""

    fields: ClassVar[tuple[str, ...]] = ("count", "level", "spread")
    count: Floats
    level: Floats
    spread: Floats

    def of(self, raw: Floats) -> Floats:
        """Return raw[n] from the level, in units of the spread; 0 where nothing is known."""
        known = self.count > 0
        return np.where(known, (raw - self.level) / np.maximum(self.spread, 1e-9), 0.0)

    def learn(self, raw: Floats, weight: Floats) -> None:
        """Take in raw[n]; NaN teaches nothing."""
        seen = ~np.isnan(raw)
        rate = np.where(seen, weight, 0.0) / np.minimum(self.count + 1, _MEMORY)
        residual = np.where(seen, raw - self.level, 0.0)
        self.level = self.level + rate * residual
        self.spread = self.spread + rate * (np.abs(residual) - self.spread)
        self.count = self.count + seen


class Learned:
    """n services of k signals. About 100 bytes a service; for each set of signals a sample of 16 bytes a number."""

    Params: ClassVar[type[CombinerParams]] = LearnedParams
    version: ClassVar[float]

    def __init__(self, params: LearnedParams) -> None:
        self.params = params
        self.residuals, self.tail = Residuals(), Tail()
        self.samples: list[Sample] = []

    def fit(self, moments: Floats) -> Model:
        """Return a model of moments[m, k]."""
        raise NotImplementedError

    def step(self, time: float, scores: Floats, confidence: Floats, surprise: Floats) -> Combined:
        """Combine the signals at `time`, then learn from them."""
        known, single = confidence_of(scores, confidence), harmonic(scores)
        moments = deviations(surprise)
        present = ~np.isnan(single)
        sets = list(self._sets(time, ~np.isnan(confidence) & present[:, None]))
        raw = np.full(len(scores), np.nan)
        for sample, rows in sets:
            raw[rows] = self._raw(time, sample, moments[np.ix_(rows, sample.columns)])
        residual = self.residuals.of(raw)
        parts = self._parts(sets, moments, residual)
        joint = self._joint(raw, residual)
        score = np.where(np.isnan(joint), single, harmonic(np.stack([single, joint], axis=1)))
        contribution = _blended(shares(scores), parts, single, joint)
        self._learn(raw, residual, score, present)
        for sample, rows in sets:
            usual = rows[score[rows] < _SUSPECT]
            sample.add(time, moments[np.ix_(usual, sample.columns)])
        return Combined(tempered(score, known), contribution, known)

    def _sets(self, time: float, has: Bools) -> Iterator[tuple[Sample, Ints]]:
        """Yield the rows that have the same signals, and their sample; those of too many sets have none."""
        found, inverse = np.unique(has, axis=0, return_inverse=True)
        for number, one in enumerate(found):
            columns = np.flatnonzero(one)
            if len(columns) > 1:  # one signal alone has nothing to be together with
                sample = self._sample(columns)
                sample.used_at = time
                yield sample, np.flatnonzero(inverse == number)

    def _sample(self, columns: Ints) -> Sample:
        for sample in self.samples:
            if np.array_equal(sample.columns, columns):
                return sample
        if len(self.samples) >= _MOST_SETS:
            self.samples.remove(min(self.samples, key=lambda one: one.used_at))
        self.samples.append(Sample(columns, self.params.samples, self.params.memory))
        return self.samples[-1]

    def _raw(self, time: float, sample: Sample, moments: Floats) -> Floats:
        """Return what the model says of moments of one set, NaN while there is none."""
        if sample.is_due(time, self.params.refit_every):
            sample.take(time)
        if sample.model is None and len(sample.fitted):
            sample.model = self.fit(sample.fitted)
        return np.full(len(moments), np.nan) if sample.model is None else sample.model.raw(moments)

    def _parts(self, sets: Sequence[tuple[Sample, Ints]], moments: Floats, residual: Floats) -> Floats:
        """Return each signal's part where the model has something to say, NaN elsewhere."""
        parts = np.full(moments.shape, np.nan)
        for sample, rows in sets:
            some = rows[residual[rows] >= _REMARKABLE]
            if sample.model is not None and len(some):
                place = np.ix_(some, sample.columns)
                parts[place] = sample.model.parts(moments[place])
        return parts

    def _joint(self, raw: Floats, residual: Floats) -> Floats:
        """Return the model's score, NaN where it does not count yet."""
        p = np.where(residual > 0, self.tail.chance(np.maximum(residual, 0.0)), 1.0)
        counts = ~np.isnan(raw) & (self.residuals.count >= self.params.warm_up)
        return np.where(counts, score_of(p), np.nan)

    def _learn(self, raw: Floats, residual: Floats, score: Floats, present: Bools) -> None:
        seen = present & ~np.isnan(raw)
        # Once in a thousand is still usual: left out, the tail would look shorter than it is.
        weight = np.clip((_ANOMALOUS - score) / (_ANOMALOUS - _SUSPECT), _LEAST_WEIGHT, 1.0)
        # The first residuals are in units of a spread that is not known yet.
        settled = seen & (self.residuals.count >= self.params.warm_up / 2)
        self.tail.learn(np.where(settled, residual, np.nan), np.where(settled, weight, 0.0))
        self.residuals.learn(np.where(seen, raw, np.nan), weight)

    def reindex(self, rows: Ints, columns: Ints) -> None:
        """Follow churn; the sample of a set of signals goes with any of them."""
        self.residuals.reindex(rows)
        self.tail.reindex(rows)
        moved = (sample.moved(columns) for sample in self.samples)
        self.samples = [sample for sample in moved if sample is not None]

    def state(self) -> State:
        """Return all that was learnt; models are made again from the samples that they were fitted on."""
        samples = {
            f"sample{number}_{name}": array
            for number, sample in enumerate(self.samples)
            for name, array in sample.state().items()
        }
        sizes = np.array([self.version, len(self.samples)])
        return {"version": sizes, **self.residuals.state("residuals_"), **self.tail.state("tail_"), **samples}

    def restore(self, state: State) -> None:
        """Take what `state` returned. Raises ValueError if it is of another combiner or version."""
        version, count = np.array(state.get("version", [0.0, 0.0]), dtype=np.float64).tolist()
        if version != self.version:
            raise ValueError(f"state of version {self.version:g} expected, got version {version:g}")
        self.residuals.restore(state, "residuals_")
        self.tail.restore(state, "tail_")
        self.samples = [self._restored(state, f"sample{number}_") for number in range(int(count))]

    def _restored(self, state: State, prefix: str) -> Sample:
        columns = np.array(state[f"{prefix}columns"], dtype=np.int64)
        sample = Sample(columns, self.params.samples, self.params.memory)
        sample.restore({name.removeprefix(prefix): state[name] for name in state if name.startswith(prefix)})
        return sample


def deviations(surprise: Floats) -> Floats:
    """Return signed scores as deviations of a bell curve's kind, `sqrt(-2 ln p)`; a missing one as none at all."""
    there = np.nan_to_num(surprise)
    deviation: Floats = np.sign(there) * np.sqrt(20.0 * np.log(10.0) * np.abs(there))
    return deviation


def _blended(alone: Floats, parts: Floats, single: Floats, joint: Floats) -> Floats:
    """Return contributions: those of the signals alone and of the model, by how much either has to say."""
    there = ~np.isnan(alone) & ~np.isnan(parts)
    of_model = shares(np.where(there, parts, np.nan))
    odds = 10.0 ** (10.0 * np.nan_to_num(np.stack([single, joint], axis=1)))
    weight = np.where(np.isnan(joint) | ~there.any(axis=1), 0.0, odds[:, 1] / odds.sum(axis=1))[:, None]
    return np.where(np.isnan(alone), np.nan, (1 - weight) * alone + weight * np.nan_to_num(of_model))
