"""Three views of a deviation: which of them sees what, and what each of them forgets."""

import numpy as np

from presagio.detectors.views import DISTANCE, JUMP, MEAN, Views

MINUTE, COUNT = 60.0, 1000.0
SPREAD = 4.0


def learnt(samples: int = 2000, rows: int = 1) -> Views:
    """Return views that have seen Gaussian residuals."""
    views = Views()
    for _, part in views.parts():
        part.reindex(np.full(rows, -1))
    rng = np.random.default_rng(0)
    for count in range(1, samples + 1):
        see(views, rng.normal(0, SPREAD * 1.2533, rows), count)
    return views


def see(views: Views, residual: np.ndarray, count: float = COUNT, anomalous: bool = False) -> np.ndarray:
    """Show the views residual[n]; return the chance[3, n] of each."""
    rows = len(residual)
    yes, no = np.ones(rows, dtype=bool), np.zeros(rows, dtype=bool)
    p, _ = views.look(residual, np.full(rows, MINUTE), np.full(rows, 100.0), np.full(rows, count))
    weight = np.full(rows, 0.01 if anomalous else 1.0)
    views.learn(residual, weight, np.full(rows, count), no if anomalous else yes, no)
    views.remember(yes, yes if anomalous else no, no, p)
    return p


def test_the_spread_is_the_mean_absolute_deviation() -> None:
    assert abs(learnt().spread(np.array([100.0]))[0] - SPREAD) < 0.4


def test_a_spread_is_never_zero() -> None:
    views = Views()
    for _, part in views.parts():
        part.reindex(np.array([-1, -1]))
    assert (views.spread(np.array([0.0, 100.0])) > 0).all()


def test_a_jump_is_seen_by_the_first_view_inside_the_noise_of_the_second() -> None:
    views = learnt()
    for value in np.linspace(0, 40, 400):
        see(views, np.array([value]), anomalous=False)
    p = see(views, np.array([-20.0]))[:, 0]
    assert p[JUMP] < 1e-4 < p[DISTANCE]


def test_a_small_drop_that_lasts_is_seen_by_the_mean_alone() -> None:
    views = learnt()
    low = -1.5 * SPREAD + np.random.default_rng(1).normal(0, 0.2 * SPREAD, (30, 1))
    p = np.array([see(views, residual)[:, 0] for residual in low])[-1]
    assert p[MEAN] < 1e-3
    assert min(p[JUMP], p[DISTANCE]) > 0.05


def test_a_spike_that_is_over_leaves_no_trace() -> None:
    views = learnt()
    assert see(views, np.array([1000.0]), anomalous=True)[DISTANCE, 0] < 1e-6
    assert see(views, np.array([0.0]))[:, 0].min() > 0.1


def test_an_outage_that_lasts_stays_as_far_as_it_is() -> None:
    views = learnt()
    p = [see(views, np.array([-100.0]), anomalous=True)[DISTANCE, 0] for _ in range(500)]
    assert max(p) < 1e-6


def test_what_happens_again_and_again_grows_likelier() -> None:
    views, seldom = learnt(), []
    for _ in range(60):
        seldom.append(see(views, np.array([60.0]), anomalous=True)[DISTANCE, 0])
        for _ in range(9):
            see(views, np.array([0.0]))
    assert seldom[-1] > 100 * seldom[0]


def test_bounds_are_reached_as_often_as_they_say() -> None:
    views = learnt(4000)
    down, up = views.bounds(0.001, np.array([100.0]), np.array([4000.0]))
    exact = 3.09 * 1.2533 * SPREAD
    assert abs(up[0] - exact) < 0.2 * exact
    assert abs(down[0] - exact) < 0.2 * exact


def test_another_forecast_is_no_jump() -> None:
    """The residuals of the forecast now chosen lie 50 higher: the series itself has not moved."""
    views = learnt(rows=2)
    views.restart(np.array([True, False]), np.array([50.0, 50.0]))
    p = see(views, np.array([50.0, 50.0]))
    assert p[JUMP, 0] > 0.05
    assert p[JUMP, 1] < 1e-6


def test_a_new_level_brings_its_spread_but_never_a_smaller_one() -> None:
    views = learnt(rows=2)
    before = views.spread(np.full(2, 100.0))
    views.widen(np.array([True, True]), np.array([40.0, 0.1]))
    np.testing.assert_array_equal(views.spread(np.full(2, 100.0)), [40.0, before[1]])
