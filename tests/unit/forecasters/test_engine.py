"""A forecast is the same wherever it is made."""

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from presagio.forecasters.base import Examples, Floats, Inputs, TooFewFailuresError
from presagio.forecasters.engine import LOCAL, EngineError, Model, fit, forecast

STEP, HORIZONS = 900.0, [3600.0, 86_400.0]


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    logging.getLogger("distributed").propagate = False  # it goes on after the test, when nobody listens any more
    distributed: Any = pytest.importorskip("dask.distributed", reason="the distributed extra is not installed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
    ) as made:
        yield made.scheduler_address.replace("tcp://", "dask://")


def histories(count: int) -> Floats:
    rng = np.random.default_rng(5)
    day = np.arange(6 * 96) / 96
    return 10 + rng.uniform(0, 3, (count, 1)) * np.sin(2 * np.pi * day) + rng.normal(0, 0.3, (count, len(day)))


@pytest.mark.parametrize("name", ["quick", "auto_theta"])
def test_two_workers_give_the_same_numbers(cluster: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("presagio.forecasters.engine._ROWS", 3)
    model, history = Model(name, {"levels": (0.1, 0.9), "maximum": 12.0}), histories(8)
    here = forecast(LOCAL, model, history, STEP, HORIZONS)
    there = forecast(cluster, model, history, STEP, HORIZONS)
    assert there.levels == here.levels
    np.testing.assert_allclose(there.mean, here.mean, rtol=1e-9)
    np.testing.assert_allclose(there.quantiles, here.quantiles, rtol=1e-9)


def test_no_series_need_no_cluster() -> None:
    found = forecast("dask://127.0.0.1:1", Model("naive", {}), np.zeros((0, 20)), STEP, HORIZONS)
    assert found.mean.shape == (0, 2)


def test_an_unknown_engine_is_named() -> None:
    with pytest.raises(EngineError, match="no engine 'spark://x'; there are 'local' and 'dask://host:port'"):
        forecast("spark://x", Model("naive", {}), histories(1), STEP, HORIZONS)


def test_what_a_forecaster_raises_comes_back(cluster: str) -> None:
    with pytest.raises(ValueError, match="minimum below maximum"):
        forecast(cluster, Model("naive", {"minimum": 2.0, "maximum": 1.0}), histories(1), STEP, HORIZONS)


def test_a_scheduler_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("presagio.forecasters.engine._PATIENCE", "0.2s")
    with pytest.raises(EngineError, match=r"no Dask scheduler at '127.0.0.1:1' .*set engine: local"):
        forecast("dask://127.0.0.1:1", Model("naive", {}), histories(1), STEP, HORIZONS)


def failing(moments: int = 1200) -> Examples:
    rng = np.random.default_rng(3)
    since = np.arange(moments) % 60
    failed = since >= 54
    features = np.stack([since / 60 + rng.normal(0, 0.05, moments), rng.normal(0, 1, moments)], axis=1)
    inputs = Inputs(features, np.zeros((moments, 0, 0), dtype=np.float32), ("level", "noise"))
    times, groups = 300.0 * np.arange(moments, dtype=np.float64), np.zeros(moments, dtype=np.int64)
    return Examples(inputs, failed, times, groups, np.where(failed, np.arange(moments) // 60, -1), np.ones(moments))


@pytest.mark.parametrize("name", ["gradient_boosting", "combination"])
def test_a_model_fitted_on_the_cluster_is_the_one_fitted_here(cluster: str, name: str) -> None:
    examples = failing()
    here, there = (fit(engine, name, {}, 1, examples) for engine in (LOCAL, cluster))
    assert here.keys() == there.keys()
    for key in here:
        np.testing.assert_array_equal(here[key], there[key])


def test_too_few_failures_are_told_from_the_cluster_too(cluster: str) -> None:
    with pytest.raises(TooFewFailuresError, match="5 failures are known and 8 are needed"):
        fit(cluster, "gradient_boosting", {}, 1, failing(300))
