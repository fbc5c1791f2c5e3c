"""What the stages ask of Prometheus and Alertmanager; with a short memory, so that one that is down is asked once."""

from __future__ import annotations

from typing import Any, Protocol

from presagio.toolkit.errors import SourceError, SourceReason
from presagio.toolkit.prometheus import Vector
from presagio.toolkit.secrets import SecretError
from presagio.webhook.errors import AlertmanagerError

_FRESH_SECONDS = 2.0
_SHOWN = 5
_DOWN = (SourceReason.TIMEOUT, SourceReason.UNREACHABLE, SourceReason.RATE_LIMITED)


class Source(Protocol):
    """As much of Prometheus as we need."""

    def instant(self, query: str, time: float) -> Vector:
        """Return `query` at `time` (Unix seconds). Raises SourceError."""


class Alerts(Protocol):
    """As much of Alertmanager as we need."""

    def active(self) -> frozenset[str]:
        """Return the fingerprints of alerts neither silenced nor inhibited. Raises AlertmanagerError."""


class Questions:
    """Asks. Within one step of the orchestrator, who was found to be down is not asked again."""

    def __init__(self, prometheus: Source, alertmanager: Alerts) -> None:
        self.prometheus = prometheus
        self.alertmanager = alertmanager
        self._down: SourceError | None = None
        self._unanswered: AlertmanagerError | None = None
        self._active: frozenset[str] = frozenset()
        self._asked = float("-inf")
        self._this_step = False

    def begin(self) -> None:
        """Begin a step: forget who was down."""
        self._down = self._unanswered = None
        self._this_step = False

    def instant(self, query: str, time: float) -> Vector:
        """Return `query` at `time`. Raises SourceError; at once if Prometheus was found to be down in this step."""
        if self._down:
            raise self._down
        try:
            return self.prometheus.instant(query, time)
        except SecretError as error:
            raise SourceError(SourceReason.REFUSED, str(error)) from error
        except SourceError as error:
            self._down = error if error.reason in _DOWN else None
            raise

    def is_active(self, fingerprint: str, since: float, now: float) -> bool:
        """Return whether Alertmanager has the alert, neither silenced nor inhibited. Raises AlertmanagerError.

        since: when we heard of the alert, in Unix seconds; an older answer could not know it.
        """
        if self._unanswered:
            raise self._unanswered
        fresh = since < self._asked and 0 <= now - self._asked <= _FRESH_SECONDS
        if not (self._this_step or fresh):
            self._ask(now)
        return fingerprint in self._active

    def _ask(self, now: float) -> None:
        try:
            self._active = self.alertmanager.active()
        except AlertmanagerError as error:
            self._unanswered = error
            raise
        self._asked, self._this_step = now, True


def shown(answer: Vector) -> list[dict[str, Any]]:
    """Return the first series of an answer for ledger and page."""
    pairs = list(zip(answer.labels, answer.values.tolist(), strict=True))[:_SHOWN]
    return [{"labels": dict(labels), "value": value} for labels, value in pairs]
