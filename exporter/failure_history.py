"""When a failure was: from its query, from the alerts that Prometheus remembers, or from a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from presagio.detectors.base import Bools, Floats
from presagio.exporter.backtest import incidents
from presagio.exporter.config import ExporterConfig, Signal
from presagio.exporter.episodes import Episodes, merged
from presagio.exporter.evaluation import Source, Span
from presagio.exporter.failure_config import Failure
from presagio.exporter.history import History, Reader
from presagio.exporter.signals import namings

_DARK = 2
"""Steps without anything in Prometheus from which on nothing is known of them: a scrape may fail."""


def condition(failure: Failure) -> str:
    """Return the PromQL that has a sample while it has failed."""
    if failure.alert is not None:
        return f'ALERTS{{alertname="{failure.alert}",alertstate="firing"}}'
    assert failure.query is not None  # noqa: S101 # for the type checker: the configuration has one of the three
    return failure.query


def episodes(source: Source, config: ExporterConfig, failure: Failure, span: Span, folder: Path) -> Episodes:
    """Return when a failure was within a span; `folder` is where a relative path of a CSV begins.

    Raises SourceError, and ConfigError with all mistakes of a CSV.
    """
    dark = _dark(source, config.evaluation.control, span)
    if failure.csv is not None:
        found = incidents.load(folder / failure.csv)
        parts = [(one.service_id, one.start, one.end) for one in found if one.end >= span.start]
    else:
        parts = _failing(_read(source, config, failure, span))
    return _together(parts, failure, span, dark)


def _read(source: Source, config: ExporterConfig, failure: Failure, span: Span) -> History:
    signal = Signal(name=failure.name, query=condition(failure), service_id=failure.service_id)
    reader = Reader(source, namings(config, [signal])[0], signal.query, span.step, span.end - span.start + span.step)
    return reader.read(span.end)


def _failing(history: History) -> list[tuple[str, float, float]]:
    """Return each run of samples as service, begin and end; +inf for what lasts."""
    step = history.times[1] - history.times[0] if len(history.times) > 1 else 0.0
    found = []
    for key, values in zip(history.keys, history.values, strict=True):
        for begin, end in _runs(~np.isnan(values)):
            lasts = end == len(history.times)
            until = np.inf if lasts else float(history.times[end - 1] + step)
            found.append((key.service_id, float(history.times[begin]), until))
    return found


def _together(
    parts: Sequence[tuple[str, float, float]], failure: Failure, span: Span, dark: tuple[Floats, Floats]
) -> Episodes:
    services, begins, ends = list[str](), list[Floats](), list[Floats]()
    for service in sorted({part[0] for part in parts}):
        own = np.array([part[1:] for part in parts if part[0] == service], dtype=np.float64)
        begin, end = merged(own[:, 0], own[:, 1], failure.hold, failure.merge)
        services += [service] * len(begin)
        begins.append(begin)
        ends.append(end)
    nothing = np.zeros(0)
    return Episodes(
        services, np.concatenate([nothing, *begins]), np.concatenate([nothing, *ends]), span.start, span.end, *dark
    )


def _dark(source: Source, control: str, span: Span) -> tuple[Floats, Floats]:
    """Return when Prometheus had nothing, as begins and ends: what was not seen was not well."""
    if not control:
        return np.zeros(0), np.zeros(0)
    empty = [
        np.isnan(matrix.values).all(axis=0) for matrix in source.history(control, span.start, span.end, span.step)
    ]
    runs = [(begin, end) for begin, end in _runs(np.concatenate(empty)) if end - begin >= _DARK]
    found = np.array(runs, dtype=np.float64).reshape(-1, 2) * span.step + span.start
    return found[:, 0] - span.step, found[:, 1]


def _runs(there: Bools) -> list[tuple[int, int]]:
    """Return the begin, and the end after it, of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], there, [False]]).astype(np.int8)))
    return [(int(begin), int(end)) for begin, end in edges.reshape(-1, 2)]
