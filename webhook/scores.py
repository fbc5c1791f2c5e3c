"""The services with their scores, as Prometheus has them: what the exporter published and was scraped."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from presagio.webhook.questions import Source

FAMILIES = {
    "presagio_anomaly_score": "score",
    "presagio_signal_value": "value",
    "presagio_signal_expected": "expected",
    "presagio_signal_lower_bound": "lower",
    "presagio_signal_upper_bound": "upper",
}
_QUERY = '{__name__=~"%s"}' % "|".join(FAMILIES)  # noqa: UP031 # braces are PromQL's
_OURS = frozenset({"__name__", "service_id", "signal", "job"})
UNUSUAL, ANOMALOUS = 0.3, 0.6


@dataclass
class Signal:
    """One series: its score (0..1) and where its value (in the signal's unit) lies in what was expected."""

    name: str
    labels: Mapping[str, str]
    score: float = math.nan
    value: float = math.nan
    expected: float = math.nan
    lower: float = math.nan
    upper: float = math.nan

    @property
    def level(self) -> str:
        """Return calm, unusual or anomalous; unknown without a score."""
        return level(self.score)

    def place(self, what: str) -> float | None:
        """Return where `value`, `expected`, `lower` or `upper` stands on a line that holds all four, in 0..100."""
        points = [point for point in (self.value, self.expected, self.lower, self.upper) if math.isfinite(point)]
        point = float(getattr(self, what))
        if not math.isfinite(point) or len(points) < 2:
            return None
        low, high = min(points), max(points)
        return 8 + 84 * ((point - low) / (high - low) if high > low else 0.5)


@dataclass
class Service:
    """All series of one service, the most anomalous first."""

    service_id: str
    signals: list[Signal] = field(default_factory=list)

    @property
    def score(self) -> float:
        """Return the highest score of its signals; NaN if there is none."""
        return max((signal.score for signal in self.signals if not math.isnan(signal.score)), default=math.nan)

    @property
    def level(self) -> str:
        """Return calm, unusual or anomalous; unknown without a score."""
        return level(self.score)


def level(score: float) -> str:
    """Return what a score means, in a word."""
    if math.isnan(score):
        return "unknown"
    return "anomalous" if score >= ANOMALOUS else "unusual" if score >= UNUSUAL else "calm"


def services(prometheus: Source, now: float) -> list[Service]:
    """Return all services at `now`, the most anomalous first. Raises SourceError."""
    answer = prometheus.instant(_QUERY, now)
    found: dict[tuple[str, str, frozenset[tuple[str, str]]], Signal] = {}
    for labels, value in zip(answer.labels, answer.values.tolist(), strict=True):
        family = FAMILIES.get(labels.get("__name__", ""))
        if family is None:
            continue
        own = {name: text for name, text in labels.items() if name not in _OURS}
        key = (labels.get("service_id", ""), labels.get("signal", ""), frozenset(own.items()))
        signal = found.setdefault(key, Signal(key[1], own))
        setattr(signal, family, value)
    grouped: defaultdict[str, list[Signal]] = defaultdict(list)
    for (service_id, _, _), signal in found.items():
        grouped[service_id].append(signal)
    made = [Service(name, sorted(signals, key=_worst_first)) for name, signals in grouped.items()]
    return sorted(made, key=lambda service: (*_rank(service.score), service.service_id))


def _worst_first(signal: Signal) -> tuple[bool, float, str]:
    return (*_rank(signal.score), signal.name)


def _rank(score: float) -> tuple[bool, float]:
    return math.isnan(score), 0.0 if math.isnan(score) else -score
