"""What the exporter says of its forecasts: how many, how late, and how good."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Summary

from presagio.exporter.metrics import INTERNAL
from presagio.toolkit.errors import SourceReason

WORKER, LIMIT = "worker", "limit"
"""Beside the reasons of Prometheus: the process of the models failed; a threshold's query gave no single series."""


class ForecastMetrics:
    """Metrics on one registry; the sets of labels that are known begin at 0."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.forecasts = Counter(
            "presagio_forecasts", "Times that a signal was forecast.", ["signal"], registry=registry
        )
        self.failures = Counter(
            "presagio_forecast_failures",
            "Forecasts of a signal that failed; the next is tried when it is due.",
            ["signal", "reason"],
            registry=registry,
        )
        self.duration = Summary(
            "presagio_forecast_duration_seconds",
            "CPU time that the models of a signal's forecasts took.",
            ["signal"],
            registry=registry,
        )
        self.last = Gauge(
            "presagio_last_forecast_timestamp_seconds",
            "Moment of the newest forecasts, as Unix time.",
            ["signal"],
            registry=registry,
        )
        self.series = Gauge("presagio_forecast_series", "Series that are forecast.", ["signal"], registry=registry)
        self.refused = Gauge(
            "presagio_forecast_series_refused",
            "Series that are not forecast because there are forecasts.series already.",
            ["signal"],
            registry=registry,
        )
        self.error = Gauge(
            "presagio_forecast_scaled_error",
            "Error of forecasts made earlier, in errors of 'it stays as it is': below 1 is better than that.",
            ["signal", "horizon"],
            registry=registry,
        )
        self.coverage = Gauge(
            "presagio_forecast_coverage_ratio",
            "Share of what came that was between the bounds of forecasts made earlier.",
            ["signal", "horizon"],
            registry=registry,
        )

    def know(self, signal: str) -> None:
        """Let all counters of a signal begin at 0."""
        self.forecasts.labels(signal)
        self.duration.labels(signal)
        for reason in (*SourceReason, WORKER, LIMIT, INTERNAL):
            self.failures.labels(signal, str(reason))
