"""How likely a failure is, for all services at one moment: probability, confidence and reasons for each horizon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from presagio.detectors.base import Floats, Ints
from presagio.exporter.drift import Reference, stability_index
from presagio.exporter.explanation import Reason, reasons
from presagio.exporter.features import Feature, Featuriser
from presagio.exporter.panel import Panel
from presagio.forecasters.base import FailurePredictor, Inputs

_UNPROVEN = 0.5
"""Evidence of a forecast that was never held against a failure; a model needs eight failures for as much."""

_HALF = 8
_SLIGHT, _CHANGED = 0.1, 0.25
"""Stability indices of a slightly and of a changed population."""

_SEEN = 2
_SAMPLED = 2_000
_HOUR = 3600.0


@dataclass(frozen=True, eq=False)
class InUse:
    """What predicts one failure within one horizon (seconds): a model, or the forecast, which needs none.

    failures: how many it learnt from; reference: what its inputs were like then, None for the forecast.
    """

    name: str
    horizon: float
    predictor: FailurePredictor
    featuriser: Featuriser
    failures: int = 0
    reference: Reference | None = None


@dataclass(frozen=True)
class Predictions:
    """Of one failure at `time`: probability[s, h] and confidence[s, h], 0..1, NaN where nothing is said.

    models[h]: what said so. reasons: by index of service and horizon, of those that are likely.
    """

    failure: str
    time: float
    services: tuple[str, ...]
    horizons: tuple[float, ...]
    models: tuple[str, ...]
    probability: Floats
    confidence: Floats
    reasons: Mapping[tuple[int, int], Sequence[Reason]]


def predictions(
    failure: str, panel: Panel, failing: set[str], models: Sequence[InUse], drifts: Sequence[float], above: float
) -> Predictions:
    """Return the predictions at the last moment of a panel; models in the order of their horizons.

    Nothing is said of services that have failed already, or are not there any more. A longer horizon is never less
    likely than a shorter one. Probabilities from `above` on have reasons.
    """
    rows = _there(panel, failing)
    services = tuple(panel.services[row] for row in rows.tolist())
    moments = np.full(len(rows), len(panel.times) - 1)
    said, sure, why = [], [], list[Mapping[int, Sequence[Reason]]]()
    for model, drift in zip(models, drifts, strict=True):
        inputs = model.featuriser.inputs(panel, rows, moments, model.horizon)
        probability = model.predictor.predict(inputs) if len(rows) else np.zeros(0)
        said.append(probability)
        sure.append(confidence(model, inputs, drift))
        why.append(_reasons(model, inputs, probability, above))
    probability = np.stack(said, axis=1) if said else np.zeros((len(rows), 0))
    # what is likely soon is at least as likely later; one NaN says nothing of the others
    rising = np.where(np.isnan(probability), np.nan, np.fmax.accumulate(probability, axis=1))
    found = {(row, h): texts for h, by_row in enumerate(why) for row, texts in by_row.items()}
    return Predictions(
        failure, float(panel.times[-1]) if len(panel.times) else 0.0, services,
        tuple(model.horizon for model in models), tuple(model.name for model in models), rising,
        np.where(np.isnan(rising), np.nan, np.stack(sure, axis=1)) if sure else probability, found,
    )  # fmt: skip


def confidence(model: InUse, inputs: Inputs, drift: float) -> Floats:
    """Return how much is known of each moment [m], 0..1: the share of its inputs that is there, times the evidence.

    The evidence of a model is n / (n + 8) for n failures learnt from; it falls as the inputs drift.
    """
    if model.reference is None:
        return _UNPROVEN * _road(model, inputs)
    there = (~np.isnan(inputs.features)).astype(np.float64) @ model.reference.weights
    steady = 1.0 / (1.0 + max(0.0, np.nan_to_num(drift) - _SLIGHT) / _CHANGED)
    evidence = model.failures / (model.failures + _HALF)
    found: Floats = np.clip(there * evidence * steady, 0.0, 1.0)
    return found


def drift(model: InUse, panel: Panel, rng: np.random.Generator) -> float:
    """Return by how much the last day's inputs differ from those of training: a population stability index."""
    if model.reference is None or not len(panel.times):
        return float("nan")
    hourly = max(1, round(_HOUR / panel.step))
    # as many moments as fit, so that each has all of its past in the panel
    most = max(1, len(panel.times) - model.featuriser.context)
    moments = np.arange(len(panel.times) - 1, max(-1, len(panel.times) - 1 - most), -hourly)
    at, services = (one.reshape(-1) for one in np.meshgrid(moments, np.arange(len(panel.services)), indexing="ij"))
    there = ~np.isnan(panel.values[services, at]).all(axis=1)
    at, services = at[there], services[there]
    chosen = np.sort(rng.choice(len(at), min(_SAMPLED, len(at)), replace=False))
    inputs = model.featuriser.inputs(panel, services[chosen], at[chosen], model.horizon)
    return stability_index(model.reference, inputs.features)


def _there(panel: Panel, failing: set[str]) -> Ints:
    """Return the rows of services that have not failed and were seen in one of the newest steps."""
    seen = (~np.isnan(panel.values[:, -_SEEN:])).sum(axis=(1, 2)) > 0
    well = np.array([service not in failing for service in panel.services], dtype=np.bool_)
    return np.flatnonzero(seen & well)


def _road(model: InUse, inputs: Inputs) -> Floats:
    """Return how much of the longest window is known of what the forecast is made from, 0..1."""
    meanings = model.featuriser.describe()
    limited = [one for one in meanings.values() if one.statistic == "time to limit"]
    if not limited:
        return np.zeros(len(inputs))
    longest = max(limited, key=lambda one: one.window)
    known = next(
        name
        for name, one in meanings.items()
        if (one.statistic, one.signal, one.window) == ("known", longest.signal, longest.window)
    )
    return inputs.features[:, inputs.names.index(known)]


def _reasons(model: InUse, inputs: Inputs, probability: Floats, above: float) -> dict[int, Sequence[Reason]]:
    rows = np.flatnonzero(np.nan_to_num(probability) >= above)
    if not len(rows):
        return {}
    some = inputs.rows(rows)
    moved = model.predictor.explain(some)
    meanings: Mapping[str, Feature] = model.featuriser.describe()
    return {
        row: reasons(inputs.names, some.features[number], moved[number], meanings)
        for number, row in enumerate(rows.tolist())
    }
