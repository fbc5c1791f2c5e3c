"""The series that are forecast, on a grid of five minutes, and the moments to forecast them from.

    DATA/aiops_kpi/*.parquet   kpi, timestamp (Unix seconds), value
    DATA/asd/*.parquet         entity, split (train, test), t (number of the sample, five minutes each), m01 ...

With two folders the past of a series is what both hold of it, and it is forecast only within what DATA holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]

STEP, DAY = 300.0, 86400.0
HORIZONS = {"1h": 3600.0, "24h": 86400.0}
LOOKBACK = round(14 * DAY / STEP)
ORIGINS, FORECASTS = 8, 1500
"""Each series is forecast at least so often, and a set of few series so much oftener as makes up for it."""

LATER = 0.7
"""Share of a series before which it is never forecast: what was tuned was tuned there."""

_FEWEST = round(3 * DAY / STEP)


@dataclass(frozen=True)
class Series:
    """values[t] each five minutes, NaN where there is no sample; forecast from `first` on."""

    name: str
    values: Floats
    first: int


@dataclass(frozen=True)
class Task:
    """What is known at m moments, history[m, t], and what came, came[m, h]; scales[m] make errors comparable.

    series[m]: the number of the series each is of.
    """

    history: Floats
    came: Floats
    scales: Floats
    series: npt.NDArray[np.int64]


def aiops(folders: Sequence[Path]) -> list[Series]:
    """Return the KPIs, each minute's mean over five."""
    frame = pd.concat([_read(folder / "aiops_kpi", at) for at, folder in enumerate(folders)], ignore_index=True)
    names = frame["kpi"].astype(str)
    return [
        _gridded(str(name), part["timestamp"].to_numpy(np.float64) // STEP, part["value"], part["folder"])
        for name, part in frame.groupby(names, sort=True)
    ]


def asd(folders: Sequence[Path]) -> list[Series]:
    """Return each metric of each server; the labelled part follows the unlabelled one."""
    frame = pd.concat([_read(folder / "asd", at) for at, folder in enumerate(folders)], ignore_index=True)
    metrics = sorted(column for column in frame.columns if column.startswith("m"))
    return [
        one
        for name, part in frame.groupby(frame["entity"].astype(str), sort=True)
        for one in _server(str(name), part, metrics)
    ]


SETS: Mapping[str, Any] = {"aiops_kpi": aiops, "asd": asd}


def tasks(series: Sequence[Series], span: tuple[float, float] = (LATER, 1.0)) -> Iterator[Task]:
    """Yield what to forecast, all series from one moment at a time: moments lie evenly over a span of each."""
    origins = max(ORIGINS, -(-FORECASTS // max(len(series), 1)))
    ahead = np.array([round(horizon / STEP) for horizon in HORIZONS.values()])
    for number in range(origins):
        share = span[0] + (span[1] - span[0]) * (number + 0.5) / origins
        task = _task(series, share, ahead)
        if len(task.series):
            yield task


def _task(series: Sequence[Series], share: float, ahead: npt.NDArray[np.int64]) -> Task:
    history, came, numbers = [], [], []
    for number, one in enumerate(series):
        last = one.first + round(share * (len(one.values) - 1 - ahead[-1] - one.first))
        past = one.values[max(0, last + 1 - LOOKBACK) : last + 1]
        if np.isfinite(past).sum() >= _FEWEST and np.isfinite(past[-12:]).any():
            history.append(np.concatenate([np.full(LOOKBACK - len(past), np.nan), past]))
            came.append(one.values[last + ahead])
            numbers.append(number)
    known = np.array(history).reshape(-1, LOOKBACK)
    return Task(known, np.array(came).reshape(-1, len(ahead)), scale(known), np.array(numbers, dtype=np.int64))


def scale(history: Floats) -> Floats:
    """Return the mean size [m] of the change from one day to the next, the denominator of MASE; NaN where it is 0."""
    day = round(DAY / STEP)
    size = np.nanmean(np.abs(history[:, day:] - history[:, :-day]), axis=1)
    return np.where(size > 1e-9 * np.nanmax(np.abs(history), axis=1), size, np.nan)


def _read(folder: Path, number: int) -> pd.DataFrame:
    files = sorted(folder.glob("*.parquet"))
    if not files:
        raise FileNotFoundError(f"expected a parquet file in {str(folder)!r}")
    return pd.read_parquet(files[0]).assign(folder=number)


def _gridded(name: str, steps: Floats, values: pd.Series[Any], folders: pd.Series[Any]) -> Series:
    frame = pd.DataFrame(
        {"step": steps - steps.min(), "value": values.to_numpy(np.float64), "folder": folders.to_numpy()}
    )
    # the same folder twice, or what both hold, counts once: the later one's
    means = frame.groupby("step").agg({"value": "mean", "folder": "max"})
    places = means.index.to_numpy(np.int64)
    grid = np.full(int(places.max()) + 1, np.nan)
    grid[places] = means["value"].to_numpy(np.float64)
    own = places[means["folder"].to_numpy() == means["folder"].max()]
    return Series(name, grid, int(own.min()))


def _server(name: str, frame: pd.DataFrame, metrics: Sequence[str]) -> Iterator[Series]:
    training = frame["split"].to_numpy(str) == "train"
    length = int(frame["t"].to_numpy()[training].max()) + 1 if training.any() else 0
    steps = frame["t"].to_numpy(np.float64) + np.where(training, 0, length)
    for metric in metrics:
        yield _gridded(f"{name}/{metric}", steps, frame[metric], frame["folder"])
