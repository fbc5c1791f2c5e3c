"""The benchmark of forecasts: what is asked, what came, and how it is scored."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from prediction import forecast_data, forecasts
from prediction.forecast_data import DAY, HORIZONS, LATER, STEP, Task
from prediction.predict_linear import PredictLinear

from presagio.forecasters.base import Forecast, ForecasterParams
from presagio.forecasters.preparation import prepare

PER_DAY = round(DAY / STEP)
LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)


def kpi(folder: Path, days: int, begin: float = 0.0) -> Path:
    """Write one KPI each minute, a day like the other, with an hour's gap."""
    minutes = np.arange(days * 1440)
    minutes = minutes[(minutes < 3000) | (minutes >= 3060)]
    values = 10 + np.sin(2 * np.pi * minutes / 1440) + np.random.default_rng(1).normal(0, 0.1, len(minutes))
    (folder / "aiops_kpi").mkdir(parents=True)
    frame = pd.DataFrame({"kpi": "a", "timestamp": begin + 60 * minutes, "value": values})
    frame.to_parquet(folder / "aiops_kpi" / "part.parquet")
    return folder


def server(folder: Path) -> Path:
    (folder / "asd").mkdir(parents=True)
    parts = [
        pd.DataFrame({"entity": "s", "split": split, "t": np.arange(count), "m01": value, "m02": np.arange(count)})
        for split, count, value in (("train", 6 * PER_DAY, 1.0), ("test", 4 * PER_DAY, 2.0))
    ]
    pd.concat(parts).to_parquet(folder / "asd" / "asd.parquet")
    return folder


def test_minutes_become_means_of_five_and_gaps_stay_gaps(tmp_path: Path) -> None:
    (one,) = forecast_data.aiops([kpi(tmp_path, 5)])
    assert len(one.values) == 5 * PER_DAY
    assert np.isnan(one.values).sum() == 12
    assert one.first == 0


def test_the_labelled_part_follows_the_unlabelled(tmp_path: Path) -> None:
    one, two = forecast_data.asd([server(tmp_path)])
    assert (one.name, len(one.values)) == ("s/m01", 10 * PER_DAY)
    assert one.values[[6 * PER_DAY - 1, 6 * PER_DAY]].tolist() == [1, 2]
    assert two.values[6 * PER_DAY] == 0


def test_only_the_later_part_is_forecast_and_what_came_is_after_what_is_known() -> None:
    values = np.arange(20.0 * PER_DAY)
    asked = list(forecast_data.tasks([forecast_data.Series("a", values, 0)]))
    assert len(asked) == forecast_data.FORECASTS  # of one series, and of two half as many
    for task in asked:
        now = task.history[0, -1]
        assert now >= LATER * (len(values) - PER_DAY) - 1
        assert (task.came[0] - now).tolist() == [12, PER_DAY]


def test_of_two_folders_only_what_the_second_holds_is_forecast(tmp_path: Path) -> None:
    past, later = kpi(tmp_path / "past", 6), kpi(tmp_path / "later", 8, begin=6 * DAY)
    (one,) = forecast_data.aiops([past, later])
    assert (one.first, len(one.values)) == (6 * PER_DAY, 14 * PER_DAY)


def test_a_second_folder_is_forecast_from_its_beginning(tmp_path: Path) -> None:
    past, later = kpi(tmp_path / "past", 6), kpi(tmp_path / "later", 8, begin=6 * DAY)
    counts = [
        forecasts.measure("aiops_kpi", folders, ["persistence"], lambda _: None)["persistence"]["forecasts"]
        for folders in ([later], [past, later])
    ]
    # nothing is forecast out of the gap, which lies in the earlier part
    assert counts[0] == forecast_data.FORECASTS
    assert 0.97 * counts[0] < counts[1] < counts[0]


def test_scores_by_hand() -> None:
    task = Task(np.zeros((2, 1)), np.array([[3.0, np.nan], [10.0, 4.0]]), np.array([2.0, 1.0]), np.array([0, 1]))
    mean = np.array([[1.0, 0.0], [10.5, 5.0]])
    spread = mean[..., None] + np.array([-3.0, -0.6, 0.0, 0.6, 3.0])
    found = forecasts.score([task], [Forecast(mean, spread, LEVELS)])
    assert found["mase_1h"] == pytest.approx((2 / 2 + 0.5 / 1) / 2)
    assert found["mase_24h"] == pytest.approx(1.0)
    assert (found["coverage_80_1h"], found["coverage_95_1h"]) == (0.5, 1.0)
    assert (found["coverage_80_24h"], found["coverage_95_24h"]) == (0.0, 1.0)


def test_a_series_counts_once_however_often_it_is_forecast() -> None:
    first = Task(np.zeros((2, 1)), np.array([[1.0, 1.0], [0.0, 0.0]]), np.ones(2), np.array([0, 1]))
    second = Task(np.zeros((1, 1)), np.array([[1.0, 1.0]]), np.ones(1), np.array([0]))
    told = [Forecast(np.zeros((count, 2)), np.zeros((count, 2, 5)), LEVELS) for count in (2, 1)]
    assert forecasts.score([first, second], told)["mase_1h"] == pytest.approx(0.5)


def test_predict_linear_goes_on_as_it_went() -> None:
    history = prepare(np.arange(200.0)[None])
    path = PredictLinear(ForecasterParams()).path(history, np.array([150]), np.array([12, 288]), STEP)
    assert path[0, 0] == pytest.approx([162, 438])


def test_every_method_forecasts_a_set(tmp_path: Path) -> None:
    told: list[str] = []
    found = forecasts.run(tmp_path, kpi(tmp_path, 12), list(forecasts.SIMPLE), told.append)
    assert set(found) == {"aiops_kpi"}
    assert any("asd: not in" in line for line in told)
    for method in forecasts.SIMPLE:
        assert all(np.isfinite(value) for value in found["aiops_kpi"][method].values())
    assert found["aiops_kpi"]["mean_of_7_days"]["mase_1h"] < found["aiops_kpi"]["persistence"]["mase_1h"]
    assert set(HORIZONS) == {"1h", "24h"}


def test_every_method_can_be_made() -> None:
    assert all(make() is not None for make in forecasts.METHODS.values())
