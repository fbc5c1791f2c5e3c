"""The only code that speaks to Alertmanager: which alerts are active, and alerts of our own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import requests

from presagio.toolkit.link_auth import Auth
from presagio.toolkit.prometheus import session_of
from presagio.toolkit.secrets import SecretError
from presagio.webhook.config import AlertmanagerConfig
from presagio.webhook.errors import AlertmanagerError

_ALERTS = "/api/v2/alerts"
_ACTIVE = {"active": "true", "silenced": "false", "inhibited": "false"}
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_ESCAPED = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_LONGEST = 2000
"""Characters of a question: what every proxy lets pass."""


class Alertmanager:
    """A client. Every failure is an AlertmanagerError."""

    def __init__(self, config: AlertmanagerConfig, session: requests.Session | None = None) -> None:
        self.config = config
        # Authentication, certificates and tenant are configured, and done, as they are for Prometheus.
        self.session = session_of(config, session)
        self.auth = Auth(config)

    def active(self, labels: Mapping[str, str] | None = None) -> frozenset[str]:
        """Return the fingerprints of alerts that are neither resolved, silenced nor inhibited.

        labels: only of alerts that have them; of all where they cannot be said in a question of bearable length.
        """
        answer = self._ask("GET", params={**_ACTIVE, "filter": _matchers(labels or {})})
        try:
            return frozenset(str(alert["fingerprint"]) for alert in orjson.loads(answer.content))
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise AlertmanagerError(
                f"{self.config.url} gave no list of alerts: {answer.content[:80]!r}; is it an Alertmanager?"
            ) from error

    def send(self, alerts: Sequence[Mapping[str, Any]]) -> None:
        """Raise alerts of our own, in the form of its API: labels, annotations, startsAt, endsAt."""
        headers = {"Content-Type": "application/json"}
        self._ask("POST", data=orjson.dumps([dict(alert) for alert in alerts]), headers=headers)

    def _ask(self, method: str, headers: Mapping[str, str] | None = None, **body: Any) -> requests.Response:
        url, timeout = f"{self.config.url}{_ALERTS}", self.config.timeout
        try:
            answer = self.session.request(
                method, url, headers=headers, auth=self.auth, timeout=timeout, allow_redirects=False, **body
            )  # fmt: skip
        except requests.RequestException as error:
            raise AlertmanagerError(f"{self.config.url} cannot be asked: {error}") from error
        except SecretError as error:
            raise AlertmanagerError(f"{self.config.url} cannot be asked: {error}") from error
        if answer.status_code != requests.codes.ok:
            raise AlertmanagerError(f"{self.config.url} answered {answer.status_code}: {answer.text[:200]}")
        return answer


def _matchers(labels: Mapping[str, str]) -> list[str]:
    """Return labels as Alertmanager's matchers; none, which matches all, if a name is not of the classic form."""
    found = [f'{name}="{value.translate(_ESCAPED)}"' for name, value in labels.items()]
    plain = all(_NAME.fullmatch(name) for name in labels)
    return found if plain and sum(map(len, found)) <= _LONGEST else []
