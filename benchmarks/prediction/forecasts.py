"""How well signals are forecast: error and coverage at one hour and one day, from moments late in each series."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from time import process_time

import numpy as np

from prediction.forecast_data import HORIZONS, LATER, SETS, STEP, Floats, Task, tasks
from prediction.predict_linear import PredictLinear
from presagio.forecasters.base import Forecast, Forecaster, ForecasterParams
from presagio.toolkit import plugins

Measures = dict[str, float]
Progress = Callable[[str], None]
Make = Callable[[], Forecaster]

COVERAGES = {80: (1, 3), 95: (0, 4)}
"""Which of the quantiles that forecasters give by themselves bound an interval that promises so many per cent."""


def _plugin(name: str, **params: object) -> Forecaster:
    kind = plugins.load(plugins.FORECASTERS, name)
    made: Forecaster = kind(kind.Params.model_validate(params))
    return made


METHODS: Mapping[str, Make] = {
    "persistence": partial(_plugin, "naive"),
    "seasonal_naive": partial(_plugin, "seasonal_naive"),
    "seasonal_naive_week": partial(_plugin, "seasonal_naive", period="week"),
    "mean_of_7_days": partial(_plugin, "seasonal_naive", periods=7),
    "predict_linear": lambda: PredictLinear(ForecasterParams()),
    "drift": partial(_plugin, "drift"),
    "usual_day": partial(_plugin, "usual_day"),
    "regression": partial(_plugin, "regression"),
    "quick": partial(_plugin, "quick"),
    "auto_theta": partial(_plugin, "auto_theta"),
    "auto_ets": partial(_plugin, "auto_ets"),
    "mstl": partial(_plugin, "mstl"),
    "auto": partial(_plugin, "auto"),
}
"""The simple methods that people use, and ours and statsforecast's, all as they come."""

SIMPLE = ("persistence", "seasonal_naive", "seasonal_naive_week", "mean_of_7_days", "predict_linear")
"""What the others are to be better than."""


def run(train: Path, data: Path, methods: Sequence[str] | None, progress: Progress) -> dict[str, dict[str, Measures]]:
    """Return {set: {method: {measure: number}}} for the sets of forecasts that DATA has; others are named."""
    folders = [data] if train.resolve() == data.resolve() else [train, data]
    found: dict[str, dict[str, Measures]] = {}
    for name in SETS:
        if not (data / name).is_dir():
            progress(f"{name}: not in {data}, skipped")
            continue
        found[name] = measure(name, folders, methods or list(METHODS), progress)
    return found


def measure(name: str, folders: Sequence[Path], methods: Sequence[str], progress: Progress) -> dict[str, Measures]:
    """Return the measures of each method on one set."""
    asked = _asked(name, tuple(folders))
    found = {}
    for method in methods:
        begun = process_time()
        forecaster = METHODS[method]()
        made = [forecaster.forecast(task.history, STEP, list(HORIZONS.values())) for task in asked]
        found[method] = {**score(asked, made), "seconds": process_time() - begun}
        told = ", ".join(f"{key} {value:.3g}" for key, value in found[method].items())
        progress(f"{name} {method}: {told}")
    return found


@cache
def _asked(name: str, folders: tuple[Path, ...]) -> list[Task]:
    # what was tuned was tuned on the earlier part of one folder: all that a second one holds is new
    span = (LATER, 1.0) if len(folders) == 1 else (0.0, 1.0)
    return list(tasks(SETS[name](folders), span))


def score(asked: Sequence[Task], made: Sequence[Forecast]) -> Measures:
    """Return the mean absolute scaled error and the coverage at each horizon, means over the series."""
    series = np.concatenate([task.series for task in asked])
    came = np.concatenate([task.came for task in asked])
    mean = np.concatenate([one.mean for one in made])
    bounds = np.concatenate([one.quantiles for one in made])
    errors = np.abs(mean - came) / np.concatenate([task.scales for task in asked])[:, None]
    measures: Measures = {}
    for number, horizon in enumerate(HORIZONS):
        measures[f"mase_{horizon}"] = _of_series(errors[:, number], series)
        for promised, (low, high) in COVERAGES.items():
            value, interval = came[:, number], bounds[:, number]
            within = np.where(np.isnan(value), np.nan, (value >= interval[:, low]) & (value <= interval[:, high]))
            measures[f"coverage_{promised}_{horizon}"] = _of_series(within, series)
    measures["forecasts"] = float(len(series))
    return measures


def _of_series(values: Floats, series: np.ndarray) -> float:
    """Return the mean over the series of each one's mean: a long one is worth no more than a short one."""
    each = [values[series == one] for one in np.unique(series)]
    means = [np.mean(one[np.isfinite(one)]) for one in each if np.isfinite(one).any()]
    return float(np.mean(means)) if means else float("nan")
