"""What the stages ask of Prometheus and Alertmanager; with a short memory, so that one that is down is asked once."""

from __future__ import annotations

from typing import Any, Protocol

from presagio.toolkit.errors import SourceError, SourceReason
from presagio.toolkit.prometheus import Vector
from presagio.toolkit.secrets import SecretError
from presagio.webhook.errors import AlertmanagerError

_FRESH_SECONDS = 2.0
_SHOWN = 5
_DOWN = (SourceReason.TIMEOUT, SourceReason.UNREACHABLE)


class Source(Protocol):
    """As much of Prometheus as we need."""

    def instant(self, query: str, time: float) -> Vector:
        """Return `query` at `time` (Unix seconds). Raises SourceError."""


class Alerts(Protocol):
    """As much of Alertmanager as we need."""

    def active(self) -> frozenset[str]:
        """Return the fingerprints of alerts neither silenced nor inhibited. Raises AlertmanagerError."""


class Questions:
    """Asks; `now` is the time of the step, which all that is asked in one step shares."""

    def __init__(self, prometheus: Source, alertmanager: Alerts) -> None:
        self.prometheus = prometheus
        self.alertmanager = alertmanager
        self._down: tuple[float, SourceError] | None = None
        self._unanswered: tuple[float, AlertmanagerError] | None = None
        self._active: tuple[float, frozenset[str]] | None = None

    def instant(self, query: str, time: float, now: float) -> Vector:
        """Return `query` at `time`. Raises SourceError; at once if Prometheus was found to be down in this step."""
        if self._down and self._down[0] == now:
            raise self._down[1]
        try:
            return self.prometheus.instant(query, time)
        except SecretError as error:
            raise SourceError(SourceReason.REFUSED, str(error)) from error
        except SourceError as error:
            if error.reason in _DOWN:
                self._down = now, error
            raise

    def is_active(self, fingerprint: str, since: float, now: float) -> bool:
        """Return whether Alertmanager has the alert, neither silenced nor inhibited. Raises AlertmanagerError.

        since: when we heard of the alert; an older answer could not know it.
        """
        if self._unanswered and self._unanswered[0] == now:
            raise self._unanswered[1]
        asked, active = self._active or (float("-inf"), frozenset())
        if asked < since or now - asked > _FRESH_SECONDS:
            active = self._ask(now)
        return fingerprint in active

    def _ask(self, now: float) -> frozenset[str]:
        try:
            active = self.alertmanager.active()
        except AlertmanagerError as error:
            self._unanswered = now, error
            raise
        self._active = now, active
        return active


def shown(answer: Vector) -> list[dict[str, Any]]:
    """Return the first series of an answer for ledger and page."""
    pairs = list(zip(answer.labels, answer.values.tolist(), strict=True))[:_SHOWN]
    return [{"labels": dict(labels), "value": value} for labels, value in pairs]
