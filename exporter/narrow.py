"""Prometheus asked about one service only: the query of a signal is narrowed to the series of that service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from presagio.detectors.base import Ints
from presagio.exporter.evaluation import Source
from presagio.exporter.signals import Key, Naming
from presagio.toolkit.labels import Labels, escape
from presagio.toolkit.prometheus import Matrix, Vector

_SERVICE = "service_id"


class Narrow:
    """A Source whose answers to the signal's own query hold `service_id` alone; other queries pass as they are."""

    def __init__(self, source: Source, naming: Naming, service_id: str, keys: Sequence[Key]) -> None:
        self.source = source
        self.naming = naming
        self.service_id = service_id
        self.query = naming.signal.query
        self.narrowed = narrowed(naming, service_id, keys)

    def instant(self, query: str, time: float) -> Vector:
        """Return a query at one moment. Raises SourceError."""
        if query != self.query:
            return self.source.instant(query, time)
        answer = self.source.instant(self.narrowed, time)
        rows = self._ours(answer.labels)
        return Vector([answer.labels[row] for row in rows.tolist()], answer.values[rows], answer.warnings)

    def range(self, query: str, start: float, end: float, step: float) -> Matrix:
        """Return a query at start, start + step, ... up to end. Raises SourceError."""
        if query != self.query:
            return self.source.range(query, start, end, step)
        return self._chosen(self.source.range(self.narrowed, start, end, step))

    def history(self, query: str, start: float, end: float, step: float, series: int = 1) -> Iterator[Matrix]:
        """Yield the same in chunks."""
        if query != self.query:
            yield from self.source.history(query, start, end, step, series)
            return
        for matrix in self.source.history(self.narrowed, start, end, step, series):
            yield self._chosen(matrix)

    def _chosen(self, answer: Matrix) -> Matrix:
        rows = self._ours(answer.labels)
        labels = [answer.labels[row] for row in rows.tolist()]
        return Matrix(labels, answer.times, answer.values[rows], answer.warnings)

    def _ours(self, labels: Sequence[Labels]) -> Ints:
        keys = (self.naming.name(one) for one in labels)
        ours = [row for row, key in enumerate(keys) if isinstance(key, Key) and key.service_id == self.service_id]
        return np.array(ours, dtype=np.int64)


def narrowed(naming: Naming, service_id: str, keys: Sequence[Key]) -> str:
    """Return the signal's query for the series that may be of the service: those with the labels of one of `keys`.

    Where its labels cannot be told from its id the query stays as it is: right, but a larger answer.
    """
    matches = {tuple(_labels(naming, service_id, key).items()) for key in keys}
    if len(matches) != 1 or () in matches:
        return naming.signal.query
    (match,) = matches
    # PromQL takes no matcher behind an expression; `and` with a series made of nothing does the same.
    names = ", ".join(name for name, _ in match)
    return f"({naming.signal.query}\n) and on ({names}) {_series(dict(match))}"


def _labels(naming: Naming, service_id: str, key: Key) -> Mapping[str, str]:
    """Return labels that the series of a row has for certain, and that give it its service; none if unknown."""
    template, labels = naming.own_id or naming.default_id, dict(key.labels)
    if all(labels.get(name) for name in template.names) and template.fill(labels) == service_id:
        return {name: labels[name] for name in template.names}
    if template.text == f"{{{_SERVICE}}}" or (naming.own_id is None and set(template.names) <= set(naming.identity)):
        return {_SERVICE: service_id}
    return {}


def _series(labels: Mapping[str, str]) -> str:
    text = "vector(1)"
    for name, value in labels.items():
        text = f'label_replace({text}, "{name}", "{escape(value.replace("$", "$$"))}", "", "")'
    return text
