"""How good predictions were, held against what happened: on time that the model had not seen."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from presagio.detectors.base import Bools, Floats
from presagio.forecasters.base import Examples

ALARM = 0.5
"""Probability from which on a prediction counts as an alarm, as in the rule PresagioFailurePredicted."""

_BINS = 10


class Quality(BaseModel):
    """Quality on held-back examples. NaN where there is nothing to tell it from, such as no failure at all."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="constants")

    examples: int = Field(description="moments that it was told from")
    failures: int = Field(description="distinct failures among them")
    base_rate: float = Field(description="share of moments before a failure, 0..1")
    average_precision: float = Field(description="0..1; the base rate is what chance gives")
    brier_skill: float = Field(
        description="1 is perfect, 0 as good as always saying the base rate, below it is worse"
    )
    caught: float = Field(description="share of the failures that a sustained alarm came before, 0..1")
    median_lead: float = Field(description="of those caught, from the first sustained alarm to the failure, seconds")
    precision: float = Field(description="share of alarmed moments that a failure followed within the horizon, 0..1")
    reliability: tuple[tuple[float, float, float], ...] = Field(
        description="by tenths of the probability: mean said, share that came true, how many moments"
    )


def quality(found: Examples, probability: Floats, begins: Floats) -> Quality:
    """Return the quality of probability[m]; begins: of each failure by its number, Unix seconds.

    Moments about which nothing is said (NaN) count as the base rate: silence is no skill and no fault.
    """
    weights = found.weights
    base = _mean(found.failed.astype(np.float64), weights)
    said = np.where(np.isnan(probability), base, probability)
    caught, leads = _leads(found, said, begins)
    alarmed = said >= ALARM
    return Quality(
        examples=len(found),
        failures=found.distinct,
        base_rate=base,
        average_precision=average_precision(found.failed, said, weights),
        brier_skill=brier_skill(found.failed, said, weights),
        caught=caught,
        median_lead=float(np.median(leads)) if len(leads) else np.nan,
        precision=_mean(found.failed[alarmed].astype(np.float64), weights[alarmed]),
        reliability=tuple(_reliability(found.failed, said, weights)),
    )


def average_precision(failed: Bools, probability: Floats, weights: Floats) -> float:
    """Return the mean precision over recall, 0..1, equal probabilities taken together; NaN without a failure."""
    if not failed.any():
        return float("nan")
    order = np.argsort(-probability, kind="stable")
    hits = np.cumsum(weights[order] * failed[order])
    all_so_far = np.cumsum(weights[order])
    last = np.append(np.diff(probability[order]) != 0, True)
    hits, all_so_far = hits[last], all_so_far[last]
    return float(np.sum(np.diff(hits, prepend=0.0) * hits / all_so_far) / hits[-1])


def brier_skill(failed: Bools, probability: Floats, weights: Floats) -> float:
    """Return 1 - Brier score / that of the base rate (Brier 1950; Murphy 1973); NaN if all or none failed."""
    truth = failed.astype(np.float64)
    base = _mean(truth, weights)
    plain = brier(failed, np.full(len(failed), base), weights)
    return 1.0 - brier(failed, probability, weights) / plain if plain > 0 else float("nan")


def brier(failed: Bools, probability: Floats, weights: Floats) -> float:
    """Return the mean squared difference of probability and truth."""
    return _mean((failed - probability) ** 2, weights)


def _leads(found: Examples, said: Floats, begins: Floats) -> tuple[float, Floats]:
    """Return the share of failures caught, and for each of them the lead; two moments in a row make an alarm."""
    leads = []
    numbers = np.unique(found.failures[found.failed])
    for number in numbers.tolist():
        rows = np.flatnonzero(found.failed & (found.failures == number))
        rows = rows[np.argsort(found.times[rows], kind="stable")]
        alarmed = said[rows] >= ALARM
        sustained = alarmed & np.append(alarmed[1:], alarmed[-1:])
        if sustained.any():
            leads.append(begins[number] - found.times[rows[sustained.argmax()]])
    share = len(leads) / len(numbers) if len(numbers) else float("nan")
    return share, np.array(leads, dtype=np.float64)


def _reliability(failed: Bools, said: Floats, weights: Floats) -> list[tuple[float, float, float]]:
    bins = np.minimum((said * _BINS).astype(np.int64), _BINS - 1)
    rows = (bins == number for number in range(_BINS))
    return [
        (_mean(said[row], weights[row]), _mean(failed[row].astype(np.float64), weights[row]), float(row.sum()))
        for row in rows
        if row.any()
    ]


def _mean(values: Floats, weights: Floats) -> float:
    total = float(weights.sum())
    return float((values * weights).sum() / total) if total > 0 else float("nan")
