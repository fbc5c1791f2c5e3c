"""From the series of all signals to a matrix of services and signals.

Several series of one signal and service, its pods for instance, share a cell: the worst of them counts. The worst of
m is worse than one alone would be, so that its p-value is corrected for m (Sidak 1967); else a service would alarm
the more often the more pods it has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from presagio.detectors.base import Floats, Ints, score_of
from presagio.exporter.engine import Scores
from presagio.exporter.signals import Key


@dataclass(frozen=True)
class Seen:
    """What is kept of a signal's Scores until its moment is combined; arrays of shape [series]."""

    keys: Sequence[Key]
    score: Floats
    surprise: Floats
    confidence: Floats


def seen(scores: Scores) -> Seen:
    """Return what a combiner is told of `scores`; a series that vanished has fallen."""
    below = np.isnan(scores.value) | (scores.value < scores.expected)
    surprise = np.where(below, -scores.score, scores.score)
    return Seen(scores.keys, scores.score, surprise, scores.confidence)


@dataclass(frozen=True)
class Matrices:
    """Arrays of shape [services, signals]; NaN where no series has a score now."""

    score: Floats
    surprise: Floats
    confidence: Floats


class Layout:
    """Where each series of some answers stands: `order` sorts them by cell, `starts` are the cells' first ones.

    A series whose column is -1 is left out.
    """

    def __init__(self, rows: Ints, columns: Ints) -> None:
        width = int(columns.max(initial=0)) + 1
        kept = np.flatnonzero(columns >= 0)
        cells = rows[kept] * width + columns[kept]
        order = np.argsort(cells, kind="stable")
        self.order, cells = kept[order], cells[order]
        self.starts = np.flatnonzero(np.append(True, cells[1:] != cells[:-1])) if len(cells) else order
        self.rows, self.columns = cells[self.starts] // width, cells[self.starts] % width
        self.many = len(self.starts) < len(cells)

    def gather(self, answers: Sequence[Seen], shape: tuple[int, int]) -> Matrices:
        """Return the worst series of each cell, of answers in the order in which the layout was made."""
        score = self._sorted([one.score for one in answers])
        surprise = self._sorted([one.surprise for one in answers])
        confidence = self._sorted([one.confidence for one in answers])
        if self.many:
            worst = self._worst(score)
            count = np.add.reduceat(~np.isnan(score), self.starts, dtype=np.int64)
            score, confidence = _corrected(score[worst], count), confidence[worst]
            surprise = np.copysign(score, surprise[worst])
        return Matrices(*(self._placed(values, shape) for values in (score, surprise, confidence)))

    def _sorted(self, arrays: Sequence[Floats]) -> Floats:
        joined: Floats = np.concatenate(arrays)[self.order] if arrays else np.zeros(0)
        return joined

    def _worst(self, score: Floats) -> Ints:
        """Return which series is the worst of each cell, the first of several."""
        comparable = np.where(np.isnan(score), -1.0, score)
        most = np.maximum.reduceat(comparable, self.starts)
        sizes = np.diff(np.append(self.starts, len(score)))
        is_worst = comparable == np.repeat(most, sizes)
        candidates = np.where(is_worst, np.arange(len(score)), len(score))
        first: Ints = np.minimum.reduceat(candidates, self.starts)
        return first

    def _placed(self, values: Floats, shape: tuple[int, int]) -> Floats:
        matrix = np.full(shape, np.nan)
        matrix[self.rows, self.columns] = values
        return matrix


def _corrected(score: Floats, count: Ints) -> Floats:
    """Return the score of the worst of `count` series; that of a single one to the bit as it is."""
    with np.errstate(divide="ignore"):
        p = -np.expm1(count * np.log1p(-(10.0 ** (-10.0 * score))))
    return np.where(count == 1, score, score_of(p))


class Places:
    """Rows and columns of the series of each signal; looked up once for each list of keys."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Sequence[Key], Ints, Ints]] = {}
        self._layout: tuple[list[Sequence[Key]], Layout] | None = None

    def forget(self) -> None:
        """Look all up again: rows or columns have moved."""
        self._known, self._layout = {}, None

    def fresh(self, name: str, keys: Sequence[Key]) -> bool:
        """Return whether the places of a signal's series are known."""
        return name in self._known and self._known[name][0] is keys

    def put(self, name: str, keys: Sequence[Key], rows: Ints, columns: Ints) -> None:
        """Remember the places; -1 is none, and its series is left out."""
        self._known[name] = (keys, rows, columns)

    def referenced(self) -> tuple[Ints, Ints]:
        """Return all rows and all columns that some series has."""
        none = np.zeros(0, dtype=np.int64)
        rows = np.concatenate([none, *(rows for _, rows, _ in self._known.values())])
        columns = np.concatenate([none, *(columns for _, _, columns in self._known.values())])
        return np.unique(rows[rows >= 0]), np.unique(columns[columns >= 0])

    def gather(self, results: Mapping[str, Seen], shape: tuple[int, int]) -> Matrices:
        """Return the matrices of one moment. All series have been `put`."""
        names = sorted(results)
        lists = [results[name].keys for name in names]
        if self._layout is None or not _same(self._layout[0], lists):
            rows, columns = ([self._known[name][part] for name in names] for part in (1, 2))
            none = np.zeros(0, dtype=np.int64)
            self._layout = lists, Layout(np.concatenate([none, *rows]), np.concatenate([none, *columns]))
        return self._layout[1].gather([results[name] for name in names], shape)


def _same(one: Sequence[Sequence[Key]], other: Sequence[Sequence[Key]]) -> bool:
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))
