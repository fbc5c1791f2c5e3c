"""Learning one failure within one horizon: a candidate, its quality on the newest time, and whether it takes over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from presagio.detectors.base import Floats
from presagio.exporter.drift import Reference, reference
from presagio.exporter.episodes import Episodes
from presagio.exporter.failure_config import Failure
from presagio.exporter.features import KIND, Featuriser
from presagio.exporter.panel import Panel
from presagio.exporter.quality import Quality, quality
from presagio.exporter.training import examples, labelled, sampled
from presagio.forecasters.base import Examples, FailurePredictor, Inputs, Progress
from presagio.forecasters.splitting import border, split
from presagio.toolkit import plugins

HELD_BACK = 0.25
"""Share of the newest failures that a model never learns from: its quality is told there."""

_EXPLAINED = 2_000
_DAY = 86_400.0


@dataclass(frozen=True)
class Lesson:
    """What is learnt from, and what is held back; begins[i] is when failure i began, Unix seconds."""

    earlier: Examples
    later: Examples
    begins: Floats


@dataclass(frozen=True)
class Candidate:
    """A predictor that has learnt, and how good it is on what was held back."""

    predictor: FailurePredictor
    probability: Floats
    quality: Quality
    reference: Reference


def lesson(
    panel: Panel, episodes: Episodes, featuriser: Featuriser, failure: Failure, horizon: float, most: int,
    rng: np.random.Generator,
) -> Lesson:  # fmt: skip
    """Return the examples of a failure within a horizon (seconds), at most about `most`, split by time."""
    moments = sampled(labelled(panel, episodes, horizon, failure.gap), most, rng)
    found = examples(panel, moments, featuriser, horizon)
    earlier, later = split(found, horizon, border(found, HELD_BACK))
    begins = [episodes.of(service).begins for service in panel.services]
    return Lesson(earlier, later, np.concatenate([*begins, np.zeros(0)]))


def new_predictor(name: str, params: Mapping[str, Any], seed: int = 0) -> FailurePredictor:
    """Return a predictor that has learnt nothing. Raises PluginError if it is not installed."""
    kind = plugins.load(plugins.PREDICTORS, name)
    made: FailurePredictor = kind(kind.Params.model_validate(params), seed)
    return made


def candidate(found: Lesson, predictor: FailurePredictor, progress: Progress, rng: np.random.Generator) -> Candidate:
    """Return what a predictor learns. Raises TooFewFailuresError."""
    return judged(found, predictor.fit(found.earlier, progress), rng)


def judged(found: Lesson, fitted: FailurePredictor, rng: np.random.Generator) -> Candidate:
    """Return a predictor that has learnt the earlier part with its quality on the later one."""
    probability = fitted.predict(found.later.inputs)
    return Candidate(fitted, probability, quality(found.later, probability, found.begins), _seen(found, fitted, rng))


def no_worse(new: Floats, old: Floats, later: Examples) -> bool:
    """Return whether new probabilities are as good as the old ones on the same later time.

    Worse is a higher Brier score by more than one standard error of the difference. Moments of one service and day
    are one piece of evidence, for what fails is seen in many of them (cluster-robust error: Cameron and Miller 2015).
    """
    truth = later.failed.astype(np.float64)
    base = float(np.average(truth, weights=later.weights)) if len(later) else 0.0
    each = later.weights * (_squared(new, truth, base) - _squared(old, truth, base))
    _, cluster = np.unique(np.stack([later.groups, later.times // _DAY]), axis=1, return_inverse=True)
    sums = np.bincount(cluster.reshape(-1), weights=each)
    return bool(sums.sum() <= np.sqrt((sums * sums).sum()))


def recoded(inputs: Inputs, own: tuple[str, ...], theirs: tuple[str, ...]) -> Inputs:
    """Return inputs whose kinds of service are numbered as in `theirs`; NaN for those that are not among them."""
    if KIND not in inputs.names or own == theirs:
        return inputs
    codes = np.array([theirs.index(kind) if kind in theirs else np.nan for kind in own] + [np.nan])
    features = inputs.features.copy()
    column = features[:, inputs.names.index(KIND)]
    features[:, inputs.names.index(KIND)] = codes[np.nan_to_num(column, nan=-1).astype(np.int64)]
    return Inputs(features, inputs.recent, inputs.names, inputs.channels, inputs.categories)


def _squared(probability: Floats, truth: Floats, base: float) -> Floats:
    return (np.where(np.isnan(probability), base, probability) - truth) ** 2


def _seen(found: Lesson, fitted: FailurePredictor, rng: np.random.Generator) -> Reference:
    """Return how the inputs are distributed, and which of them matter: by what they move on some of them."""
    inputs = found.earlier.inputs
    some = np.sort(rng.choice(len(inputs), min(_EXPLAINED, len(inputs)), replace=False))
    moved = np.abs(fitted.explain(inputs.rows(some))).mean(axis=0) if len(some) else np.zeros(len(inputs.names))
    clocks = np.array([name.startswith("time of ") for name in inputs.names], dtype=np.bool_)
    return reference(inputs.features, np.where(clocks, 0.0, moved))  # the time of day is not what drifts
