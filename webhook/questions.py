"""What the stages ask of Prometheus and Alertmanager; with a short memory, so that one that is down is asked once."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from presagio.toolkit.errors import SourceError, SourceReason
from presagio.toolkit.prometheus import Vector
from presagio.toolkit.secrets import SecretError
from presagio.webhook.errors import AlertmanagerError
from presagio.webhook.tables import Remediation

_FRESH_SECONDS = 2.0
_FEW = 16
"""Alerts that Alertmanager is asked about one by one, several at a time; of more it tells sooner all that it has."""
_REMEMBERED = 1000
_SHOWN = 5
_DOWN = (SourceReason.TIMEOUT, SourceReason.UNREACHABLE, SourceReason.RATE_LIMITED)


class Source(Protocol):
    """As much of Prometheus as we need."""

    def instant(self, query: str, time: float) -> Vector:
        """Return `query` at `time` (Unix seconds). Raises SourceError."""


class Alerts(Protocol):
    """As much of Alertmanager as we need."""

    def active(self, labels: Mapping[str, str] | None = None) -> frozenset[str]:
        """Return the fingerprints of alerts neither silenced nor inhibited, of those with `labels` if given.

        Raises AlertmanagerError.
        """


@dataclass(frozen=True)
class Heard:
    """What Alertmanager answered: in which step, when (Unix seconds), and the fingerprints."""

    step: int
    asked: float
    active: frozenset[str]


class Questions:
    """Asks. Within one step of the orchestrator, who was found to be down is not asked again.

    Any number of threads may ask.
    """

    def __init__(self, prometheus: Source, alertmanager: Alerts) -> None:
        self.prometheus = prometheus
        self.alertmanager = alertmanager
        self._down: SourceError | None = None
        self._unanswered: AlertmanagerError | None = None
        self._all: Heard | None = None
        self._one: dict[str, Heard] = {}
        self._step = self._asked = 0
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Begin a step: forget who was down."""
        self._down = self._unanswered = None
        self._step, self._asked = self._step + 1, 0
        if len(self._one) > _REMEMBERED:
            self._one = {}

    def expect(self, alerts: int) -> None:
        """Know how many alerts, new in this step, come next: if they are not few, all are asked for at once."""
        if self._asked + alerts > _FEW:
            self._asked = _FEW

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

    def is_active(self, case: Remediation, now: float) -> bool:
        """Return whether Alertmanager has the alert, neither silenced nor inhibited. Raises AlertmanagerError."""
        with self._lock:
            heard = self._heard(case, now)
            self._asked += heard is None
            labels = case.alert.get("labels") if self._asked <= _FEW else None
            if heard is None and not labels:
                heard = self._all = self._ask(None, now)  # the others wait for it, and need not ask
        if heard is None:
            heard = self._one[case.fingerprint] = self._ask(labels, now)
        return case.fingerprint in heard.active

    def _heard(self, case: Remediation, now: float) -> Heard | None:
        if self._unanswered:
            raise self._unanswered
        known = (self._all, self._one.get(case.fingerprint))
        return next((one for one in known if one and self._fresh(one, case.created_at, now)), None)

    def _fresh(self, heard: Heard, since: float, now: float) -> bool:
        """Return whether an answer still counts; one from before we heard of the alert could not know it."""
        return heard.step == self._step or (since < heard.asked and 0 <= now - heard.asked <= _FRESH_SECONDS)

    def _ask(self, labels: Mapping[str, str] | None, now: float) -> Heard:
        try:
            return Heard(self._step, now, self.alertmanager.active(labels))
        except AlertmanagerError as error:
            self._unanswered = error
            raise


def shown(answer: Vector) -> list[dict[str, Any]]:
    """Return the first series of an answer for ledger and page."""
    pairs = list(zip(answer.labels, answer.values.tolist(), strict=True))[:_SHOWN]
    return [{"labels": dict(labels), "value": value} for labels, value in pairs]
