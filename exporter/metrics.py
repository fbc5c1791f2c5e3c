"""What the exporter says of itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Summary

from presagio.exporter.signals import Refusal
from presagio.toolkit.errors import SourceReason

BLIND = "blind"
"""The control query had no answer: Prometheus has no data at all."""

INTERNAL = "internal"
"""A mistake of ours; the log has its traceback."""

STAGES = ("query", "score")

RELEARNT = ("done", "short", "failed")
"""How learning anew may end. short: history knows less than the profile, which stays."""


class Metrics:
    """Our own metrics on one registry; the sets of labels that are known begin at 0."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.evaluations = Counter(
            "presagio_evaluations", "Moments of time scored, live and from history.", ["signal"], registry=registry
        )
        self.failures = Counter(
            "presagio_evaluation_failures",
            "Evaluations that gave no result; the moments are made up for from history at the next one.",
            ["signal", "reason"],
            registry=registry,
        )
        self.warnings = Counter(
            "presagio_evaluation_warnings",
            "Answers of Prometheus that carried warnings: partial ones teach nothing about absence.",
            ["signal"],
            registry=registry,
        )
        self.duration = Summary(
            "presagio_evaluation_duration_seconds",
            "Time spent on the stages of an evaluation.",
            ["signal", "stage"],
            registry=registry,
        )
        self.last = Gauge(
            "presagio_last_evaluation_timestamp_seconds",
            "Moment of the newest scores, as Unix time.",
            ["signal"],
            registry=registry,
        )
        self.series = Gauge("presagio_series", "Series that have a profile.", ["signal"], registry=registry)
        self.refused = Counter(
            "presagio_series_refused",
            "Series met in an answer and not scored, counted at each evaluation.",
            ["signal", "reason"],
            registry=registry,
        )
        self.limit = Gauge("presagio_series_limit", "Most series that are scored.", registry=registry)
        self.soft_limit = Gauge("presagio_series_soft_limit", "Series from which on we warn.", registry=registry)

    def know(self, signal: str) -> None:
        """Let all counters of a signal begin at 0, so that a first increase is seen as one."""
        self.evaluations.labels(signal)
        self.warnings.labels(signal)
        for reason in (*SourceReason, BLIND, INTERNAL):
            self.failures.labels(signal, str(reason))
        for refusal in Refusal:
            self.refused.labels(signal, str(refusal))
        for stage in STAGES:
            self.duration.labels(signal, stage)

    @contextmanager
    def timed(self, signal: str, stage: str) -> Iterator[None]:
        """Add the time spent inside to `stage`."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.duration.labels(signal, stage).observe(time.perf_counter() - begun)


class FeedbackMetrics:
    """What people said, and what was learnt anew because of it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.feedback = Gauge(
            "presagio_feedback",
            "Judgements of people on past periods that are in force.",
            ["kind"],
            registry=registry,
        )
        self.relearns = Counter(
            "presagio_relearns",
            "Times that series of a service read history again because a period was judged otherwise.",
            ["signal", "outcome"],
            registry=registry,
        )

    def know(self, signal: str) -> None:
        """Let all counters of a signal begin at 0."""
        for outcome in RELEARNT:
            self.relearns.labels(signal, outcome)
