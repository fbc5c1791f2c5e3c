"""A Prometheus that answers from a dictionary, at the seam where the exporter asks."""

import math
from collections.abc import Iterator

import numpy as np

from presagio.toolkit.errors import SourceError, SourceReason
from presagio.toolkit.prometheus import Matrix, Vector

STEP = 15.0
NAN = math.nan
Series = dict[str, dict[int, float]]


class FakeSource:
    """Answers each query from `data[query][service][step]`; fails at the steps told; notes what it was asked."""

    def __init__(self, **data: Series) -> None:
        self.data = {"up": {"up": dict.fromkeys(range(1000), 1.0)}} | data
        self.fails_at: set[int] = set()
        self.warnings: tuple[str, ...] = ()
        self.chunk = 4
        self.asked: list[tuple[str, str, int, int]] = []

    def instant(self, query: str, time: float) -> Vector:
        matrix = self._answer("instant", query, round(time / STEP), round(time / STEP))
        return Vector(matrix.labels, matrix.values[:, 0], matrix.warnings)

    def range(self, query: str, start: float, end: float, step: float) -> Matrix:
        return self._answer("range", query, round(start / STEP), round(end / STEP), _stride(step))

    def history(self, query: str, start: float, end: float, step: float, series: int = 1) -> Iterator[Matrix]:
        stride = _stride(step)
        for first in range(round(start / STEP), round(end / STEP) + 1, self.chunk * stride):
            last = min(first + (self.chunk - 1) * stride, round(end / STEP))
            yield self._answer("history", query, first, last, stride)

    def _answer(self, kind: str, query: str, first: int, last: int, stride: int = 1) -> Matrix:
        self.asked.append((kind, query, first, last))
        steps = range(first, last + 1, stride)
        if self.fails_at & set(steps):
            raise SourceError(SourceReason.TIMEOUT, "too slow")
        found = {
            name: [points.get(step, NAN) for step in steps]
            for name, points in self.data.get(query, {}).items()
            if any(step in points for step in steps)
        }
        labels = [{"service_id": name} if name else {} for name in found]
        values = np.array(list(found.values()), dtype=np.float64).reshape(len(found), len(steps))
        return Matrix(labels, np.array(steps) * STEP, values, self.warnings)


def steady(last: int = 1000, first: int = 0) -> dict[int, float]:
    return {step: 100.0 + step % 3 for step in range(first, last)}


def _stride(step: float) -> int:
    assert step % STEP == 0
    return round(step / STEP)
