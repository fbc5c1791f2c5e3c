"""Series that nearly always have one value."""

import numpy as np

from presagio.detectors.constancy import Constancy
from presagio.detectors.profile import Profile, ProfileParams

YES, NO = np.array([True]), np.array([False])
INTERVAL = 60.0


def fresh() -> Constancy:
    constancy = Constancy()
    constancy.reindex(np.array([-1]))
    return constancy


def show(constancy: Constancy, value: float, learns: bool = True) -> tuple[float, bool]:
    """Show one value, and let it vote if it `learns`."""
    least, still = constancy.step(np.array([value]), YES, YES)
    constancy.learn(np.array([value]), YES if learns else NO)
    return float(least[0]), bool(still[0])


def shown(values: list[float]) -> tuple[Constancy, list[tuple[float, bool]]]:
    constancy = fresh()
    return constancy, [show(constancy, value) for value in values]


def scores(values: np.ndarray) -> np.ndarray:
    detector = Profile(ProfileParams())
    detector.reindex(np.array([-1]))
    return np.array(
        [detector.step(number * INTERVAL, np.array([value])).score[0] for number, value in enumerate(values)]
    )


def test_a_constant_is_still_from_its_first_sample() -> None:
    assert all(still for _, still in shown([7.0] * 50)[1])


def test_the_longer_it_was_constant_the_rarer_is_a_change() -> None:
    chances = [show(shown([1.0] * samples)[0], 0.0)[0] for samples in (10, 100, 1000)]
    assert chances == sorted(chances, reverse=True)
    assert chances[-1] < 2e-3


def test_a_change_that_lasts_grows_rarer_while_it_has_no_vote() -> None:
    constancy, _ = shown([1.0] * 500)
    chances = [show(constancy, 0.0, learns=False)[0] for _ in range(20)]
    assert chances == sorted(chances, reverse=True)
    assert chances[-1] < 1e-5
    assert show(constancy, 1.0) == (0.0, True)


def test_a_new_value_that_is_taught_for_longer_is_the_one_value() -> None:
    constancy, _ = shown([1.0] * 100)
    for _ in range(2500):
        show(constancy, 3.0)
    assert show(constancy, 3.0)[1]
    assert not show(constancy, 1.0)[1]


def test_votes_are_forgotten_so_that_a_long_past_does_not_rule_for_ever() -> None:
    constancy, _ = shown([1.0] * 20_000)
    for _ in range(2500):
        show(constancy, 3.0)
    assert show(constancy, 3.0)[1]


def test_a_series_of_many_values_is_left_to_the_views() -> None:
    noise = np.random.default_rng(0).normal(100, 5, 500).tolist()
    assert shown(noise)[1][-1] == (0.0, False)


def test_a_missing_value_is_no_change() -> None:
    constancy, _ = shown([1.0] * 100)
    before = {name: array.copy() for name, array in constancy.state("").items()}
    least, still = constancy.step(np.array([5.0]), NO, NO)
    constancy.learn(np.array([5.0]), NO)
    assert (least[0], still[0]) == (0.0, False)
    for name, array in constancy.state("").items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)


def test_up_that_drops_is_suspect_at_once_and_ever_more_so_until_it_is_back() -> None:
    got = scores(np.concatenate([np.ones(1200), np.zeros(60), np.ones(60)]))
    assert got[:1200].max() == 0
    assert got[1200] > 0.3
    assert (np.diff(got[1200:1260]) >= 0).all()
    assert got[1210:1260].min() > 0.6
    assert got[1260:].max() == 0


def test_what_changes_now_and_then_may_change() -> None:
    """Replicas that are scaled from 3 to 4 for ten minutes, every two hours."""
    minute = np.arange(3 * 1440)
    got = scores(np.where(minute % 120 < 10, 4.0, 3.0))
    assert np.mean(got[1440:] >= 0.6) < 2e-3
