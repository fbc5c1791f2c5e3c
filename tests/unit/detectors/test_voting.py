"""k of n detectors must agree."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from presagio.detectors.base import DetectorParams, Verdict
from presagio.detectors.voting import Voting, VotingParams
from presagio.exporter import config as exporter_config
from presagio.toolkit import plugins
from presagio.toolkit.errors import ConfigError


class Says:
    """A member that says the same of every row."""

    Params = DetectorParams

    def __init__(self, score: float, confidence: float) -> None:
        self.score, self.confidence = score, confidence

    def step(self, time: float, values: np.ndarray, trust: np.ndarray | None = None) -> Verdict:
        ones = np.ones(len(values))
        return Verdict(self.score * ones, self.score * ones, 0 * ones, ones, self.confidence * ones)


def vote(at_least: int | str, *said: tuple[float, float]) -> Verdict:
    members = [{"name": "zscore"} for _ in said]
    voting = Voting(VotingParams.model_validate({"detectors": members, "at_least": at_least}))
    voting.members = [Says(*one) for one in said]  # type: ignore[misc] # half a detector is enough to be asked
    return voting.step(0.0, np.zeros(2))


@pytest.mark.parametrize(("at_least", "score"), [(1, 0.9), (2, 0.7), (3, 0.1), ("all", 0.1)])
def test_the_score_is_what_k_of_them_say(at_least: int | str, score: float) -> None:
    assert vote(at_least, (0.7, 1.0), (0.9, 1.0), (0.1, 1.0)).score.tolist() == [score, score]


def test_a_member_without_a_score_agrees_to_nothing_and_lowers_the_confidence() -> None:
    verdict = vote(2, (0.7, 0.9), (np.nan, 0.9), (0.5, 0.9))
    assert verdict.score.tolist() == [0.5, 0.5]
    np.testing.assert_allclose(verdict.confidence, 0.6)
    assert vote("all", (0.7, 0.9), (np.nan, 0.9)).score.tolist() == [0.0, 0.0]
    assert np.isnan(vote(2, (np.nan, 0.9), (np.nan, 0.9)).score).all()


def test_the_expected_value_is_the_first_one_s() -> None:
    assert vote(1, (0.25, 1.0), (0.75, 1.0)).expected.tolist() == [0.25, 0.25]


def test_members_have_the_signal_s_params_and_their_own() -> None:
    given = {
        "direction": "above",
        "detectors": [{"name": "mad"}, {"name": "zscore", "params": {"direction": "below"}}],
    }
    members: list[Any] = Voting(VotingParams.model_validate(given)).members
    assert [one.params.direction for one in members] == ["above", "below"]
    assert [type(one) for one in members] == [plugins.load(plugins.DETECTORS, name) for name in ("mad", "zscore")]


@pytest.mark.parametrize(
    ("params", "told"),
    [
        (
            "{detectors: [{name: zscore}, {name: madd}]}",
            [
                "detector_params.detectors[1].name",
                "no presagio.detectors named 'madd' is installed",
                "did you mean 'mad'",
            ],
        ),
        (
            "{detectors: [{name: zscore}, {name: voting}]}",
            ["detector_params.detectors[1].name", "a detector that does not vote itself, got 'voting'"],
        ),
        (
            "{detectors: [{name: zscore}, {name: mad, params: {window: 1}}]}",
            ["detector_params.detectors[1].params.window", "greater than or equal to 10"],
        ),
        ("{detectors: [{name: zscore}]}", ["detector_params.detectors", "at least 2 items"]),
        (
            "{detectors: [{name: zscore}, {name: mad}], at_least: 3}",
            ["detector_params", "at_least of 1 to 2 or all, got 3"],
        ),
    ],
)
def test_mistakes_are_told_with_their_place_in_the_file(params: str, told: list[str], tmp_path: Path) -> None:
    path = tmp_path / "exporter.yml"
    path.write_text(
        f"signals:\n  - name: load\n    query: load\n    detector: voting\n    detector_params: {params}\n"
    )
    with pytest.raises(ConfigError) as caught:
        exporter_config.FILE.load(path)
    (mistake,) = caught.value.mistakes
    assert str(mistake).startswith(f"{path}:5: signals[0].")
    for words in told:
        assert words in str(mistake)
