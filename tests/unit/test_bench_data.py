"""Folders of labelled data, read by the names of their columns."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from detection import data

DAY = 86400


def write(folder: Path, **columns: Sequence[object]) -> Path:
    folder.mkdir(parents=True)
    path = folder / f"{folder.name}.parquet"
    pd.DataFrame(columns).to_parquet(path)
    return path


def kpi(folder: Path, times: Sequence[int]) -> data.Series:
    path = write(folder, kpi=["a"] * len(times), timestamp=times, value=[1.0] * len(times), label=[0] * len(times))
    [series] = data.load(path)
    return series


def test_a_series_of_its_own_clock(tmp_path: Path) -> None:
    series = kpi(tmp_path / "aiops_kpi", range(6000, 6000 + 300 * 100, 300))
    assert series.interval == 300
    assert series.times[[0, -1]].tolist() == [6000, 6000 + 300 * 99]
    assert series.values.shape == (100, 1)


def test_the_first_15_percent_are_a_probation(tmp_path: Path) -> None:
    series = kpi(tmp_path / "aiops_kpi", range(0, 60 * 100, 60))
    assert series.scored.tolist() == [False] * 15 + [True] * 85


def test_a_gap_is_a_missing_value_with_the_label_before_it(tmp_path: Path) -> None:
    path = write(
        tmp_path / "aiops_kpi",
        kpi=["a"] * 5, timestamp=[0, 60, 120, 300, 360], value=[1.0, 2, 3, 4, 5], label=[0, 0, 1, 0, 0],
    )  # fmt: skip
    [series] = data.load(path)
    assert np.isnan(series.values[:, 0]).tolist() == [False, False, False, True, True, False, False]
    assert series.labels.tolist() == [0, 0, 1, 1, 1, 0, 0]
    assert series.samples.tolist() == [0, 1, 2, 5, 6]


def machine(folder: Path, train: int, first: int, test: int) -> data.Series:
    numbers = [*range(train), *range(first, first + test)]
    path = write(
        folder,
        entity=["m"] * len(numbers), split=["train"] * train + ["test"] * test, t=numbers,
        m01=[float(at) for at in range(len(numbers))], m02=[0.0] * len(numbers),
        label=[0] * train + [0, 1] * (test // 2),
    )  # fmt: skip
    [series] = data.load(path)
    return series


def test_the_training_part_comes_first_and_is_not_scored(tmp_path: Path) -> None:
    series = machine(tmp_path / "smd3", train=1000, first=0, test=100)
    assert series.values[:, 0].tolist() == list(range(1100))
    assert series.scored.tolist() == [False] * 1000 + [True] * 100
    assert np.isnan(series.labels[:1000]).all()
    assert series.labels[1000:].tolist() == [0, 1] * 50
    assert series.interval == 60


def test_a_labelled_part_that_begins_later_goes_on_at_its_hour_without_a_hole(tmp_path: Path) -> None:
    """576 samples of 5 minutes are two days; the labelled part begins half a day into its first one."""
    series = machine(tmp_path / "asd", train=576, first=144, test=100)
    assert not np.isnan(series.values).any()
    begins = series.scored.argmax()
    assert begins == 576 - 144
    assert series.values[begins, 0] == 576
    assert series.times[begins] % DAY == data.MONDAY % DAY + DAY / 2


def test_a_label_that_is_neither_is_unknown(tmp_path: Path) -> None:
    path = write(
        tmp_path / "aiops_kpi", kpi=["a"] * 4, timestamp=[0, 60, 120, 180], value=[1.0] * 4, label=[-1, 0, 1, 0]
    )
    [series] = data.load(path)
    assert series.scored.tolist() == [False, True, True, True]


def nab(folder: Path) -> Path:
    stamps = pd.date_range("2014-04-01", periods=100, freq="5min").delete([50, 51])
    path = write(folder, series=["x/a.csv"] * 98, timestamp=stamps, value=[1.0] * 98, in_window=[0] * 98)
    window = ["2014-04-01 04:00:00.000000", "2014-04-01 05:00:00.000000"]
    (folder / "combined_windows.json").write_text(json.dumps({"x/a.csv": [window]}))
    return path


def test_windows_are_numbered_as_the_samples_of_the_file(tmp_path: Path) -> None:
    [series] = data.load(nab(tmp_path / "nab"))
    assert series.windows == [(48, 58)]
    assert series.times[0] == pd.Timestamp("2014-04-01").timestamp()
    assert series.values.shape == (100, 1)
    assert series.scored.argmax() == 14


def test_sets_that_are_absent_are_named(tmp_path: Path) -> None:
    nab(tmp_path / "nab")
    machine(tmp_path / "smd_other", 10, 0, 10)
    names = {name: path is not None for name, path in data.found(tmp_path)}
    assert names == {"aiops_kpi": False, "nab": True, "asd": False, "smd_other": True}


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"expected a folder of data sets, got '.*/nothing'"):
        list(data.found(tmp_path / "nothing"))


def test_a_file_without_labels_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "nab", series=["a"], timestamp=[0], value=[1.0])
    with pytest.raises(ValueError, match="expected a column label or in_window, got series, timestamp, value"):
        data.load(path)


def test_at_most_so_many_series(tmp_path: Path) -> None:
    path = write(
        tmp_path / "aiops_kpi", kpi=["a", "a", "b", "b"], timestamp=[0, 60] * 2, value=[1.0] * 4, label=[0] * 4
    )
    assert [series.name for series in data.load(path, limit=1)] == ["a"]
