"""The exporter and the webhook's queries against a real VictoriaMetrics, single node, beside a real Prometheus."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from conftest import binary
from past import BEGIN, END, INTERVAL, SAMPLES, Found, collect, history, times
from prometheus_client import CollectorRegistry
from servers import Prometheus, VictoriaMetrics, backfill, openmetrics

from presagio.detectors.base import Floats
from presagio.exporter import wiring
from presagio.exporter.config import FILE, ExporterConfig
from presagio.exporter.evaluation import Evaluation, Timing
from presagio.exporter.signals import Key
from presagio.toolkit import positions
from presagio.toolkit.errors import SourceError, SourceReason
from presagio.toolkit.prometheus import Prometheus as Client
from presagio.toolkit.prometheus_config import Kind, PrometheusConfig

CONFIG = """
prometheus: {url: %s, kind: %s}
evaluation: {interval: 15s}
signals:
  - {name: load, query: load}
  - {name: rate, query: "rate(requests_total[1m])"}
  - {name: pods, query: pods}
"""
AS_PROMETHEUS = "-search.minStalenessInterval=5m"
"""The flag with which ranges look back as far as instant queries do, and as far as Prometheus does."""


def client(server: VictoriaMetrics, **more: object) -> Client:
    return Client(PrometheusConfig.model_validate({"url": server.url, "kind": server.kind, **more}))


@pytest.fixture(scope="module")
def victoria(victoria_metrics_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VictoriaMetrics]:
    folder = tmp_path_factory.mktemp("victoria")
    with VictoriaMetrics(victoria_metrics_binary, folder, flags=[AS_PROMETHEUS]) as server:
        server.load(history().items())
        yield server


@pytest.fixture(scope="module")
def plain(victoria_metrics_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VictoriaMetrics]:
    """Return one without flags of ours, with little room for answers."""
    flags = ["-search.maxPointsPerTimeseries=500"]
    with VictoriaMetrics(victoria_metrics_binary, tmp_path_factory.mktemp("plain"), flags=flags) as server:
        server.load(history().items())
        yield server


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("prometheus")
    backfill(binary("promtool", "forky"), openmetrics(history().items()), folder / "data")
    with Prometheus(binary("prometheus", "forky"), folder) as server:
        yield server


def evaluations(server: Prometheus | VictoriaMetrics, lookback: float) -> list[Evaluation]:
    config: ExporterConfig = FILE.validate(positions.parse(CONFIG % (server.url, server.kind)), "exporter.yml")
    when = Timing(INTERVAL, lookback, config.evaluation.control)
    return [*wiring.evaluations(config, Client(config.prometheus), when, CollectorRegistry())]


def warm(server: Prometheus | VictoriaMetrics) -> Found:
    """Return all scores of a warm start over the whole history."""
    found: Found = {}
    for part in evaluations(server, END - BEGIN):
        collect(part.advance(END), found)
    return found


def live(server: VictoriaMetrics) -> Found:
    """Return all scores of being there for the last part, in which a service fails and another vanishes."""
    found: Found = {}
    parts = evaluations(server, END - BEGIN)
    for moment in times(first=SAMPLES // 2):
        for part in parts:
            collect(part.advance(moment), found)
    return found


@pytest.fixture(scope="module")
def ours(victoria: VictoriaMetrics) -> Found:
    return warm(victoria)


@pytest.fixture(scope="module")
def theirs(prometheus: Prometheus) -> Found:
    return warm(prometheus)


def numbers(found: Found, *services: str) -> dict[tuple[float, object], Floats]:
    """Return value, score, expected, lower, upper and confidence of each row of these services."""
    return {
        (moment, key): np.array([float.fromhex(str(number)) for number in row])
        for (moment, key), row in found.items()
        if isinstance(key, Key) and key.service_id in services
    }


def test_warm_start_gives_the_scores_of_live_to_the_bit(victoria: VictoriaMetrics, ours: Found) -> None:
    assert ours == live(victoria)
    assert len(ours) > 5 * SAMPLES


def test_gauges_score_as_with_prometheus(ours: Found, theirs: Found) -> None:
    """VictoriaMetrics keeps fifteen digits of a number: scores agree to a billionth, through gaps and outages too."""
    gauges = ("steady", "outage", "spiky", "holed", "vanished", "late", "rolled")
    here, there = numbers(ours, *gauges), numbers(theirs, *gauges)
    assert here.keys() == there.keys()
    np.testing.assert_allclose([here[row] for row in there], [*there.values()], rtol=1e-9, atol=1e-9)
    assert max(row[1] for row in here.values()) > 0.9


def test_rates_are_of_another_kind_and_as_quiet(ours: Found, theirs: Found) -> None:
    """Prometheus extrapolates from the samples within the window, VictoriaMetrics takes the one before it, too."""
    here, there = numbers(ours, "counted"), numbers(theirs, "counted")
    assert here.keys() == there.keys()
    table = np.array([[here[row], there[row]] for row in there])
    learnt = table[SAMPLES // 4 :]
    value = np.abs(learnt[:, 0, 0] / learnt[:, 1, 0] - 1)
    expected = np.abs(learnt[:, 0, 2] / learnt[:, 1, 2] - 1)
    score = np.abs(learnt[:, 0, 1] - learnt[:, 1, 1])
    assert np.median(value) < 0.1
    assert expected.max() < 0.02
    assert (np.quantile(score, 0.9), score.max()) < (0.1, 0.3)
    # Nothing happens to this service but one counter reset, which neither takes for an anomaly.
    assert table[:, :, 1].max() < 0.45


def test_without_the_flag_the_past_looks_back_less_far_than_the_present(
    plain: VictoriaMetrics, victoria: VictoriaMetrics
) -> None:
    """What docs/sources.md says of gaps: an instant query bridges five minutes of them, a range one scrape."""
    last = BEGIN + 599 * INTERVAL
    query, then = 'load{service_id="vanished"}', last + 2 * INTERVAL
    for server, bridged in ((plain, False), (victoria, True)):
        asked = client(server)
        assert len(asked.instant(query, then).values) == 1
        assert bool(len(asked.range(query, then, then, INTERVAL).values)) is bridged


def as_prometheus_is_asked(server: VictoriaMetrics, endpoint: str, **form: object) -> list[list[Any]]:
    """Return the points of one series, without what our client says beside the query."""
    answer = requests.post(f"{server.url}/api/v1/{endpoint}", data=form, timeout=10)
    [series] = answer.json()["data"]["result"]
    points: list[list[Any]] = series.get("values") or [series["value"]]
    return points


def test_what_came_a_moment_ago_is_answered(plain: VictoriaMetrics) -> None:
    """VictoriaMetrics would hold back its newest 30 seconds: it would repeat what was before them."""
    now = float(int(time.time()))
    plain.load([("fresh", [(now - 40, 1.0), (now - 5, 2.0)])])
    assert as_prometheus_is_asked(plain, "query", query="fresh", time=now)[0][1] == "1"
    asked = client(plain)
    assert asked.instant("fresh", now).values.tolist() == [2.0]
    assert asked.range("fresh", now - 40, now, 5.0).values[0, -2:].tolist() == [2.0, 2.0]
    ranged = as_prometheus_is_asked(plain, "query_range", query="fresh", start=now - 40, end=now, step=5)
    assert ranged[-1][1] == "1"


def test_a_range_is_answered_for_the_very_moments_asked_for(plain: VictoriaMetrics) -> None:
    """Else they would be moved onto multiples of the step, where a range has more than 50 of them."""
    start = BEGIN + 4.0
    end = start + 100 * INTERVAL
    assert (
        as_prometheus_is_asked(plain, "query_range", query="time()", start=start, end=end, step=INTERVAL)[0][0]
        != start
    )
    answer = client(plain).range("time()", start, end, INTERVAL)
    np.testing.assert_array_equal(answer.values[0], start + INTERVAL * np.arange(101))


def test_one_that_is_taken_for_prometheus_says_what_to_write(plain: VictoriaMetrics) -> None:
    with pytest.raises(SourceError, match=r"is VictoriaMetrics, .*; add kind: victoria-metrics") as caught:
        client(plain, kind=Kind.PROMETHEUS).instant("up", END)
    assert caught.value.reason == SourceReason.BAD_ANSWER


def test_history_that_is_too_much_at_once_comes_in_smaller_chunks(plain: VictoriaMetrics) -> None:
    asked = client(plain)
    with pytest.raises(SourceError, match="maxPointsPerTimeseries") as caught:
        asked.range("time()", BEGIN, BEGIN + 1999, 1.0)
    assert caught.value.reason == SourceReason.TOO_LARGE
    chunks = list(asked.history("time()", BEGIN, BEGIN + 1999, 1.0))
    assert len(chunks) > 1
    np.testing.assert_array_equal(np.concatenate([chunk.values[0] for chunk in chunks]), BEGIN + np.arange(2000))


@pytest.mark.parametrize(
    ("query", "told"),
    [("load{", "prometheus answered 422"), ("load[5m]", "gives a matrix, not a vector")],
)
def test_what_it_refuses_is_told_apart(plain: VictoriaMetrics, query: str, told: str) -> None:
    with pytest.raises(SourceError, match=told) as caught:
        client(plain).instant(query, END)
    assert caught.value.reason == SourceReason.BAD_QUERY


def test_scalars_empty_answers_and_compressed_ones(plain: VictoriaMetrics) -> None:
    asked = client(plain)
    assert asked.instant("42", END).values.tolist() == [42.0]
    assert asked.instant("absent_metric", END).values.shape == (0,)
    assert asked.range("absent_metric", BEGIN, END, INTERVAL * 4).values.shape[0] == 0
    form = {"query": "load", "start": BEGIN, "end": BEGIN + 499, "step": 1}
    answer = asked.session.post(f"{plain.url}/api/v1/query_range", data=form)
    assert answer.headers["Content-Encoding"] == "gzip"


@pytest.mark.parametrize("timeout", [0.25, 1.5, 10.0, 2_000_000.0])
def test_any_time_out_is_one_that_it_understands(plain: VictoriaMetrics, timeout: float) -> None:
    assert client(plain, timeout=timeout).instant("1 + 1", BEGIN).values.tolist() == [2.0]
