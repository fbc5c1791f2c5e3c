"""The part of the metrics page that is about services: one line each, and one for each of their signals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from presagio.exporter.together import ServiceScores
from presagio.toolkit.labels import escape

SCORE = "presagio_service_anomaly_score"
CONTRIBUTION = "presagio_service_anomaly_contribution"
CONFIDENCE = "presagio_service_anomaly_confidence"

FAMILIES = {
    SCORE: "Anomaly score of all signals of the service together, 0..1; 0.6 is one moment in a million.",
    CONTRIBUTION: "Share of the signal in the service's score; the shares of a service sum to 1.",
    CONFIDENCE: "How much is known of the service's signals, 0..1; one that is missing now counts 0.",
}


def text(scores: ServiceScores) -> str:
    """Return the families that have a sample; a service without a score now is left out."""
    services = [escape(service) for service in scores.services]
    signals = [escape(signal) for signal in scores.signals]
    shown = np.flatnonzero(~np.isnan(scores.score))
    single = [f'{{service_id="{services[row]}"}}' for row in shown.tolist()]
    rows, columns = np.nonzero(~np.isnan(scores.contribution[shown]))
    both = [
        f'{{service_id="{services[row]}",signal="{signals[column]}"}}'
        for row, column in zip(shown[rows].tolist(), columns.tolist(), strict=True)
    ]
    return (
        _family(SCORE, single, scores.score[shown].tolist())
        + _family(CONTRIBUTION, both, scores.contribution[shown][rows, columns].tolist())
        + _family(CONFIDENCE, single, scores.confidence[shown].tolist())
    )


def _family(name: str, labels: Sequence[str], values: Sequence[float]) -> str:
    if not labels:
        return ""
    lines = (f"{name}{label} {value!r}\n" for label, value in zip(labels, values, strict=True))
    return f"# HELP {name} {FAMILIES[name]}\n# TYPE {name} gauge\n" + "".join(lines)
