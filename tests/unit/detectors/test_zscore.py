"""What is special about `zscore`."""

import numpy as np
from scipy.stats import norm, t

from presagio.detectors.zscore import Zscore, ZscoreParams


def taught(samples: int, **params: object) -> Zscore:
    detector = Zscore(ZscoreParams.model_validate(params))
    detector.reindex(np.array([-1]))
    for number, value in enumerate(np.random.default_rng(0).normal(100, 5, samples)):
        detector.step(number * 15.0, np.array([value]))
    return detector


def test_the_chance_is_that_of_a_bell_curve_once_much_is_known() -> None:
    score = taught(20_000).step(3e5, np.array([120.0])).score[0]
    assert abs(score - -np.log10(2 * norm.sf(4)) / 10) < 0.06


def test_little_knowledge_is_no_certainty() -> None:
    little, much = taught(31), taught(5000)
    z = (130.0 - little.learnt["mean"][0]) / little._scale(little.learnt["mean"])[0]
    score = little.step(465.0, np.array([130.0])).score[0]
    assert np.isclose(score, -np.log10(2 * t.sf(z, 30)) / 10, rtol=1e-6)
    assert score < much.step(75_000.0, np.array([130.0])).score[0]


def test_student_takes_tails_for_heavy() -> None:
    gaussian, student = taught(3000), taught(3000, tail="student")
    assert gaussian.step(45_000.0, np.array([125.0])).score[0] > 0.55
    assert student.step(45_000.0, np.array([125.0])).score[0] < 0.3


def test_the_band_holds_what_scores_below_0_3() -> None:
    detector = taught(3000)
    for value in np.linspace(75, 125, 60):
        verdict = detector.step(45_000.0, np.array([value]), np.zeros(1))
        assert bool(verdict.lower[0] <= value <= verdict.upper[0]) == bool(verdict.score[0] <= 0.3)
