"""The part of the metrics page that is about what will be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from presagio.detectors.base import Floats
from presagio.exporter.outlook import Outlook
from presagio.exporter.signals import Key
from presagio.toolkit.labels import render
from presagio.toolkit.units import format_duration

FAMILIES = {
    "presagio_forecast_value": "Value expected of the signal at now + horizon, in its unit.",
    "presagio_forecast_lower_bound": "Lower bound of the value at now + horizon, the quantile forecasts.lower.",
    "presagio_forecast_upper_bound": "Upper bound of the value at now + horizon, the quantile forecasts.upper.",
    "presagio_time_to_threshold_seconds": "Time until the signal is at the threshold, as likely as not; +Inf: not "
    "within the longest horizon.",
    "presagio_time_to_threshold_lower_bound_seconds": "Time until the signal is at the threshold one time in ten.",
}

Line = tuple[str, str, float]
"""Family, labels as text, value."""


def text(outlooks: Iterable[Outlook]) -> str:
    """Return the families that have a sample; of two series with the same labels the first is shown."""
    lines: dict[str, dict[str, float]] = {family: {} for family in FAMILIES}
    for outlook in outlooks:
        for family, labels, value in _lines(outlook):
            if not np.isnan(value):
                lines[family].setdefault(labels, value)
    return "".join(_family(family, FAMILIES[family], found) for family, found in lines.items() if found)


def _lines(outlook: Outlook) -> Iterator[Line]:
    labels = [_labels(key) for key in outlook.keys]
    shown = {
        "presagio_forecast_value": outlook.mean,
        "presagio_forecast_lower_bound": outlook.lower,
        "presagio_forecast_upper_bound": outlook.upper,
    }
    for family, values in shown.items():
        for h, horizon in enumerate(outlook.horizons):
            yield from _samples(family, labels, "horizon", format_duration(horizon), values[:, h])
    for threshold, reach in outlook.reach.items():
        yield from _samples("presagio_time_to_threshold_seconds", labels, "threshold", threshold, reach.median)
        lower = "presagio_time_to_threshold_lower_bound_seconds"
        yield from _samples(lower, labels, "threshold", threshold, reach.early)


def _samples(
    family: str, labels: Iterable[Mapping[str, str]], name: str, label: str, values: Floats
) -> Iterator[Line]:
    for own, value in zip(labels, values.tolist(), strict=True):
        yield family, render({**own, name: label}), value


def _labels(key: Key) -> Mapping[str, str]:
    return {"service_id": key.service_id, "signal": key.signal, **dict(key.labels)}


def _family(name: str, told: str, lines: Mapping[str, float]) -> str:
    samples = (f"{name}{labels} {_number(value)}\n" for labels, value in lines.items())
    return f"# HELP {name} {told}\n# TYPE {name} gauge\n" + "".join(samples)


def _number(value: float) -> str:
    return "+Inf" if value == np.inf else "-Inf" if value == -np.inf else repr(value)
