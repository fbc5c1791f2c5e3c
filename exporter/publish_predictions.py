"""The part of the metrics page that is about failures to come."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from presagio.exporter.prediction import Predictions
from presagio.toolkit.labels import render
from presagio.toolkit.units import format_duration

PROBABILITY = "presagio_failure_probability"
CONFIDENCE = "presagio_failure_probability_confidence"

FAMILIES = {
    PROBABILITY: "Probability that the failure begins within the horizon, 0..1.",
    CONFIDENCE: "How much is known for that probability, 0..1: inputs that are there, and failures learnt from.",
}


def text(found: Iterable[Predictions]) -> str:
    """Return the families that have a sample; services that have failed already are left out."""
    lines: dict[str, list[str]] = {family: [] for family in FAMILIES}
    for one in found:
        horizons = [format_duration(horizon) for horizon in one.horizons]
        for row, h in np.argwhere(~np.isnan(one.probability)).tolist():
            labels = render({"service_id": one.services[row], "failure": one.failure, "horizon": horizons[h]})
            lines[PROBABILITY].append(f"{PROBABILITY}{labels} {float(one.probability[row, h])!r}\n")
            lines[CONFIDENCE].append(f"{CONFIDENCE}{labels} {float(one.confidence[row, h])!r}\n")
    return "".join(_family(name, own) for name, own in lines.items() if own)


def _family(name: str, lines: Sequence[str]) -> str:
    return f"# HELP {name} {FAMILIES[name]}\n# TYPE {name} gauge\n" + "".join(lines)
