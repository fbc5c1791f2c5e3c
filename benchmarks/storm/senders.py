"""Alertmanagers that send: several at once, each again after 503, and how long every answer took."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

_AGAIN = 0.5
_LASTS = timedelta(hours=2)
_PATIENCE = 30.0


@dataclass
class Sent:
    """Answers: seconds from POST to 200 of each notification, and how often it had to be sent again."""

    seconds: list[float] = field(default_factory=list)
    repeats: int = 0
    took: float = 0.0


def alerts(count: int, prefix: str) -> list[dict[str, Any]]:
    """Return so many alerts, each of a service of its own."""
    now = datetime.now(UTC)
    return [
        {
            "labels": {"alertname": "Storm", "service_id": f"{prefix}/{number:05}", "severity": "critical"},
            "annotations": {"summary": f"service {number} is slow", "description": "p99 above 1 s for 5 minutes"},
            "startsAt": now.isoformat(),
            "endsAt": (now + _LASTS).isoformat(),
        }
        for number in range(count)
    ]


def notifications(held: Sequence[dict[str, Any]], size: int) -> Iterator[dict[str, Any]]:
    """Yield what Alertmanager would send of alerts that it holds, `size` in each."""
    for begin in range(0, len(held), size):
        part = [_told(alert) for alert in held[begin : begin + size]]
        yield {
            "version": "4", "groupKey": f'{{}}:{{group="{begin}"}}', "status": "firing", "receiver": "presagio",
            "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "truncatedAlerts": 0,
            "externalURL": "http://alertmanager.test", "alerts": part,
        }  # fmt: skip


def _told(alert: dict[str, Any]) -> dict[str, Any]:
    known = {name: alert[name] for name in ("labels", "annotations", "startsAt", "fingerprint")}
    return {**known, "status": "firing", "endsAt": "0001-01-01T00:00:00Z", "generatorURL": ""}


def storm(url: str, bodies: Sequence[dict[str, Any]], senders: int, advance: Callable[[], None]) -> Sent:
    """Send all of them as fast as they are taken."""
    sent, begun = Sent(), time.monotonic()
    with ThreadPoolExecutor(senders) as pool:
        parts = [bodies[number::senders] for number in range(senders)]
        list(pool.map(lambda part: _send(url, part, sent, advance), parts))
    sent.took = time.monotonic() - begun
    return sent


def steady(url: str, bodies: Sequence[dict[str, Any]], rate: float, advance: Callable[[], None]) -> Sent:
    """Send `rate` of them a second, whether or not those before were answered."""
    sent, begun = Sent(), time.monotonic()
    with ThreadPoolExecutor(32) as pool:
        for number, body in enumerate(bodies):
            time.sleep(max(0.0, begun + number / rate - time.monotonic()))
            pool.submit(_send, url, [body], sent, advance)
    sent.took = time.monotonic() - begun
    return sent


def _send(url: str, bodies: Iterable[dict[str, Any]], sent: Sent, advance: Callable[[], None]) -> None:
    with requests.Session() as session:
        for body in bodies:
            begun = time.monotonic()
            while (code := session.post(f"{url}/api/v1/alerts", json=body, timeout=_PATIENCE).status_code) != 200:
                if code != 503:
                    raise RuntimeError(f"{url} answered {code}, which Alertmanager does not send again")
                sent.repeats += 1
                time.sleep(_AGAIN)
            sent.seconds.append(time.monotonic() - begun)
            advance()
