"""What a real Prometheus answers to a dashboard's queries, asked as Grafana asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from servers import Prometheus

from dashboards import panels

LOOKED_AT = {"service_id": "shop/checkout", "signal": "memory", "policy": ".*", "job": ".*", "namespace": ".*"}


@dataclass(frozen=True)
class Window:
    """A range of time on a dashboard. scrape: seconds between two samples, as the data source is told."""

    begin: float
    end: float
    points: int = 240
    scrape: float = 1.0

    @property
    def step(self) -> float:
        """Return seconds between two points: what Grafana calls the interval, never below the scrape interval."""
        return max(self.scrape, round((self.end - self.begin) / self.points))

    def built_in(self) -> dict[str, str]:
        """Return Grafana's own variables."""
        rate = max(self.step + self.scrape, 4 * self.scrape)
        return {
            "__range": f"{round(self.end - self.begin)}s", "__rate_interval": f"{rate:.0f}s",
            "__interval": f"{self.step:.0f}s", "__interval_ms": f"{self.step * 1000:.0f}",
            "__from": f"{self.begin * 1000:.0f}",
        }  # fmt: skip


def answer(
    prometheus: Prometheus, target: Mapping[str, Any], window: Window, values: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return the series of one query of a panel: at the end of the window if it is instant, else over it."""
    query = panels.substituted(target["expr"], {**window.built_in(), **values})
    if target.get("instant"):
        return prometheus.query(query, window.end)
    return prometheus.query_range(query, window.begin, window.end, window.step)


def events(
    prometheus: Prometheus, event: Mapping[str, Any], window: Window, values: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return the series of an annotation, whose step is its own; a window of seconds is looked at more closely."""
    step = min(float(event["step"].removesuffix("s")), round((window.end - window.begin) / 8))
    built_in = {**window.built_in(), "__interval_ms": f"{step * 1000:.0f}"}
    query = panels.substituted(event["expr"], {**built_in, **values})
    return prometheus.query_range(query, window.begin, window.end, step)


def moments(event: Mapping[str, Any], series: Mapping[str, Any]) -> list[float]:
    """Return when one series of an annotation says that something happened, in Unix seconds."""
    if event.get("useValueForTime"):
        return sorted({float(value) / 1000 for _, value in series["values"]})
    return [float(series["values"][0][0])]


def options(
    prometheus: Prometheus, variable: Mapping[str, Any], window: Window, values: Mapping[str, str]
) -> list[str]:
    """Return the values that a variable offers."""
    selector, label = panels.label_values(panels.substituted(variable["query"]["query"], values))
    found = prometheus.query(
        f"group by ({label}) (last_over_time({selector}[{window.built_in()['__range']}]))", window.end
    )
    return sorted(one["metric"][label] for one in found if label in one["metric"])
