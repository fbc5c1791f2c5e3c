"""The exporter against real Prometheus servers with history written for the test."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from past import BEGIN, END, INTERVAL, SAMPLES, Found, collect, history, times
from prometheus_client import CollectorRegistry
from servers import Prometheus, backfill, openmetrics

from presagio.exporter import wiring
from presagio.exporter.backtest.moments import moments
from presagio.exporter.config import FILE, ExporterConfig
from presagio.exporter.evaluation import Evaluation, Timing
from presagio.exporter.store import pack, unpack
from presagio.toolkit import positions
from presagio.toolkit.errors import SourceError, SourceReason
from presagio.toolkit.prometheus import MAX_POINTS, PrometheusConfig
from presagio.toolkit.prometheus import Prometheus as Client

CONFIG = """
prometheus: {url: %s}
evaluation: {interval: 15s}
signals:
  - {name: load, query: load}
  - {name: rate, query: "rate(requests_total[1m])"}
  - {name: pods, query: pods}
"""


@pytest.fixture(scope="module")
def prometheus(
    prometheus_binary: Path, promtool: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("prometheus")
    backfill(promtool, openmetrics(history().items()), folder / "data")
    with Prometheus(prometheus_binary, folder) as server:
        yield server


@pytest.fixture(scope="module")
def config(prometheus: Prometheus) -> ExporterConfig:
    return FILE.validate(positions.parse(CONFIG % prometheus.url), "exporter.yml")


def evaluations(config: ExporterConfig, lookback: float) -> Sequence[Evaluation]:
    when = Timing(INTERVAL, lookback, config.evaluation.control)
    return wiring.evaluations(config, Client(config.prometheus), when, CollectorRegistry())


@pytest.fixture(scope="module")
def live(config: ExporterConfig) -> Found:
    """Every moment by an instant query of its own, as if we had been there."""
    found: Found = {}
    parts = evaluations(config, 0)
    for time in times():
        for part in parts:
            collect(part.advance(time), found)
    return found


def test_warm_start_gives_the_scores_of_live_to_the_bit(config: ExporterConfig, live: Found) -> None:
    found: Found = {}
    for part in evaluations(config, END - BEGIN):
        collect(part.advance(END), found)
    assert found == live
    assert len(found) > 5 * SAMPLES


def test_backtest_gives_the_scores_of_live_to_the_bit(config: ExporterConfig, live: Found) -> None:
    found: Found = {}
    past = moments(evaluations(config, END - BEGIN), END)
    collect((scores for moment in past for scores in moment.results.values()), found)
    assert found == live


def test_restarts_and_gaps_give_the_scores_of_live_to_the_bit(config: ExporterConfig, live: Found) -> None:
    """Live, then a snapshot, a kill, and a catch-up over what was missed; several times."""
    found: Found = {}
    parts = evaluations(config, END - BEGIN)
    for step in (250, 310, 450, 610, 799):
        for part in parts:
            collect(part.advance(BEGIN + step * INTERVAL), found)
        snapshot = pack([part.engine for part in parts])
        parts = evaluations(config, END - BEGIN)
        restored, dropped = unpack(snapshot, [part.engine for part in parts])
        assert (len(restored), dropped) == (len(parts), [])
    assert found == live


def worst(live: Found, service: str, first: int, last: int) -> float:
    return max(
        (float.fromhex(str(numbers[1])) for (time, key), numbers in live.items()
         if key.service_id == service and times()[first] <= time < BEGIN + last * INTERVAL),  # type: ignore[attr-defined]
        default=0.0,
    )  # fmt: skip


def test_a_healthy_service_is_quiet(live: Found) -> None:
    for service in ("steady", "late", "strange", "counted"):
        assert worst(live, service, 0, SAMPLES) < 0.6, service


def test_a_gap_is_seen_while_it_lasts_and_forgiven_after(live: Found) -> None:
    """The gap is 15 minutes long, the first five of which Prometheus bridges."""
    assert worst(live, "holed", 0, 320) < 0.6 < worst(live, "holed", 320, 360)
    assert worst(live, "holed", 360, SAMPLES) < 0.6


def test_an_outage_to_zero_is_seen_at_once(live: Found) -> None:
    assert worst(live, "outage", 0, 600) < 0.6 < worst(live, "outage", 600, 601)


def test_a_vanished_series_is_seen_within_minutes_of_its_staleness(live: Found) -> None:
    """Prometheus shows a series without staleness marker for five minutes after its last sample."""
    assert worst(live, "vanished", 0, 620) < 0.6 < worst(live, "vanished", 620, 640)


def test_a_replaced_pod_is_no_vanished_series(live: Found) -> None:
    assert worst(live, "rolled", 0, SAMPLES) < 0.6


def test_without_the_control_series_nothing_is_learnt_of_absence(config: ExporterConfig) -> None:
    """After END all of Prometheus is silent: that says nothing of the services."""
    parts = evaluations(config, END - BEGIN)
    found: Found = {}
    for part in parts:
        collect(part.advance(END), {})
        before = {name: array.copy() for name, array in part.engine.state().items()}
        collect(part.advance(END + 7200), found)
        quiet = END + 300
        assert not [time for time, _ in found if time > quiet + INTERVAL]
        assert before.keys() == part.engine.state().keys()


def test_history_longer_than_prometheus_answers_at_once_comes_in_chunks(config: ExporterConfig) -> None:
    chunks = list(Client(config.prometheus).history("load", END - 3 * MAX_POINTS, END, 1.0))
    assert len(chunks) == 4
    joined = np.concatenate([chunk.times for chunk in chunks])
    np.testing.assert_array_equal(joined, END - 3 * MAX_POINTS + np.arange(3 * MAX_POINTS + 1))


@pytest.mark.parametrize(
    ("query", "reason"),
    [("load{", SourceReason.BAD_QUERY), ("load[5m]", SourceReason.BAD_QUERY)],
)
def test_what_prometheus_refuses_is_told_apart(config: ExporterConfig, query: str, reason: SourceReason) -> None:
    with pytest.raises(SourceError) as caught:
        Client(config.prometheus).instant(query, END)
    assert caught.value.reason == reason


def test_scalars_and_empty_answers(config: ExporterConfig) -> None:
    client = Client(config.prometheus)
    assert client.instant("42", END).values.tolist() == [42.0]
    assert client.instant("absent_metric", END).values.shape == (0,)
    assert client.range("absent_metric", BEGIN, END, INTERVAL).values.shape == (0, SAMPLES)


def test_nobody_there_is_unreachable() -> None:
    with pytest.raises(SourceError) as caught:
        Client(PrometheusConfig(url="http://127.0.0.1:9")).instant("up", 0)
    assert caught.value.reason == SourceReason.UNREACHABLE
