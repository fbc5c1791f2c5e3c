"""What the exporter says of its predictions and models: how many, how old, and how good."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge

from presagio.exporter.metrics import INTERNAL
from presagio.exporter.models import Header
from presagio.exporter.prediction import InUse
from presagio.exporter.trainer import Result
from presagio.toolkit.errors import SourceReason
from presagio.toolkit.units import format_duration

_LABELS = ["failure", "horizon", "model"]
_QUALITY = {
    "brier_skill_score": "Brier skill of the model on the newest time held back: 1 is perfect, 0 the base rate.",
    "average_precision": "Average precision of the model on the newest time held back, 0..1.",
    "base_rate_ratio": "Share of the moments held back that were before a failure, 0..1.",
    "caught_ratio": "Share of the failures held back that a sustained alarm came before, 0..1.",
    "median_lead_seconds": "Time from the first sustained alarm to the failure, of those held back that were caught.",
    "examples": "Moments held back that the quality of the model is told from.",
    "failures": "Failures that the model learnt from.",
    "trained_timestamp_seconds": "When the model was trained, as Unix time.",
}


class PredictionMetrics:
    """Metrics on one registry; the sets of labels that are known begin at 0."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.predictions = Counter(
            "presagio_predictions", "Times that a failure was predicted for all services.", ["failure"],
            registry=registry,
        )  # fmt: skip
        self.errors = Counter(
            "presagio_prediction_failures", "Predictions that failed; the next is tried when it is due.",
            ["failure", "reason"], registry=registry,
        )  # fmt: skip
        self.last = Gauge(
            "presagio_last_prediction_timestamp_seconds", "When a failure was predicted last, as Unix time.",
            ["failure"], registry=registry,
        )  # fmt: skip
        self.quality = {
            name: Gauge(f"presagio_model_{name}", told, _LABELS, registry=registry) for name, told in _QUALITY.items()
        }
        self.in_use = Gauge(
            "presagio_model_in_use", "1 for the model that predicts a failure now.", _LABELS, registry=registry
        )
        self.drift = Gauge(
            "presagio_model_input_drift",
            "Population stability index of the last day's inputs against those of training.",
            ["failure", "horizon"], registry=registry,
        )  # fmt: skip
        self.trainings = Counter(
            "presagio_trainings", "Trainings of a failure's models, by what came of them.", ["failure", "outcome"],
            registry=registry,
        )  # fmt: skip
        self.training = Gauge(
            "presagio_training_duration_seconds", "How long the newest training of all failures took.",
            registry=registry,
        )  # fmt: skip

    def know(self, failure: str) -> None:
        """Let all counters of a failure begin at 0."""
        self.predictions.labels(failure)
        for reason in (*SourceReason, INTERNAL):
            self.errors.labels(failure, str(reason))
        for result in Result:
            self.trainings.labels(failure, result.value)

    def tell(self, failure: str, models: Sequence[InUse], headers: Sequence[Header | None]) -> None:
        """Say which models are in use and how good they are; what was said of others of the failure is withdrawn."""
        for gauge in (self.in_use, *self.quality.values()):
            gauge.remove_by_labels({"failure": failure})
        for model, header in zip(models, headers, strict=True):
            labels = (failure, format_duration(model.horizon), model.name)
            self.in_use.labels(*labels).set(1)
            if header is not None:
                self._quality(labels, header)

    def _quality(self, labels: tuple[str, str, str], header: Header) -> None:
        told = header.quality
        values = {
            "brier_skill_score": told.brier_skill, "average_precision": told.average_precision,
            "base_rate_ratio": told.base_rate, "caught_ratio": told.caught, "median_lead_seconds": told.median_lead,
            "examples": told.examples, "failures": header.failures, "trained_timestamp_seconds": header.trained,
        }  # fmt: skip
        for name, value in values.items():
            self.quality[name].labels(*labels).set(value)
