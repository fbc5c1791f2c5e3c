"""Features: none looks ahead, all are what they say, whatever the batch."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from presagio.exporter.failure_config import Limit
from presagio.exporter.features import CROSSING, KIND, Featuriser
from presagio.exporter.panel import Channel, Panel, kind_of
from presagio.forecasters.base import Inputs

STEP = 300.0
MEMORY, LOAD = Channel("memory", unit="ratio"), Channel("load", "mean")
RNG = np.random.default_rng(5)


def panel(moments: int = 400, services: int = 4) -> Panel:
    values = RNG.normal(0.5, 0.05, (services, moments, 2)).astype(np.float32)
    values[0, :, 0] = np.linspace(0.2, 0.85, moments)
    values[1, 50:70, :] = np.nan
    ids = (*(f"shop/web-{number}" for number in range(services - 1)), "shop/db")
    times = 1_700_000_100.0 + STEP * np.arange(moments, dtype=np.float64)
    return Panel(ids, tuple(map(kind_of, ids)), times, STEP, (MEMORY, LOAD), values)


def featuriser(**changes: object) -> Featuriser:
    told: dict[str, object] = {
        "channels": (MEMORY, LOAD), "step": STEP, "windows": (3600.0, 21_600.0), "recent": 6,
        "limit": Limit(signal="memory", value=0.9), "kinds": ("db", "web"),
    }  # fmt: skip
    return Featuriser(**{**told, **changes})  # type: ignore[arg-type]  # as Featuriser has them


WHOLE = panel()
ROWS = np.array([0, 1, 2, 3, 0, 1]), np.array([399, 60, 200, 300, 100, 3])


def same(one: Inputs, other: Inputs) -> None:
    np.testing.assert_allclose(one.features, other.features, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(one.recent, other.recent)


def column(inputs: Inputs, name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return inputs.features[:, inputs.names.index(name)]


@settings(max_examples=15, deadline=None)
@given(st.integers(60, 380), st.integers(0, 1000))
def test_what_comes_after_a_moment_changes_nothing(moment: int, seed: int) -> None:
    later = WHOLE.values.copy()
    later[:, moment + 1 :] = np.random.default_rng(seed).normal(5, 3, later[:, moment + 1 :].shape)
    services, moments = np.arange(4), np.full(4, moment)
    one = featuriser().inputs(WHOLE, services, moments, 3600.0)
    other = featuriser().inputs(replace(WHOLE, values=later), services, moments, 3600.0)
    same(one, other)


def test_a_panel_that_ends_at_the_moment_says_the_same_as_one_that_goes_on() -> None:
    """Live and training."""
    short = replace(WHOLE, times=WHOLE.times[:301], values=WHOLE.values[:, :301])
    services = np.arange(4)
    one = featuriser().inputs(WHOLE, services, np.full(4, 300), 3600.0)
    same(one, featuriser().inputs(short, services, np.full(4, 300), 3600.0))


def test_the_context_is_enough() -> None:
    made = featuriser()
    first = 399 - made.context
    assert first >= 0 or made.context >= 400
    cut = max(0, first)
    short = replace(WHOLE, times=WHOLE.times[cut:], values=WHOLE.values[:, cut:])
    services = np.arange(4)
    one = made.inputs(WHOLE, services, np.full(4, 399), 3600.0)
    two = made.inputs(short, services, np.full(4, 399 - cut), 3600.0)
    ages = [name for name in one.names if not name.endswith(", age")]  # what fell before the context is not known
    for name in ages:
        np.testing.assert_allclose(column(one, name), column(two, name), rtol=1e-6, err_msg=name)


def test_the_rows_of_a_batch_know_nothing_of_each_other() -> None:
    whole = featuriser().inputs(WHOLE, *ROWS, 3600.0)
    for number in range(len(whole)):
        one = featuriser().inputs(WHOLE, ROWS[0][[number]], ROWS[1][[number]], 3600.0)
        same(one, whole.rows(np.array([number])))


def test_every_column_is_described_and_no_other() -> None:
    inputs = featuriser().inputs(WHOLE, *ROWS, 3600.0)
    described = featuriser().describe()
    assert list(described) == list(inputs.names)
    assert len(set(inputs.names)) == len(inputs.names)
    assert inputs.features.shape == (6, len(inputs.names))
    assert inputs.recent.shape == (6, 6, 2)


def test_they_are_what_they_say() -> None:
    inputs = featuriser().inputs(WHOLE, np.array([0]), np.array([399]), 3600.0)
    line = WHOLE.values[0, :, 0].astype(np.float64)
    assert column(inputs, "memory, now") == pytest.approx(line[-1])
    assert column(inputs, "memory, mean 1h") == pytest.approx(line[-12:].mean())
    assert column(inputs, "memory, slope 6h") == pytest.approx((0.65 / 399) / STEP, rel=1e-3)
    assert column(inputs, "memory, room") == pytest.approx(0.9 - line[-1])
    assert column(inputs, "memory, time to limit 6h") == pytest.approx(0.05 / (0.65 / 399) * STEP, rel=1e-3)
    assert column(inputs, "memory, change 1d") == pytest.approx(line[-1] - line[-1 - 288])
    assert column(inputs, KIND) == pytest.approx(1.0)
    assert inputs.recent[0, -1, 0] == pytest.approx(line[-1])


def test_the_crossing_is_likely_only_where_it_is_near() -> None:
    services, moments = np.array([0, 0, 2]), np.array([399, 200, 399])
    soon, late, never = column(featuriser().inputs(WHOLE, services, moments, 4 * 3600.0), CROSSING)
    assert soon > 0.5
    assert late < 0.1
    assert never < 0.1


def test_without_a_limit_there_is_no_crossing() -> None:
    assert CROSSING not in featuriser(limit=None).inputs(WHOLE, *ROWS, 3600.0).names


def test_peers_are_those_of_a_kind() -> None:
    inputs = featuriser().inputs(WHOLE, np.array([0, 3]), np.array([399, 399]), 3600.0)
    mine = WHOLE.values[:3, 399, 0].astype(np.float64)
    assert column(inputs, "memory, beside peers")[0] == pytest.approx(mine[0] - np.median(mine), abs=1e-6)
    assert np.isnan(column(inputs, "memory, beside peers")[1])


def test_kinds_not_seen_in_training_are_unknown() -> None:
    inputs = featuriser(kinds=("db",)).inputs(WHOLE, *ROWS, 3600.0)
    assert np.isnan(column(inputs, KIND)[0])
    assert column(inputs, KIND)[3] == 0.0


def test_days_and_cycles_are_steps_too() -> None:
    """A panel with a step of a day has no time of day, and windows of days."""
    daily = replace(WHOLE, step=86_400.0, times=86_400.0 * np.arange(400, dtype=np.float64))
    made = featuriser(step=86_400.0, windows=(3 * 86_400.0, 14 * 86_400.0))
    inputs = made.inputs(daily, *ROWS, 7 * 86_400.0)
    assert "memory, slope 14d" in inputs.names
    assert not [name for name in inputs.names if name.startswith("time of")]


def test_no_rows() -> None:
    nothing = np.zeros(0, dtype=np.int64)
    assert featuriser().inputs(WHOLE, nothing, nothing, 3600.0).features.shape[0] == 0


def test_kinds_of_services() -> None:
    assert kind_of("shop/checkout") == kind_of("staging/checkout") == "checkout"
    assert kind_of("db-1") == kind_of("db-2") == "db"
    assert kind_of("10.0.0.1:9100")
