"""When a failure was, by each way of telling, and what is not known of it."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from presagio.exporter.config import ExporterConfig
from presagio.exporter.episodes import Episodes
from presagio.exporter.evaluation import Span
from presagio.exporter.failure_history import condition, episodes
from presagio.exporter.failures import configured_failures
from presagio.toolkit.errors import ConfigError
from presagio.toolkit.prometheus import Matrix, Vector

STEP = 300.0
SPAN = Span(0.0, 99 * STEP, STEP)


class Told:
    """Answers each query with a service whose samples are at these steps."""

    def __init__(self, answers: Mapping[str, set[int]]) -> None:
        self.answers = answers

    def instant(self, query: str, time: float) -> Vector:
        raise NotImplementedError

    def range(self, query: str, start: float, end: float, step: float) -> Matrix:
        raise NotImplementedError

    def history(self, query: str, start: float, end: float, step: float, series: int = 1) -> Iterator[Matrix]:
        assert series
        times = start + step * np.arange(round((end - start) / step) + 1, dtype=np.float64)
        there = np.isin(np.rint(times / step).astype(np.int64), sorted(self.answers[query]))
        yield Matrix([{"job": "web"}], times, np.where(there, 1.0, np.nan)[None, :])


ALWAYS = set(range(100))


def found(failing: set[int], control: set[int] = ALWAYS, folder: Path = Path(), **failure: object) -> Episodes:
    failure = failure or {"alert": "Down"}
    config = ExporterConfig.model_validate({"failures": [{"name": "down", "merge": "0s", **failure}]})
    (one,) = configured_failures(config)
    query = "" if one.csv else condition(one)
    return episodes(Told({query: failing, "count(up)": control}), config, one, SPAN, folder)


def steps(one: Episodes) -> list[tuple[float, float]]:
    return list(zip((one.begins / STEP).tolist(), (one.ends / STEP).tolist(), strict=True))


def test_it_has_failed_while_there_is_a_sample() -> None:
    one = found({10, 11, 12, 40})
    assert (steps(one), list(one.services)) == ([(10.0, 13.0), (40.0, 41.0)], ["web", "web"])
    assert (one.known_from, one.known_to) == (SPAN.start, SPAN.end)


def test_what_lasts_has_no_end() -> None:
    assert steps(found({97, 98, 99})) == [(97.0, np.inf)]


def test_near_ones_are_one_and_short_ones_none() -> None:
    assert steps(found({10, 12, 40}, alert="Down", merge="5m", hold="10m")) == [(10.0, 13.0)]


def test_an_alert_has_failed_while_it_fires() -> None:
    (one,) = configured_failures(ExporterConfig.model_validate({"failures": [{"name": "down", "alert": "Down"}]}))
    assert condition(one) == 'ALERTS{alertname="Down",alertstate="firing"}'


def test_while_prometheus_had_nothing_nothing_is_known() -> None:
    """One step without anything is a scrape that failed; five are an outage."""
    one = found({10}, control=ALWAYS - {30, 50, 51, 52, 53, 54})
    assert ((one.dark_begins / STEP).tolist(), (one.dark_ends / STEP).tolist()) == ([49.0], [55.0])
    times = STEP * np.array([40.0, 46.0, 48.0, 54.0, 56.0])
    assert one.dark(times, 6 * STEP).tolist() == [False, True, True, True, False]


def test_a_file_tells_of_what_no_metric_does(tmp_path: Path) -> None:
    (tmp_path / "told.csv").write_text("service_id,start,end\nweb,3000,6000\ndb,1970-01-01T00:50:00Z,6300\n")
    one = found(set(), folder=tmp_path, csv="told.csv")
    assert sorted(zip(one.services, one.begins.tolist(), strict=True)) == [("db", 3000.0), ("web", 3000.0)]


def test_all_mistakes_of_a_file_come_at_once(tmp_path: Path) -> None:
    (tmp_path / "told.csv").write_text("service_id,start,end\n,yesterday,6000\nweb,7000,6000\n")
    with pytest.raises(ConfigError) as caught:
        found(set(), folder=tmp_path, csv="told.csv")
    assert [line.split(": ")[0].rpartition("/")[2] for line in str(caught.value).splitlines()] == [
        "told.csv:2", "told.csv:2", "told.csv:3"
    ]  # fmt: skip


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.csv:1"):
        found(set(), folder=tmp_path, csv="absent.csv")
