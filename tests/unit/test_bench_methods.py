"""The methods, ours among them: causal, on one scale, and the whole way from a folder to OUT."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from detection import baselines, bootstrap, calibration, data, measures, prophet_sample, stream
from detection.data import Series
from detection.methods import METHODS
from detection.table import Row, table

from presagio.detectors.base import Floats, score_of

ROOT = Path(__file__).parents[2]
QUARTER, DAYS = 900.0, 6
SLOTS = round(data.DAY / QUARTER)
MEASURED = [name for name in METHODS if name != "prophet"]


def quiet(_: float) -> None:
    """Show no progress."""


def made(name: str = "one", signals: int = 1, days: int = DAYS, begin: float = data.MONDAY, seed: int = 0) -> Series:
    """Return noise with a rise of 50 deviations at noon of the last day, for an hour."""
    rng = np.random.default_rng(seed)
    values = rng.normal(100, 1, (days * SLOTS, signals))
    labels = np.zeros(len(values))
    fault = slice((days - 1) * SLOTS + SLOTS // 2, (days - 1) * SLOTS + SLOTS // 2 + 4)
    values[fault, 0] += 50
    labels[fault] = 1
    times = begin + QUARTER * np.arange(len(values), dtype=np.float64)
    samples = np.arange(len(values))
    return Series(name, QUARTER, times, values, labels, samples >= SLOTS, samples)


def cut(series: Series, length: int) -> Series:
    return Series(
        series.name, series.interval, series.times[:length], series.values[:length], series.labels[:length],
        series.scored[:length], series.samples[:length],
    )  # fmt: skip


@pytest.mark.parametrize("name", [name for name in MEASURED if not name.startswith("presagio_")])
@pytest.mark.parametrize("signals", [1, 3])
def test_what_comes_later_changes_no_score(name: str, signals: int) -> None:
    """Else a method would look ahead. The cut lies at midnight, where models are fitted, and within a day."""
    whole, run = made(signals=signals), METHODS[name].run
    [scores] = run([whole], quiet)
    for length in (4 * SLOTS, 4 * SLOTS + 40):
        [earlier] = run([cut(whole, length)], quiet)
        if name == "random":
            continue  # drawn, not seen
        np.testing.assert_allclose(earlier, scores[:length], atol=1e-6)


@pytest.mark.parametrize("name", MEASURED)
def test_scores_lie_on_the_scale(name: str) -> None:
    [scores] = METHODS[name].run([made(signals=2)], quiet)
    assert scores.shape == (DAYS * SLOTS,)
    there = scores[~np.isnan(scores)]
    assert there.min() >= 0
    assert there.max() <= 1


@pytest.mark.parametrize("name", [name for name in MEASURED if name not in ("random", "null")])
@pytest.mark.parametrize("signals", [1, 3])
def test_a_plain_fault_is_seen_by_all_but_the_blind(name: str, signals: int) -> None:
    series = made(signals=signals)
    [scores] = METHODS[name].run([series], quiet)
    fault = np.nanmax(scores[series.labels == 1])
    # among the steps of three metrics a tree of a forest asks for the one that moved only now and then
    assert fault >= (0.3 if name == "isolation_forest" else 0.6)


@pytest.mark.parametrize("name", ["random", "null"])
def test_the_blind_do_not_see_it(name: str) -> None:
    [scores] = METHODS[name].run([made()], quiet)
    assert scores[made().labels == 1].max() < 0.6


def test_random_is_calibrated() -> None:
    known = [measures.facts(made(days=200), baselines.random(made(days=200)), {})]
    assert 0.5 < measures.calibration_ratio(known) < 2


def test_the_gaussian_score_is_that_of_both_tails() -> None:
    z = np.array([0.0, 1.959964, 3.290527, 100.0, -3.290527])
    np.testing.assert_allclose(baselines.gaussian(z), score_of(np.array([1, 0.05, 0.001, 0, 0.001])), atol=1e-6)


@pytest.mark.parametrize("signals", [1, 3])
def test_a_restart_changes_nothing(signals: int) -> None:
    series = [made("one", signals), made("two", signals, seed=1)]
    for plain, restarted in zip(*(stream.presagio(series, quiet, again) for again in (False, True)), strict=True):
        np.testing.assert_array_equal(plain, restarted)


def test_series_of_other_weeks_are_stepped_together_and_score_as_alone() -> None:
    first, later = made("first"), made("later", begin=data.MONDAY + 3 * stream.WEEK + 7200, seed=1)
    together = stream.presagio([later, first], quiet)
    alone = [stream.presagio([one], quiet)[0] for one in (later, first)]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_dropped_scrape_misses_all_signals_of_a_service() -> None:
    series = made(signals=3, days=60)
    [without] = stream.dropped([series])
    missing = np.isnan(without.values)
    assert (missing.any(axis=1) == missing.all(axis=1)).all()
    assert 0.04 < missing.mean() < 0.06
    np.testing.assert_array_equal(without.labels, series.labels)


def test_the_sample_of_prophet_is_small_and_says_nothing_of_nab() -> None:
    series = [made(str(at), signals=5, days=20, seed=at) for at in range(10)]
    chosen = prophet_sample.sample(series)
    assert [one.name for one in chosen] == ["0", "4", "9"]
    assert {(one.values.shape[1], int(one.scored.sum()), one.windows) for one in chosen} == {(2, 7 * SLOTS, None)}


def test_intervals_hold_the_figure() -> None:
    series = [made(str(at), seed=at) for at in range(6)]
    scores = stream.presagio(series, quiet)
    known = [measures.facts(one, score, {}) for one, score in zip(series, scores, strict=True)]
    figures = measures.figures(known, {})
    for name, (low, high) in bootstrap.intervals(known, lambda drawn: measures.figures(drawn, {})).items():
        assert math.isnan(figures[name]) or low - 1e-12 <= figures[name] <= high + 1e-12


def test_the_table_has_a_row_for_each_method_and_a_dash_for_what_is_unknown() -> None:
    figures = dict.fromkeys(measures.MEASURES, math.nan) | {"event_f1": 0.5, "seconds": 12.0}
    text = table("nab", [Row("presagio", figures, {"event_f1": (0.4, 0.6)}, {"F1 at 0.3": math.nan})])
    assert "presagio  0.500 [0.400, 0.600]  12.0" in text
    assert "NAB low FP" not in text
    assert text.splitlines()[-1].split() == ["presagio", "-"]


def test_the_curve_of_a_calibrated_method_is_the_diagonal() -> None:
    known = [measures.facts(made(days=200), baselines.random(made(days=200)), {})]
    nominal, observed = calibration.curve(known)
    np.testing.assert_allclose(observed[:10], nominal[:10], rtol=0.5)


def folder(place: Path) -> Path:
    """Write a tiny set of each form but asd's."""
    one, other = made("one"), made("other", signals=2, seed=1)
    (place / "aiops_kpi").mkdir(parents=True)
    (place / "smd_tiny").mkdir()
    pd.DataFrame(
        {"kpi": "one", "timestamp": one.times.astype(np.int64), "value": one.values[:, 0], "label": one.labels}
    ).to_parquet(place / "aiops_kpi" / "any.parquet")
    half = len(other.times) // 2
    numbers = np.arange(len(other.times)) % half
    split = np.where(np.arange(len(other.times)) < half, "train", "test")
    columns = {"m01": other.values[:, 0], "m02": other.values[:, 1], "label": other.labels}
    frame = pd.DataFrame({"entity": "other", "split": split, "t": numbers, **columns})
    frame.to_parquet(place / "smd_tiny" / "any.parquet")
    return place


def test_from_a_folder_to_out(tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    argv: list[str | Path] = [
        sys.executable,
        "-P",
        "-m",
        "detection",
        "--data",
        folder(tmp_path / "data"),
        "--out",
        out,
    ]
    argv += ["--methods", "presagio,null,windowed_gaussian"]
    environment = {"PYTHONPATH": str(ROOT / "benchmarks")}
    done = subprocess.run(argv, capture_output=True, text=True, check=True, env=environment)
    results = json.loads(out.read_text())
    assert {name: list(methods) for name, methods in results.items()} == {
        "aiops_kpi": ["presagio", "null", "windowed_gaussian"],
        "smd_tiny": ["presagio", "null", "windowed_gaussian"],
    }
    for methods in results.values():
        assert [set(figures) for figures in methods.values()] == [set(measures.MEASURES)] * 3
        assert methods["presagio"]["event_recall"] == 1.0
        assert methods["null"]["event_f1"] == 0.0
        assert methods["null"]["nab_standard"] is None
    assert "nab: not in" in done.stdout
    assert "asd: not in" in done.stdout
    spread = json.loads((tmp_path / "results.intervals.json").read_text())
    assert spread["aiops_kpi"]["null"]["event_f1"] == [0.0, 0.0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--methods", "prophecy"], "expected methods of presagio, "),
        (["--sets", "nothing"], "expected sets of "),
    ],
)
def test_a_mistake_is_told(tmp_path: Path, words: list[str], message: str) -> None:
    argv: list[str | Path] = [sys.executable, "-P", "-m", "detection", "--data", folder(tmp_path / "data"), *words]
    environment = {"PYTHONPATH": str(ROOT / "benchmarks")}
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
    assert done.returncode != 0
    assert message in done.stderr


def test_no_score_is_made_up(tmp_path: Path) -> None:
    """A method that says nothing is silent, in every measure."""
    [series] = data.load(folder(tmp_path) / "aiops_kpi" / "any.parquet")
    nothing: Floats = np.full(len(series.times), np.nan)
    figures = measures.figures([measures.facts(series, nothing, {})], {})
    assert (figures["event_recall"], figures["event_f1"]) == (0.0, 0.0)
    assert math.isnan(figures["calibration_ratio_at_0_3"])
