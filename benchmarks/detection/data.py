"""The labelled data: one folder for each set, all read the same way.

    DATA/aiops_kpi/*.parquet   kpi, timestamp (Unix seconds), value, label
    DATA/nab/*.parquet         series, timestamp, value, in_window; beside it combined_windows.json
    DATA/asd/*.parquet         entity, split (train, test), t (number of the sample), m01 ..., label
    DATA/smd*/*.parquet        as asd

Columns are known by their names and not by the set's, so that any folder of the same form will do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from presagio.detectors.base import Floats, Ints

Bools = npt.NDArray[np.bool_]

SETS = ("aiops_kpi", "nab", "asd", "smd*")
WINDOWS = "combined_windows.json"
NAMES, TIMES, LABELS = ("kpi", "series", "entity"), ("timestamp", "t"), ("label", "in_window")
TRAINING = "train"
MONDAY = 1_704_067_200.0
"""2024-01-01 00:00 UTC: where a set begins that numbers its samples and does not say when they were taken."""

DAY = 86400.0
PROBATION, LONGEST_NAB_PROBATION = 0.15, 750
_INTERVALS, _USUAL_INTERVAL = {"asd": 300.0}, 60.0
_GAP = -9.0


@dataclass(frozen=True)
class Series:
    """What is judged as one: a KPI, or a machine with all its metrics, on a regular grid.

    times[t] in Unix seconds; values[t, k], NaN where a sample is missing; labels[t] 0 or 1, NaN where nothing is
    known; scored[t]: labelled, and after the probation. samples[m]: where on the grid the samples of the file lie.
    windows: NAB's, as first and last of those samples; None for a set that has none.
    """

    name: str
    interval: float
    times: Floats
    values: Floats
    labels: Floats
    scored: Bools
    samples: Ints
    windows: Sequence[tuple[int, int]] | None = None


@dataclass(frozen=True)
class Columns:
    """Which column of a file is what."""

    name: str
    time: str
    label: str
    values: list[str]


def found(folder: Path) -> Iterator[tuple[str, Path | None]]:
    """Yield each set's name with its file, or with None where the folder has none."""
    if not folder.is_dir():
        raise FileNotFoundError(f"expected a folder of data sets, got {str(folder)!r}: make bench-detection DATA=...")
    for pattern in SETS:
        files = [file for place in sorted(folder.glob(pattern)) for file in sorted(place.glob("*.parquet"))[:1]]
        yield from ((file.parent.name, file) for file in files)
        if not files:
            yield pattern, None


def load(path: Path, limit: int | None = None) -> list[Series]:
    """Read the series of a file, at most `limit`. Raises ValueError for columns that are not known."""
    frame = pd.read_parquet(path)
    columns = _columns(frame, path)
    windows = path.parent / WINDOWS
    known = json.loads(windows.read_text()) if windows.exists() else None
    interval = _INTERVALS.get(path.parent.name, _USUAL_INTERVAL)
    parts = frame.groupby(frame[columns.name].astype(str), sort=False)
    return [_series(str(name), part, columns, interval, known) for name, part in list(parts)[:limit]]


def _columns(frame: pd.DataFrame, path: Path) -> Columns:
    there = [str(column) for column in frame.columns]
    name, time, label = (_one_of(names, there, path) for names in (NAMES, TIMES, LABELS))
    values = [column for column in there if column not in (name, time, label, "split")]
    return Columns(name, time, label, values)


def _one_of(names: Sequence[str], there: Sequence[str], path: Path) -> str:
    for name in names:
        if name in there:
            return name
    raise ValueError(f"{path}: expected a column {' or '.join(names)}, got {', '.join(there)}")


def _series(name: str, frame: pd.DataFrame, columns: Columns, interval: float, windows: Any) -> Series:
    frame = frame.assign(training=frame["split"] == TRAINING if "split" in frame else False)
    frame = frame.sort_values(["training", columns.time], ascending=[False, True], ignore_index=True)
    training = frame["training"].to_numpy(np.bool_)
    if columns.time == "t":
        keep, steps = _numbered(frame["t"].to_numpy(np.int64), training, interval)
        frame, training, begin = frame[keep], training[keep], MONDAY
    else:
        steps, interval, begin = _clocked(_seconds(frame[columns.time]))
    values, labels = _on_grid(frame, columns, training, steps)
    scored = _scored(labels, steps, windows is not None)
    times = begin + interval * np.arange(len(labels), dtype=np.float64)
    own = None if windows is None else list(_indices(windows.get(name, []), times[steps]))
    return Series(name, interval, times, values, labels, scored, steps, own)


def _seconds(column: pd.Series[Any]) -> Floats:
    if pd.api.types.is_datetime64_any_dtype(column):
        column = column.astype("datetime64[ns]").astype("int64") / 1e9
    return np.asarray(column, dtype=np.float64)


def _clocked(seconds: Floats) -> tuple[Ints, float, float]:
    """Return each sample's place on the grid, the grid's interval and its beginning."""
    interval = float(np.median(np.diff(np.unique(seconds))))
    begin = float(seconds.min())
    return np.round((seconds - begin) / interval).astype(np.int64), interval, begin


def _numbered(numbers: Ints, training: Bools, interval: float) -> tuple[Bools, Ints]:
    """Return which samples to keep, and each one's place. The labelled part follows the training part at once.

    Where the labelled part begins later than the training part ends, the training part gives up less than a day, so
    that there is no hole and the hour of the day goes on.
    """
    if training.all() or not training.any():
        return np.ones(len(numbers), dtype=np.bool_), numbers - numbers.min()
    first, day = int(numbers[~training].min()), int(DAY / interval)
    length = int(numbers[training].max()) + 1 - (-first % day)
    places = np.where(training, numbers, numbers - first + length)
    keep: Bools = ~training | (numbers < length)
    return keep, places[keep]


def _on_grid(frame: pd.DataFrame, columns: Columns, training: Bools, steps: Ints) -> tuple[Floats, Floats]:
    """Return values and labels on the grid. A gap has the label of the sample before it."""
    values, labels = np.full((int(steps.max()) + 1, len(columns.values)), np.nan), np.full(int(steps.max()) + 1, _GAP)
    values[steps] = frame[columns.values].to_numpy(np.float64)
    given = frame[columns.label].to_numpy(np.float64)
    labels[steps] = np.where(training | ~np.isin(given, (0.0, 1.0)), np.nan, given)
    latest = np.maximum.accumulate(np.where(labels != _GAP, np.arange(len(labels)), 0))
    return values, labels[latest]


def _scored(labels: Floats, steps: Ints, nab: bool) -> Bools:
    """Return what is scored. Of a series without an unlabelled part the first 15 % of the samples are a probation."""
    labelled = ~np.isnan(labels)
    if not labelled.all():
        return labelled
    probation = int(PROBATION * len(steps))
    scored: Bools = np.arange(len(labels)) >= steps[min(probation, LONGEST_NAB_PROBATION) if nab else probation]
    return scored


def _indices(windows: Sequence[Sequence[str]], times: Floats) -> Iterator[tuple[int, int]]:
    for window in windows:
        first, last = (pd.Timestamp(edge).timestamp() for edge in window)
        begin = int(np.searchsorted(times, first - 0.5))
        end = int(np.searchsorted(times, last + 0.5)) - 1
        if begin <= end:
            yield begin, end


def by_interval(series: Sequence[Series]) -> Mapping[float, list[Series]]:
    """Return the series of each interval, which can be stepped together."""
    groups: dict[float, list[Series]] = {}
    for one in series:
        groups.setdefault(one.interval, []).append(one)
    return groups
