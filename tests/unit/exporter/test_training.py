"""Labels, samples and splits: nothing of the future, nothing twice, nothing that is not known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from presagio.exporter.episodes import Episodes, labels, merged
from presagio.exporter.features import Featuriser
from presagio.exporter.panel import Channel, Panel
from presagio.exporter.training import Moments, examples, labelled, sampled
from presagio.forecasters.base import Examples
from presagio.forecasters.splitting import border, split

HOUR = 3600.0
TIMES = HOUR * np.arange(100, dtype=np.float64)


def episodes(*spans: tuple[str, float, float], known: tuple[float, float] = (0.0, 99 * HOUR)) -> Episodes:
    services = [service for service, _, _ in spans]
    times = np.array([(begin, end) for _, begin, end in spans], dtype=np.float64).reshape(-1, 2) * HOUR
    return Episodes(services, times[:, 0], times[:, 1], *known)


def panel(values: np.ndarray[tuple[int, ...], np.dtype[np.float32]] | None = None) -> Panel:
    if values is None:
        values = np.random.default_rng(0).normal(size=(2, 100, 1)).astype(np.float32)
    return Panel(("a", "b"), ("x", "x"), TIMES, HOUR, (Channel("load"),), values)


def test_before_a_failure_within_the_horizon_is_positive_and_within_it_neither() -> None:
    found = labels(episodes(("a", 50, 60)), TIMES, 6 * HOUR, 0.0, np.inf)
    assert np.flatnonzero(found.positive).tolist() == [44, 45, 46, 47, 48, 49]
    assert not found.positive[50:60].any()
    assert not found.negative[50:60].any()
    assert found.negative[60]
    assert found.negative[43]
    assert set(found.failure[44:50]) == {0}


def test_what_is_too_late_is_not_learnt() -> None:
    found = labels(episodes(("a", 50, 60)), TIMES, 6 * HOUR, 2 * HOUR, np.inf)
    assert np.flatnonzero(found.positive).tolist() == [44, 45, 46, 47]
    assert not found.negative[48:60].any()


def test_where_the_horizon_reaches_beyond_what_is_known_nothing_is_said() -> None:
    found = labels(episodes(("a", 97, 98)), TIMES, 6 * HOUR, 0.0, np.inf)
    assert np.flatnonzero(found.positive).tolist() == [91, 92, 93]
    assert not found.negative[98:].any()
    gone = labels(episodes(), TIMES, 6 * HOUR, 0.0, 40 * HOUR)
    assert np.flatnonzero(gone.negative).max() == 34


def test_a_failure_that_lasts_is_never_over() -> None:
    found = labels(episodes(("a", 50, np.inf)), TIMES, 6 * HOUR, 0.0, np.inf)
    assert not (found.positive | found.negative)[50:].any()


def test_a_short_one_within_a_long_one_ends_nothing() -> None:
    found = labels(episodes(("a", 50, 70), ("a", 52, 54)), TIMES, 6 * HOUR, 0.0, np.inf)
    assert not (found.positive | found.negative)[50:70].any()


def test_near_episodes_are_one_and_short_ones_none() -> None:
    begins, ends = merged(np.array([0.0, 12, 40, 80]), np.array([10.0, 20, 41, 99]), hold=5, merge=3)
    assert (begins.tolist(), ends.tolist()) == ([0.0, 80.0], [20.0, 99.0])


@given(st.lists(st.tuples(st.integers(0, 90), st.integers(1, 20)), max_size=6), st.integers(1, 20), st.integers(0, 5))
def test_no_moment_is_both_and_positives_have_a_failure_ahead(
    spans: list[tuple[int, int]], horizon: int, gap: int
) -> None:
    own = episodes(*(("a", float(begin), float(begin + length)) for begin, length in sorted(spans)))
    found = labels(own, TIMES, horizon * HOUR, gap * HOUR, np.inf)
    assert not (found.positive & found.negative).any()
    for at in np.flatnonzero(found.positive):
        assert any(TIMES[at] < begin <= TIMES[at] + horizon * HOUR for begin in own.begins)
    for at in np.flatnonzero(found.negative):
        assert not any(TIMES[at] < begin <= TIMES[at] + horizon * HOUR for begin in own.begins)
        assert not any(begin <= TIMES[at] < end for begin, end in zip(own.begins, own.ends, strict=True))


def test_failures_are_numbered_across_services() -> None:
    found = labelled(panel(), episodes(("a", 20, 21), ("b", 30, 31), ("a", 60, 61)), 3 * HOUR, 0.0)
    assert sorted(set(found.failures.tolist())) == [-1, 0, 1, 2]
    assert len(found.failed) == len(found.services) == len(found.moments)


def test_a_service_that_vanished_is_censored_and_one_without_data_is_left_out() -> None:
    values = np.ones((2, 100, 1), dtype=np.float32)
    values[0, 50:] = np.nan
    values[1] = np.nan
    found = labelled(panel(values), episodes(), 5 * HOUR, 0.0)
    assert set(found.services.tolist()) == {0}
    assert found.moments.max() == 44


def test_quiet_moments_left_out_are_stood_for() -> None:
    failed = np.arange(1000) < 10
    plain = np.arange(1000)
    all_of_them = Moments(plain, plain, failed, np.where(failed, 0, -1), np.ones(1000))
    found = sampled(all_of_them, 100, np.random.default_rng(0))
    assert len(found.failed) == 100
    assert found.failed.sum() == 10
    assert found.weights.sum() == pytest.approx(1000)
    assert found.weights[found.failed].tolist() == [1.0] * 10


def made(spans: list[tuple[str, float, float]], horizon: float) -> Examples:
    moments = labelled(panel(), episodes(*spans), horizon, 0.0)
    return examples(panel(), moments, Featuriser((Channel("load"),), HOUR, (3 * HOUR,)), horizon)


def test_examples_are_in_the_order_of_time_and_purged_where_they_are_split() -> None:
    spans = [("a", 20.0, 21.0), ("b", 40.0, 41.0), ("a", 60.0, 61.0), ("b", 80.0, 81.0)]
    found = made(spans, 6 * HOUR)
    assert (np.diff(found.times) >= 0).all()
    for at in range(15, 95):
        earlier, later = split(found, 6 * HOUR, at * HOUR)
        assert (earlier.times + 6 * HOUR < at * HOUR).all()
        assert (later.times >= at * HOUR).all()
        assert not set(earlier.failures[earlier.failed]) & set(later.failures[later.failed])


def test_the_border_leaves_failures_on_both_sides() -> None:
    found = made([("a", float(at), at + 1.0) for at in (10, 20, 30, 35)], 3 * HOUR)
    earlier, later = split(found, 3 * HOUR, border(found, 0.25))
    assert earlier.distinct == 3
    assert later.distinct == 1
