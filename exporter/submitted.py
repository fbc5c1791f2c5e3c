"""Values pushed through the REST API: the newest of each metric, until it expires."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from presagio.toolkit.errors import LimitError
from presagio.toolkit.labels import render

NAME = "presagio_submitted_value"
_HEAD = f"# HELP {NAME} Last value of a metric submitted through the REST API.\n# TYPE {NAME} gauge\n"


@dataclass(frozen=True, slots=True)
class Submission:
    """One value, the Unix time at which it came, and its line on the metrics page."""

    value: float
    time: float
    line: str

    @classmethod
    def of(cls, service_id: str, metric: str, value: float, time: float) -> Submission:
        """Return a submission with its line rendered: a page is asked for more often than a value is submitted."""
        labels = render({"service_id": service_id, "metric": metric})
        return cls(value, time, f"{NAME}{labels} {float(value)!r}\n")


class Submitted:
    """All values by service and metric. Not locked: its owner is."""

    def __init__(self, expire_after: float, max_metrics: int) -> None:
        self.expire_after = expire_after
        self.max_metrics = max_metrics
        self._values: dict[str, dict[str, Submission]] = {}

    def put(self, service_id: str, metrics: Mapping[str, float], now: float) -> None:
        """Keep the values of one service. Raises LimitError, then none is kept."""
        values = self.of(service_id, now)
        count = len(values.keys() | metrics.keys())
        if count > self.max_metrics:
            raise LimitError(
                f"service {service_id!r} would have {count} metrics and the limit is {self.max_metrics}; "
                f"submit fewer, or raise api.max_metrics_per_service"
            )
        new = {name: Submission.of(service_id, name, value, now) for name, value in metrics.items()}
        self._values[service_id] = values | new

    def of(self, service_id: str, now: float) -> dict[str, Submission]:
        """Return the values of a service that have not expired, by metric."""
        values = self._values.get(service_id, {})
        return {name: one for name, one in values.items() if now - one.time <= self.expire_after}

    def forget(self, service_id: str) -> None:
        """Drop the values of a service."""
        self._values.pop(service_id, None)

    def page(self, now: float) -> bytes:
        """Return the lines for /metrics, with HELP and TYPE; nothing if there is no value. Drops what has expired."""
        live = {service_id: self.of(service_id, now) for service_id in self._values}
        self._values = {service_id: values for service_id, values in live.items() if values}
        lines = "".join(one.line for values in self._values.values() for one in values.values())
        return (_HEAD + lines).encode() if lines else b""

    def dump(self) -> bytes:
        """Return all values for a snapshot."""
        return orjson.dumps(
            [(service, name, one.value, one.time) for service, values in self._values.items()
             for name, one in values.items()]
        )  # fmt: skip

    def merge(self, values: Iterable[Sequence[Any]], known: Container[str]) -> None:
        """Take over the (service_id, metric, value, time) of the services `known` that are newer than ours.

        Raises ValueError if they are not of this form.
        """
        for service_id, name, value, time in values:
            mine = self._values.get(service_id, {}).get(name)
            if service_id in known and (mine is None or mine.time < time):
                one = Submission.of(service_id, name, float(value), float(time))
                self._values.setdefault(service_id, {})[name] = one
