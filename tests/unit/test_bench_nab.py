"""NAB's score by its published definition, against what its own scorer gives."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from detection import nab

STANDARD = nab.PUBLISHED["standard"]
WINDOWS = [(200, 299), (600, 649)]
SAMPLES = 1000


def score(*detections: int, profile: str = "standard") -> float:
    costs = nab.PUBLISHED[profile]
    return nab.normalised([nab.part(np.array(detections, dtype=np.int64), WINDOWS, SAMPLES, costs)], costs)


def sigmoid(x: float) -> float:
    return 2 / (1 + math.exp(5 * x)) - 1


@pytest.mark.parametrize("profile", list(nab.PUBLISHED))
def test_a_silent_detector_has_0_and_a_perfect_one_100(profile: str) -> None:
    assert score(profile=profile) == 0
    assert score(200, 600, profile=profile) == pytest.approx(100)


def test_a_window_found_late_is_worth_less() -> None:
    assert score(200, 624) == pytest.approx(100 * (2 + 1 + sigmoid(-26 / 50) / sigmoid(-1)) / 4)
    assert score(200, 649) < score(200, 624) < 100


def test_the_second_detection_in_a_window_changes_nothing() -> None:
    assert score(200, 250, 280, 600) == pytest.approx(100)


def test_a_detection_before_all_windows_costs_whole() -> None:
    assert score(180) == pytest.approx(-100 * 0.11 / 4)
    assert score(180, profile="reward_low_FP_rate") == pytest.approx(-100 * 0.22 / 4)
    assert score(180, profile="reward_low_FN_rate") == pytest.approx(-100 * 0.11 / 6)


def test_a_detection_soon_after_a_window_costs_less() -> None:
    assert score(309) == pytest.approx(100 * 0.11 * sigmoid(10 / 99) / 4)
    assert score(599) == pytest.approx(-100 * 0.11 / 4)  # more than three widths behind
    assert score(599) < score(330) < score(309) < 0


def test_from_three_widths_behind_a_window_it_costs_whole() -> None:
    at = 299 + 3 * 99
    found = [nab.part(np.array([one]), WINDOWS[:1], SAMPLES, STANDARD).earned for one in (at - 1, at)]
    assert found[0] > -1.11
    assert found[1] == -1.11


def test_the_probation_does_not_count() -> None:
    assert score(0, 149, 200, 600) == pytest.approx(100)
    assert score(150, 200, 600) < 100
    long = nab.part(np.array([749]), [], 10_000, STANDARD)
    assert long.earned == 0
    assert nab.part(np.array([750]), [], 10_000, STANDARD).earned == -0.11


def test_series_are_added_before_they_are_normalised() -> None:
    quiet = nab.part(np.array([], dtype=np.int64), WINDOWS, SAMPLES, STANDARD)
    shouting = nab.part(np.array([500, 700]), [], SAMPLES, STANDARD)
    assert nab.normalised([quiet, shouting], STANDARD) == pytest.approx(100 * -0.22 / 4)
    assert math.isnan(nab.normalised([shouting], STANDARD))


def test_the_costs_come_from_the_data_or_as_published(tmp_path: Path) -> None:
    assert nab.profiles(tmp_path) == nab.PUBLISHED
    matrix = {"tpWeight": 1.0, "fnWeight": 3.0, "fpWeight": 0.5, "tnWeight": 1.0}
    (tmp_path / "profiles.json").write_text(json.dumps({"standard": {"CostMatrix": matrix}}))
    assert nab.profiles(tmp_path) == {**nab.PUBLISHED, "standard": nab.Costs(1.0, 0.5, 3.0)}


def test_detections_are_numbered_as_the_samples_of_the_file() -> None:
    """A gap of the grid has no sample: what begins in it belongs to the next one."""
    samples = np.array([0, 1, 5, 6])
    assert nab.detections(np.array([1, 3, 5, 6]), samples).tolist() == [1, 2, 3]
