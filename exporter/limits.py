"""The limit of each series: one number for all, or what a query says, found by the labels that both have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from presagio.detectors.base import Floats
from presagio.exporter.evaluation import Source
from presagio.exporter.forecast_config import Threshold
from presagio.exporter.signals import Key, Naming, finite
from presagio.toolkit.prometheus import Vector


def limits(source: Source, threshold: Threshold, naming: Naming, keys: Sequence[Key], time: float) -> Floats:
    """Return the limit [n] of each series, NaN where the query gives none or more than one. Raises SourceError."""
    if threshold.value is not None:
        return np.full(len(keys), threshold.value)
    assert threshold.query is not None  # noqa: S101 # for the type checker: the configuration has one of the two
    return matched(source.instant(threshold.query, time), naming, keys)


def matched(answer: Vector, naming: Naming, keys: Sequence[Key]) -> Floats:
    """Return for each key the value of the one series whose labels agree with it, NaN where there is not one.

    Labels that only one of both has are not compared: a limit may be one for the machine, or for all. A series of
    which the signal's service_id can be told is compared by that, too.
    """
    own = [{**dict(key.labels), "service_id": key.service_id} for key in keys]
    theirs = [{"service_id": naming.service_id(labels), **labels} for labels in answer.labels]
    theirs = [{name: value for name, value in labels.items() if value} for labels in theirs]
    fits = [list[int]() for _ in keys]
    for names in {frozenset(labels) for labels in own}:
        mine = [number for number, labels in enumerate(own) if labels.keys() == names]
        for others in {frozenset(labels) for labels in theirs}:
            shared = sorted(names & others)
            rows = [row for row, labels in enumerate(theirs) if labels.keys() == others]
            index = _index(theirs, rows, shared)
            for number in mine:
                fits[number] += index.get(tuple(own[number][name] for name in shared), [])
    values = finite(answer.values)
    return np.array([values[one[0]] if len(one) == 1 else np.nan for one in fits], dtype=np.float64)


def _index(
    labels: Sequence[Mapping[str, str]], rows: Sequence[int], names: Sequence[str]
) -> dict[tuple[str, ...], list[int]]:
    """Return which of the rows have the same values of some labels."""
    found: dict[tuple[str, ...], list[int]] = {}
    for row in rows:
        found.setdefault(tuple(labels[row][name] for name in names), []).append(row)
    return found
