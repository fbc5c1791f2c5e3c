"""What the queries of a preset answer: asked of a real Prometheus by our client and named as the exporter does."""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from servers import Queryable, ServerError, wait_until

from presagio.exporter.config import ExporterConfig
from presagio.exporter.presets import catalogue
from presagio.exporter.signals import configured, named, namings
from presagio.toolkit.prometheus import Prometheus as Client
from presagio.toolkit.prometheus_config import Kind, PrometheusConfig

Range = tuple[float, float]

# the tests scrape each second, not each minute; so the windows hold as many scrapes as they are meant to
_WINDOWS = {"[4m]": "[4s]", "[10m]": "[10s]", "[1h]": "[1m]"}


@dataclass(frozen=True)
class Series:
    """One series of a signal: what it is named, and its newest value."""

    service_id: str
    labels: Mapping[str, str]
    value: float


Answers = dict[str, list[Series]]


def answers(prometheus: Queryable, preset: str) -> Answers:
    """Return the series of each signal of a preset now; none may be refused for its labels."""
    client, now = Client(PrometheusConfig(url=prometheus.url, kind=Kind(prometheus.kind))), time.time()
    config = ExporterConfig(presets=[preset])
    found: Answers = {}
    for naming in namings(config, configured(config)[:-1]):
        answer = client.instant(_fast(naming.signal.query), now)
        rows = named(naming, answer)
        assert not rows.refused, f"{naming.signal.name}: {rows.refused} of {answer.labels}"
        values = answer.values[rows.rows]
        found[naming.signal.name] = [
            Series(key.service_id, dict(key.labels), float(value))
            for key, value in zip(rows.keys, values, strict=True)
            if np.isfinite(value)
        ]
    return found


def _fast(query: str) -> str:
    for window, short in _WINDOWS.items():
        query = query.replace(window, short)
    return query


def settled(prometheus: Queryable, preset: str, absent: Collection[str] = ()) -> Answers:
    """Wait until each signal has series, but those that are `absent`, and return them all."""
    return sensible(prometheus, preset, {}, absent)


def sensible(
    prometheus: Queryable, preset: str, ranges: Mapping[str, Range], absent: Collection[str] = ()
) -> Answers:
    """Wait until each signal has series, all in the signal's range, both ends included; return them.

    What is wrong at the end of the wait stands in the error.
    """
    found: Answers = {}
    wrong: dict[str, object] = {}
    # windows that are full
    prometheus.wait_for("min(count_over_time(up[1m])) > 5")

    def right() -> bool:
        nonlocal found, wrong
        found = answers(prometheus, preset)
        lacking = {name: "no series" for name, series in found.items() if not series and name not in absent}
        wrong = lacking | _astray(found, ranges)
        return not wrong

    try:
        wait_until(right, f"sensible answer to every query of {preset}", 60)
    except ServerError as error:
        raise AssertionError(f"{error}: {wrong}") from error
    return found


def _astray(found: Answers, ranges: Mapping[str, Range]) -> dict[str, object]:
    values = {name: [one.value for one in series] for name, series in found.items()}
    outside = {
        name: [value for value in values[name] if not low <= value <= high] for name, (low, high) in ranges.items()
    }
    return {name: wrong for name, wrong in outside.items() if wrong}


def names(preset: str) -> set[str]:
    return {one["name"] for one in catalogue.signals(preset)}
