"""Plain faults that others miss and habits that others call faults, read back from a real Prometheus.

Every signal is at its defaults and the threshold is 0.6. Beside it stands, as a baseline that is reported and not
judged, the band that Grafana's approach to anomaly detection in PromQL describes: mean and deviation over 26 h.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from plain_faults import DAY, MINUTE, START, Case, cases
from prometheus_client import CollectorRegistry
from servers import Prometheus, backfill, openmetrics

from presagio.exporter import wiring
from presagio.exporter.config import ExporterConfig
from presagio.toolkit.prometheus import Prometheus as Client
from presagio.toolkit.prometheus import PrometheusConfig

ALARM = 0.6
MEAN, WIDTH = "avg_over_time(x[26h])", "2 * stddev_over_time(x[26h])"
BAND = f"(x < {MEAN} - {WIDTH}) or (x > {MEAN} + {WIDTH})"
CASES = cases(3)
NAMES = list(dict.fromkeys(case.name for case in CASES))


def name_of(case: Case) -> str:
    return f"{case.name} {case.seed}"


def metric(case: Case) -> str:
    return "minutes" if case.interval == MINUTE else "slow"


def written() -> Iterator[tuple[str, list[tuple[float, float]]]]:
    for case in CASES:
        points = [(time, value) for time, value in zip(case.times.tolist(), case.values.tolist(), strict=True)]
        yield f'{metric(case)}{{service_id="{name_of(case)}"}}', [one for one in points if not np.isnan(one[1])]
    yield 'up{job="a"}', [(START + number * MINUTE, 1.0) for number in range(int(29 * DAY / MINUTE))]


@dataclass(frozen=True)
class Judged:
    """Scores of every case by name, and when the baseline's band was left."""

    scores: dict[str, dict[float, float]]
    outside: dict[str, set[float]]


@pytest.fixture(scope="module")
def judged(prometheus_binary: Path, promtool: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judged]:
    folder = tmp_path_factory.mktemp("prometheus")
    backfill(promtool, openmetrics(written()), folder / "data")
    with Prometheus(prometheus_binary, folder) as server:
        got = [
            evaluated(server.url, "minutes", MINUTE, 7 * DAY), evaluated(server.url, "slow", 5 * MINUTE, 29 * DAY)
        ]  # fmt: skip
        scores = {name: one for part in got for name, one in part.items()}
        yield Judged(scores, left_band(server.url))


def evaluated(url: str, query: str, interval: float, lasts: float) -> dict[str, dict[float, float]]:
    """Return the scores of every series of a signal that has nothing but a name and a query."""
    config = ExporterConfig.model_validate(
        {
            "prometheus": {"url": url}, "evaluation": {"interval": interval},
            "warm_start": {"lookback": lasts - interval, "fine": lasts},
            "signals": [{"name": query, "query": query}],
        }
    )  # fmt: skip
    when = wiring.timing(config)
    parts = wiring.evaluations(config, Client(config.prometheus), when, CollectorRegistry())
    one = next(part for part in parts if part.signal.name == query)
    got: dict[str, dict[float, float]] = {}
    for scores in one.advance(START + lasts - interval):
        assert scores is not None
        for key, score in zip(scores.keys, scores.score.tolist(), strict=True):
            got.setdefault(key.service_id, {})[scores.time] = score
    return got


def left_band(url: str) -> dict[str, set[float]]:
    """Return when each case was outside the band of the baseline, looked at every 5 minutes."""
    client = Client(PrometheusConfig(url=url))
    got: dict[str, set[float]] = {}
    for query, lasts in (("minutes", 7 * DAY), ("slow", 29 * DAY)):
        for matrix in client.history(BAND.replace("x", query), START, START + lasts, 5 * MINUTE, series=len(CASES)):
            for labels, row in zip(matrix.labels, matrix.values, strict=True):
                times = matrix.times[~np.isnan(row)]
                got.setdefault(labels["service_id"], set()).update(times.tolist())
    return got


def alarms(judged: Judged, case: Case, begin: float, end: float) -> list[float]:
    return [time for time, one in judged.scores[name_of(case)].items() if begin <= time < end and one >= ALARM]


@pytest.mark.parametrize("case", [one for one in CASES if one.expected == "fires"], ids=name_of)
def test_a_plain_fault_is_seen(judged: Judged, case: Case) -> None:
    assert alarms(judged, case, case.begin, case.end)


@pytest.mark.parametrize("case", [one for one in CASES if one.expected == "holds"], ids=name_of)
def test_a_step_alarms_as_long_as_it_lasts_and_clears_within_10_minutes(judged: Judged, case: Case) -> None:
    lasting = alarms(judged, case, case.begin + 5 * MINUTE, case.end)
    assert len(lasting) >= 0.95 * (case.end - case.begin - 5 * MINUTE) / case.interval
    assert not alarms(judged, case, case.end + 10 * MINUTE, case.end + 4 * 3600)


@pytest.mark.parametrize("case", [one for one in CASES if one.expected == "silent"], ids=name_of)
def test_a_habit_is_no_fault(judged: Judged, case: Case) -> None:
    assert alarms(judged, case, case.begin, case.end) == []


@pytest.mark.parametrize("case", [one for one in CASES if one.expected != "silent"], ids=name_of)
def test_before_the_fault_there_is_silence(judged: Judged, case: Case) -> None:
    assert alarms(judged, case, START + 2 * DAY, case.begin) == []


def test_the_baseline_is_reported(judged: Judged, capsys: pytest.CaptureFixture[str]) -> None:
    """docs/scores.md has this table; the band is described, not judged."""
    assert any(judged.outside.values())
    with capsys.disabled():
        print()  # noqa: T201 - a table for docs/scores.md
        for name in NAMES:
            of = [case for case in CASES if case.name == name]
            print(f"{name:28} presagio {told(judged, of, False)}   band {told(judged, of, True)}")  # noqa: T201


def told(judged: Judged, of: list[Case], band: bool) -> str:
    shares = []
    for case in of:
        inside = [time for time in judged.scores[name_of(case)] if case.begin <= time < case.end and time % 300 == 0]
        hit = judged.outside.get(name_of(case), set()) if band else set(alarms(judged, case, case.begin, case.end))
        shares.append(sum(time in hit for time in inside) / max(len(inside), 1))
    return f"alarms {np.mean(shares):6.1%} of the time"
