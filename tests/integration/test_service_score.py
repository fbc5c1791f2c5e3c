"""The score of a service against real Prometheus servers: one of its signals is at fault, and is blamed."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from servers import Prometheus, backfill, openmetrics

from presagio.exporter import wiring
from presagio.exporter.config import FILE
from presagio.toolkit import positions
from presagio.toolkit.clock import ManualClock

INTERVAL = 15.0
SAMPLES = 700
FAULT = 680
GONE = 690
BEGIN = 1_700_000_010.0

CONFIG = """
prometheus: {url: %s}
services: {id: "{namespace}/{deployment}"}
warm_start: {lookback: %ds}
signals:
  - {name: latency, query: latency_seconds}
  - {name: memory, query: memory_bytes, missing: skip}
together: {combiner: %s}
"""
COMBINERS = ("profile_together", "isolation_forest_together", "robust_pca")
CART, MAIL = "shop/cart", "shop/mail"


def at(step: int) -> float:
    return BEGIN + step * INTERVAL


def history() -> Iterator[tuple[str, list[tuple[float, float]]]]:
    """Yield the series: cart's memory of one pod of two triples at FAULT; mail's memory is not there after GONE."""
    rng = np.random.default_rng(3)
    for deployment in ("cart", "mail", "search", "stock"):
        for pod in ("one", "two"):
            labels = f'{{namespace="shop",deployment="{deployment}",pod="{pod}"}}'
            memory = rng.normal(200e6, 5e6, SAMPLES)
            if (deployment, pod) == ("cart", "two"):
                memory[FAULT:] *= 3
            last = GONE if deployment == "mail" else SAMPLES
            yield f"memory_bytes{labels}", [(at(step), float(memory[step])) for step in range(last)]
            latency = rng.normal(0.2, 0.01, SAMPLES)
            yield f"latency_seconds{labels}", [(at(step), float(latency[step])) for step in range(SAMPLES)]
    yield 'up{job="shop"}', [(at(step), 1.0) for step in range(SAMPLES)]


@pytest.fixture(scope="module")
def prometheus(
    prometheus_binary: Path, promtool: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("prometheus")
    backfill(promtool, openmetrics(history()), folder / "data")
    with Prometheus(prometheus_binary, folder) as server:
        yield server


class Exporter:
    """An exporter whose clock is moved by hand."""

    def __init__(self, folder: Path, prometheus: Prometheus, combiner: str, lookback: int = 0) -> None:
        text = CONFIG % (prometheus.url, lookback * INTERVAL, combiner)
        self.clock = ManualClock(at(0))
        config = FILE.validate(positions.parse(text), "exporter.yml")
        self.page, self.loop = wiring.loop(config, folder, CollectorRegistry(), self.clock)

    def go(self, step: int) -> dict[str, float]:
        """Evaluate up to a step, and return what the page says of services."""
        self.clock.now = at(step) + 5
        self.loop.tick(at(step))
        lines = re.findall(r"^presagio_service_anomaly_(\S+) (\S+)$", self.page.text(self.clock.now).decode(), re.M)
        return {name: float(value) for name, value in lines}


def named(measure: str, service: str, signal: str = "") -> str:
    beside = f',signal="{signal}"' if signal else ""
    return f'{measure}{{service_id="{service}"{beside}}}'


@pytest.mark.parametrize("combiner", COMBINERS)
def test_the_signal_at_fault_is_blamed(tmp_path: Path, prometheus: Prometheus, combiner: str) -> None:
    exporter = Exporter(tmp_path, prometheus, combiner, lookback=SAMPLES)
    before = exporter.go(FAULT - 1)
    for service in (CART, MAIL):
        assert before[named("score", service)] < 0.6
    after = exporter.go(FAULT)
    exporter.loop.pool.shutdown()
    assert after[named("score", CART)] > 0.6
    assert after[named("contribution", CART, "memory")] > 0.8
    assert after[named("score", MAIL)] < 0.6
    for service in (CART, MAIL):
        shares = [after[named("contribution", service, signal)] for signal in ("memory", "latency")]
        assert sum(shares) == pytest.approx(1.0)


def test_a_signal_that_goes_lowers_the_confidence_and_the_score_goes_on(
    tmp_path: Path, prometheus: Prometheus
) -> None:
    """Prometheus shows a series for five minutes after its last sample, mail's memory until GONE + 20."""
    exporter = Exporter(tmp_path, prometheus, "profile_together", lookback=SAMPLES)
    before = exporter.go(SAMPLES - 1)
    after = exporter.go(SAMPLES + 15)
    exporter.loop.pool.shutdown()
    assert named("contribution", MAIL, "memory") in before
    assert named("contribution", MAIL, "memory") not in after
    assert after[named("contribution", MAIL, "latency")] == 1.0
    assert after[named("confidence", MAIL)] == pytest.approx(before[named("confidence", MAIL)] / 2, rel=0.05)
    assert 0 <= after[named("score", MAIL)] < 0.6


@pytest.mark.parametrize("combiner", COMBINERS)
def test_warm_start_gives_the_scores_of_live(tmp_path: Path, prometheus: Prometheus, combiner: str) -> None:
    live, warm = (
        Exporter(tmp_path / "live", prometheus, combiner),
        Exporter(tmp_path / "warm", prometheus, combiner, lookback=300),
    )
    for step in range(301):
        found = live.go(step)
    assert warm.go(300) == found
    assert len(found) == 4 * 4
    live.loop.pool.shutdown()
    warm.loop.pool.shutdown()
