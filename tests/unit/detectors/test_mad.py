"""What is special about `mad`."""

import numpy as np

from presagio.detectors.mad import Mad, MadParams, middle


def stepped(values: np.ndarray, **params: object) -> tuple[Mad, np.ndarray]:
    detector = Mad(MadParams.model_validate(params))
    detector.reindex(np.array([-1]))
    return detector, np.array([detector.step(k * 15.0, np.array([v])).score[0] for k, v in enumerate(values)])


def test_the_middle_is_the_median_of_what_there_is() -> None:
    window = np.array([[3.0, 1.0, 2.0, np.nan], [4.0, 1.0, 2.0, 9.0], [np.nan] * 4])
    np.testing.assert_array_equal(middle(window, np.array([3, 4, 0])), [2.0, 3.0, np.nan])


def test_the_expected_value_is_the_median_of_the_window() -> None:
    values = np.random.default_rng(0).normal(100, 5, 75)
    detector, _ = stepped(values, window=50)
    assert detector.step(1e4, np.array([np.nan])).expected[0] == np.median(values[-50:])


def test_a_fault_does_not_enter_the_window_until_it_has_held() -> None:
    values = np.concatenate(
        [np.random.default_rng(k).normal(level, 5, 480) for k, level in enumerate((100, 300, 300))]
    )
    detector, scores = stepped(values, adapt_after="2h")
    assert scores[480:955].min() > 0.6
    assert np.mean(scores[1000:] > 0.6) == 0
    assert abs(detector.step(1e5, np.array([np.nan])).expected[0] - 300) < 5
