"""The benchmark of predictions: its measures by hand, its splits, and the whole way from folders to OUT."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from prediction import alpi, backblaze, baselines, cmapss, measures
from prediction.results import Results
from prediction.table import table

from presagio.detectors.base import Floats
from presagio.forecasters.base import Examples, Inputs

ROOT = Path(__file__).parents[2]
DAY = 86400.0


def told(failed: list[int], groups: list[int], times: list[float]) -> Examples:
    """Return examples with no more than is measured."""
    truth = np.array(failed, dtype=np.bool_)
    count = len(truth)
    inputs = Inputs(np.zeros((count, 0)), np.zeros((count, 0, 0), dtype=np.float32), ())
    numbers = np.array(groups, dtype=np.int64)
    return Examples(inputs, truth, np.array(times), numbers, np.where(truth, numbers, -1), np.ones(count))


def drive_days(drives: int = 60, days: int = 20, seed: int = 0) -> pd.DataFrame:
    """Return drives, a third of which fail one day; their sectors are reallocated for some days before."""
    rng = np.random.default_rng(seed)
    rows = []
    for drive in range(drives):
        fails = int(rng.integers(4, days)) if drive % 3 == 0 else None
        for day in range(days if fails is None else fails + 1):
            bad = max(0, day - fails + 6) if fails is not None else 0
            date = pd.Timestamp("2013-04-01") + pd.Timedelta(days=day)
            rows.append((date, f"d{drive}", "m", 10**12, int(day == fails), day, 40 * bad, 100 + day, 25, bad))
    smart = [f"smart_{number}_raw" for number in (1, 5, 9, 194, 197)]
    return pd.DataFrame(rows, columns=["date", "serial_number", "model", "capacity_bytes", "failure", *smart])


def engine_cycles(split: str, count: int, seed: int) -> pd.DataFrame:
    """Return engines that wear out: one sensor rises towards the end of each life."""
    rng = np.random.default_rng(seed)
    parts = []
    for unit in range(1, count + 1):
        life = int(rng.integers(60, 90))
        cycle = np.arange(1, (life if split == "train" else life // 2) + 1)
        wear = np.exp(-(life - cycle) / 20) + rng.normal(0, 0.02, len(cycle))
        parts.append(pd.DataFrame({"subset": "FD001", "split": split, "unit": unit, "cycle": cycle, "s01": wear}))
    return pd.concat(parts, ignore_index=True)


def alarm_windows(count: int, seed: int) -> pd.DataFrame:
    """Return windows of two machines in which each code comes again."""
    rng = np.random.default_rng(seed)
    before = [rng.integers(1, 9, rng.integers(1, 6)) for _ in range(count)]
    after = [np.unique(np.append(codes[-1:], rng.integers(1, 4))) for codes in before]
    return pd.DataFrame({"x": before, "y": after, "stratify": np.arange(count) % 2})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the three sets."""
    for name in (backblaze.SET, cmapss.SET, alpi.SET):
        (tmp_path / name).mkdir()
    drive_days().to_parquet(tmp_path / backblaze.SET / "drive_days.parquet")
    engine_cycles("train", 20, 0).to_parquet(tmp_path / cmapss.SET / "cmapss.parquet")
    alarm_windows(300, 0).to_parquet(tmp_path / alpi.SET / "alpi_train.parquet")
    return tmp_path


def test_caught_counts_services_and_leads_from_the_second_alarm() -> None:
    lives = measures.Lives(np.array([0, 1]), np.array([4 * DAY, 4 * DAY]))
    groups = [0, 0, 0, 1, 1, 1, *range(2, 102)]
    found = told([0, 1, 1, 0, 1, 1] + [0] * 100, groups, [1 * DAY, 2 * DAY, 3 * DAY] * 2 + [DAY] * 100)
    said = np.array([0.9, 0.9, 0.9, 0.1, 0.1, 0.1, 0.8] + [0.5] * 99)
    assert measures.threshold(found, said, lives, 0.01) == 0.5
    assert measures.caught(found, said, lives, 0.01) == (0.5, 2 * DAY)
    assert measures.caught(found, said, lives, 0.001) == (0.5, 2 * DAY)
    assert measures.at_moments(found, said, 0.5) == 0.5
    assert measures.caught(found, said, lives, 1 / 3)[0] == 0.5
    alarmed_once = np.where(np.arange(106) < 2, 0.1, said)
    assert math.isnan(measures.caught(found, alarmed_once, lives, 0.01)[1])


def test_life_is_the_area_below_survival() -> None:
    never = {30.0: np.zeros(1), 125.0: np.zeros(1)}
    assert measures.expected_life(never) == pytest.approx(125.0)
    half = {50.0: np.array([0.0]), 125.0: np.array([1.0])}
    assert measures.expected_life(half) == pytest.approx(50 + 75 / 2)
    rising = {50.0: np.array([1.0]), 125.0: np.array([0.2])}
    assert measures.expected_life(rising) == pytest.approx(25.0)
    assert measures.rmse(np.array([130.0, 10.0]), np.array([125.0, 12.0])) == pytest.approx(math.sqrt(2))


def test_micro_and_macro_differ_by_what_a_code_weighs() -> None:
    came = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 0]], dtype=np.bool_)
    said: Floats = np.array([[0.9, 0.5, 0.1], [0.9, 0.2, 0.1], [0.9, 0.1, 0.1]])
    assert measures.micro(came, said) == pytest.approx((3 + 4 / 5) / 4)
    assert measures.macro(came, said) == pytest.approx((1 + 1 / 2) / 2)


def test_drives_are_learnt_from_strictly_before_the_border(folder: Path) -> None:
    found = backblaze.load(folder, folder)
    rng = np.random.default_rng(0)
    learnt, asked = backblaze.lesson(found, 3, rng), backblaze.exam(found, 3, rng)
    assert learnt.times.max() + 3 * DAY <= found.border <= asked.times.min()
    assert learnt.distinct > 2
    assert asked.distinct > 2
    past = np.flatnonzero(found.episodes.begins <= found.border)
    hidden = replace(found, episodes=found.episodes.rows(past))
    assert np.array_equal(backblaze.lesson(hidden, 3, np.random.default_rng(0)).failed, learnt.failed)
    assert np.nanmax(backblaze.rule(asked)) == 1.0


def test_a_second_folder_of_drives_is_what_is_scored(folder: Path, tmp_path: Path) -> None:
    frame, other = drive_days(), tmp_path / "later" / backblaze.SET
    other.mkdir(parents=True)
    frame[frame["date"] >= "2013-04-11"].to_parquet(other / "drive_days.parquet")
    found = backblaze.load(folder, other.parent)
    assert found.border == pd.Timestamp("2013-04-11").timestamp()
    assert len(found.panel.times) == 20


def test_engines_are_held_out_whole_and_cut_within_their_life(folder: Path) -> None:
    found = cmapss.load(folder, "train")
    assert found is not None
    held = []
    for exam in cmapss.folds(found, np.random.default_rng(0)):
        assert not set(exam.learnt) & set(exam.services)
        assert (exam.moments < found.lengths[exam.services]).all()
        held += sorted(set(exam.services.tolist()))
        learnt = cmapss.lesson(found, exam, np.random.default_rng(0))
        assert set(learnt.groups) <= set(exam.learnt)
        assert (np.diff(learnt.times) > 0).all()
        left = cmapss.remaining(found, learnt)
        assert left.min() == 0
        assert (cmapss.within(learnt, left, 30.0).failed == (left <= 30)).all()
    assert sorted(held) == list(range(20))


def test_an_engine_is_told_by_its_own_past_alone(folder: Path) -> None:
    found = cmapss.load(folder, "train")
    assert found is not None
    services, moments = np.array([3]), np.array([30])
    values = found.panel.values.copy()
    values[3, 31:] = np.nan
    values[4:, 10:] = np.nan
    blind = replace(found, panel=replace(found.panel, values=values))
    seen, told = (cmapss.asked(one, services, moments).inputs.features for one in (found, blind))
    assert np.allclose(seen, told, equal_nan=True)


def test_test_engines_live_as_long_as_the_file_says(folder: Path) -> None:
    assert cmapss.load(folder, "test") is None
    both = pd.concat([engine_cycles("train", 20, 0), engine_cycles("test", 4, 1)], ignore_index=True)
    both.to_parquet(folder / cmapss.SET / "cmapss.parquet")
    assert cmapss.load(folder, "test") is None
    told = pd.DataFrame({"subset": "FD001", "unit": [4, 3, 2, 1], "rul": [40, 30, 20, 10]})
    told.to_csv(folder / cmapss.SET / "test_rul.csv", index=False)
    train, test = cmapss.load(folder, "train"), cmapss.load(folder, "test")
    assert train is not None
    assert test is not None
    found = cmapss.joined(train, test)
    exam = cmapss.last(found, len(train.subsets))
    assert cmapss.remaining(found, cmapss.asked(found, exam.services, exam.moments)).tolist() == [10, 20, 30, 40]


def test_windows_count_codes_and_how_long_ago_each_came() -> None:
    frame = pd.DataFrame({"x": [np.array([7, 9, 7, 8])], "y": [np.array([9, 9])], "stratify": [1]})
    found = alpi.windows(frame, np.array([7, 8, 9]))
    assert found.counts.tolist() == [[2, 1, 1]]
    assert found.places.tolist() == [[1, 0, 2]]
    assert found.came.tolist() == [[False, False, True]]


def test_windows_that_overlap_the_border_are_left_out() -> None:
    found = alpi.windows(alarm_windows(200, 0), np.arange(1, 9))
    earlier, later = alpi.split(found)
    assert earlier.order.max() == 69
    assert later.order.min() == 70 + alpi.GAP


def test_pairs_left_out_are_weighed_by_those_that_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alpi, "MOST", 100)
    found = alpi.windows(alarm_windows(200, 0), np.arange(1, 9))
    sample = alpi.sample(found, alpi.rates(found), np.random.default_rng(0))
    assert len(sample) == 100
    assert sample.weights.sum() == pytest.approx(found.came.size)
    assert np.average(sample.failed, weights=sample.weights) == pytest.approx(found.came.mean())


@pytest.mark.parametrize("method", [baselines.logistic_regression, baselines.lightgbm_raw, baselines.base_rate])
def test_baselines_see_the_moment_alone(method: object, folder: Path) -> None:
    found = backblaze.load(folder, folder)
    learnt = backblaze.lesson(found, 3, np.random.default_rng(0))
    fitted = method(learnt, lambda _: None)  # type: ignore[operator]
    said = fitted(learnt.inputs)
    past = np.array([not name.endswith(baselines.NOW) for name in learnt.inputs.names])
    features = np.where(past, 0.0, learnt.inputs.features)
    assert np.array_equal(fitted(replace(learnt.inputs, features=features)), said)
    assert said.min() >= 0
    assert said.max() <= 1


def test_results_stay_and_are_added_to(tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    Results(out).add("one", "a", {"x": 1.0, "y": math.nan})
    Results(out).add("one", "a", {"z": 2.0})
    assert json.loads(out.read_text()) == {"one": {"a": {"x": 1.0, "y": None, "z": 2.0}}}
    assert "a       1.00  -  2.00" in table("one", Results(out).figures["one"])


@pytest.mark.parametrize("name", [backblaze.SET, alpi.SET, cmapss.SET])
def test_from_folder_to_out(name: str, folder: Path) -> None:
    out = folder / "out.json"
    run = bench(
        "--data", str(folder), "--out", str(out), "--sets", name, "--methods", "logistic_regression,base_rate"
    )
    assert run.returncode == 0, run.stderr
    figures = json.loads(out.read_text())[name]
    measure = {backblaze.SET: "h3_average_precision", alpi.SET: "micro_average_precision"}.get(name, "FD001_rmse")
    worse = 1 if name == cmapss.SET else -1
    assert worse * figures["base_rate"][measure] > worse * figures["logistic_regression"][measure]


def test_a_second_folder_is_scored_with_what_the_first_taught(folder: Path, tmp_path: Path) -> None:
    other, out = tmp_path / "second", tmp_path / "two.json"
    for name in (alpi.SET, cmapss.SET):
        (other / name).mkdir(parents=True)
    alarm_windows(50, 1).to_parquet(other / alpi.SET / "alpi_test.parquet")
    engine_cycles("test", 6, 1).to_parquet(other / cmapss.SET / "cmapss.parquet")
    left = pd.DataFrame({"subset": "FD001", "unit": range(1, 7), "rul": [30, 40, 30, 40, 30, 40]})
    left.to_csv(other / cmapss.SET / "test_rul.csv", index=False)
    run = bench(
        "--train", str(folder), "--data", str(other), "--out", str(out), "--methods", "lightgbm_raw",
        "--sets", f"{alpi.SET},{cmapss.SET},{backblaze.SET}",
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "300 windows to learn from, 50 to score" in run.stdout
    assert "26 engines, 6 moments to score" in run.stdout
    assert f"{backblaze.SET}: not in" in run.stdout
    assert set(json.loads(out.read_text())) == {alpi.SET, cmapss.SET}


def test_unknown_names_are_refused(tmp_path: Path) -> None:
    run = bench("--data", str(tmp_path), "--methods", "oracle")
    assert run.returncode == 2
    assert "got 'oracle'" in run.stderr


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command as `make bench-prediction` does."""
    command = [sys.executable, "-P", "-m", "prediction", *arguments]
    environment = {"PYTHONPATH": str(ROOT / "benchmarks"), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
