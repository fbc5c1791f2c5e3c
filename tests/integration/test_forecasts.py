"""Forecasts by `presagio exporter` as a process with its defaults, from two weeks in a real Prometheus.

`-s` prints what came out: the table of docs/forecasts.md.
"""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from prometheus_client.parser import text_string_to_metric_families
from servers import Process, Prometheus, answers_http, backfill, free_port, openmetrics, wait_until

from presagio.toolkit.errors import SourceReason

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
LENGTH, INTERVAL, AHEAD = 15 * DAY, 150.0, HOUR
"""What is backfilled: so long, at this interval, and beyond now, for the test to run in."""

SIZE = 1e12
FULL = 0.97
"""The limit of the preset's failure disk_full."""

CONFIG = """
prometheus: {{url: {url}}}
presets: [node]
signals:
  - {{name: latency, query: latency_seconds, unit: seconds, range: {{min: 0}}, forecast: true}}
  - name: memory
    query: memory_ratio
    range: {{min: 0, max: 1}}
    thresholds: [{{name: full, query: memory_limit}}]
"""

Floats = npt.NDArray[np.float64]


def noise(size: int, seed: int) -> Floats:
    return np.random.default_rng(seed).normal(size=size)


def saw(ago: Floats, period: float, since: float, low: float, high: float) -> Floats:
    """Return what rises from low to high in each period and then falls; the last fall was `since` seconds ago."""
    return low + (high - low) * (((since - ago) % period) / period)


DISKS: Mapping[str, Callable[[Floats], Floats]] = {
    # ago: seconds before now
    "filling": lambda ago: FULL - 0.01 * (6 * HOUR + ago) / DAY + 2e-5 * noise(len(ago), 1),
    "filling since 3 h": lambda ago: 0.6 + 0.09 * np.clip(3 * HOUR - ago, 0, None) / HOUR + 3e-4 * noise(len(ago), 2),
    "cleaned each night": lambda ago: saw(ago, DAY, 20 * HOUR, 0.6, 0.93) + 1e-3 * noise(len(ago), 3),
    "constant": lambda ago: np.full(len(ago), 0.3),
    "full": lambda ago: np.full(len(ago), 0.98),
}
"""How full each disk is."""


def latency(ago: Floats, now: float) -> Floats:
    """Return a latency with a day in it, between a tenth and three tenths of a second."""
    return 0.2 + 0.1 * np.sin(2 * np.pi * (now - ago) / DAY) + 0.003 * noise(len(ago), 4)


def written(now: float) -> Iterator[tuple[str, list[tuple[float, float]]]]:
    times = np.arange(now - LENGTH, now + AHEAD, INTERVAL)
    ago = now - times

    def series(name: str, values: Floats) -> tuple[str, list[tuple[float, float]]]:
        return name, list(zip(times.tolist(), values.tolist(), strict=True))

    for disk, used in DISKS.items():
        labels = f'{{job="node",instance="{disk}",device="/dev/sda",mountpoint="/",fstype="ext4"}}'
        yield series(f"node_filesystem_size_bytes{labels}", np.full(len(times), SIZE))
        yield series(f"node_filesystem_avail_bytes{labels}", SIZE * (1 - used(ago)))
    yield series('latency_seconds{job="shop"}', latency(ago, now))
    yield series('latency_seconds{job="shop-new"}', np.where(ago < 2 * HOUR, latency(ago, now), np.nan))
    # a leak that restarts of its own, every two days and a bit; and one with a lower limit that it will reach
    sawtooth = saw(ago, 2.3 * DAY, 2.1 * DAY, 0.3, 0.8)
    yield series('memory_ratio{job="sawtooth"}', sawtooth)
    yield series('memory_ratio{job="leak"}', 0.3 + 0.01 * (LENGTH - ago) / DAY)
    yield series('memory_limit{job="sawtooth"}', np.full(len(times), 0.9))
    yield series('memory_limit{job="leak"}', np.full(len(times), 0.455))
    yield series('up{job="node"}', np.ones(len(times)))


def told(series: Iterator[tuple[str, list[tuple[float, float]]]]) -> Iterator[tuple[str, list[tuple[float, float]]]]:
    for name, points in series:
        yield name, [one for one in points if not np.isnan(one[1])]


class Exporter(Process):
    """The command that users run."""

    def __init__(self, folder: Path, prometheus: Prometheus) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        config = folder / "exporter.yml"
        config.write_text(CONFIG.format(url=prometheus.url))
        argv: list[str | Path] = [
            Path(sys.executable).with_name("presagio"), "exporter", f"--config.file={config}",
            f"--web.listen-address=127.0.0.1:{port}", f"--storage.path={folder / 'data'}",
        ]  # fmt: skip
        super().__init__(argv, folder, name="exporter", ready=answers_http(f"{self.url}/-/healthy"))

    def metrics(self) -> str:
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=10) as answer:
            return str(answer.read().decode())


@dataclass(frozen=True)
class Page:
    """Samples by name and labels."""

    text: str

    def all(self, name: str, **labels: str) -> list[tuple[Mapping[str, str], float]]:
        return [
            (sample.labels, sample.value)
            for family in text_string_to_metric_families(self.text)
            for sample in family.samples
            if sample.name == f"presagio_{name}" and labels.items() <= sample.labels.items()
        ]

    def one(self, name: str, **labels: str) -> float:
        ((_, value),) = self.all(name, **labels)
        return value

    def reach(self, service: str) -> tuple[float, float]:
        """Return the median and the early edge of the time to the threshold, in hours."""
        names = ("time_to_threshold_seconds", "time_to_threshold_lower_bound_seconds")
        median, early = (self.one(name, service_id=service) / HOUR for name in names)
        return median, early

    def forecast(self, service: str, horizon: str) -> tuple[float, float, float]:
        names = ("forecast_value", "forecast_lower_bound", "forecast_upper_bound")
        value, lower, upper = (self.one(name, service_id=service, horizon=horizon) for name in names)
        return value, lower, upper


@dataclass(frozen=True)
class Seen:
    """The page of a first start, the one after a kill while Prometheus was down, and what Prometheus alarms on."""

    now: float
    page: Page
    bridged: Page
    linear: set[str]
    log: str


FORECAST = ("latency", "memory", "node_filesystem_utilisation")


def forecast_all(exporter: Exporter) -> bool:
    page = Page(exporter.metrics())
    return all(page.all("last_forecast_timestamp_seconds", signal=signal) for signal in FORECAST)


@pytest.fixture(scope="module")
def seen(prometheus_binary: Path, promtool: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    folder = tmp_path_factory.mktemp("forecasts")
    now = float(np.floor(time.time() / INTERVAL) * INTERVAL)
    backfill(promtool, openmetrics(told(written(now))), folder / "prometheus" / "data")
    with Prometheus(prometheus_binary, folder / "prometheus") as server:
        linear = server.query("predict_linear(node_filesystem_avail_bytes[6h], 86400) < 0")
        with Exporter(folder, server) as exporter:
            wait_until(lambda: forecast_all(exporter), "forecasts of all signals", deadline=90)
            page = Page(exporter.metrics())
            exporter.kill9()
            server.kill9()
            exporter.start()
            exporter.wait_ready()
            wait_until(lambda: "presagio_forecast_value{" in exporter.metrics(), "what was said before", deadline=30)
            bridged = Page(exporter.metrics())
        yield Seen(now, page, bridged, {one["metric"]["instance"] for one in linear}, exporter.output())


def test_a_disk_that_fills_is_full_when_it_will_be(seen: Seen) -> None:
    median, early = seen.page.reach("filling")
    assert median == pytest.approx(6.0, rel=0.1)
    assert 0 < early < median


def test_a_disk_that_has_only_just_begun_to_fill_is_told_too(seen: Seen) -> None:
    median, early = seen.page.reach("filling since 3 h")
    assert 0.6 <= median <= 2.0  # an hour and a bit, if it goes on
    assert 0 < early < median


def test_a_disk_that_is_cleaned_each_night_never_gets_there_though_a_straight_line_does(seen: Seen) -> None:
    assert "cleaned each night" in seen.linear
    assert seen.page.reach("cleaned each night") == (np.inf, np.inf)


def test_what_is_there_is_there_and_what_never_moves_never_gets_there(seen: Seen) -> None:
    assert seen.page.reach("full") == (0.0, 0.0)
    assert seen.page.reach("constant") == (np.inf, np.inf)
    assert seen.page.forecast("constant", "1d") == pytest.approx((0.3, 0.3, 0.3))


def test_memory_that_restarts_does_not_get_there_and_a_leak_does_at_its_own_limit(seen: Seen) -> None:
    assert seen.page.reach("sawtooth")[0] == np.inf
    median, _ = seen.page.reach("leak")
    assert median == pytest.approx(12.0, rel=0.05)


@pytest.mark.parametrize(("horizon", "seconds"), [("1h", HOUR), ("6h", 6 * HOUR), ("1d", DAY)])
def test_a_latency_with_a_day_in_it_is_forecast_with_its_day(seen: Seen, horizon: str, seconds: float) -> None:
    made = seen.page.one("last_forecast_timestamp_seconds", signal="latency")
    come = 0.2 + 0.1 * np.sin(2 * np.pi * (made + seconds) / DAY)
    value, lower, upper = seen.page.forecast("shop", horizon)
    assert value == pytest.approx(come, abs=0.01)
    assert lower < value < upper
    assert upper - lower < 0.05


def test_a_new_series_is_forecast_from_what_there_is(seen: Seen) -> None:
    value, lower, upper = seen.page.forecast("shop-new", "1h")
    # two hours at the turn of the day: all errors so far may be on one side, and the other then has no width
    assert 0 <= lower <= value <= upper
    assert lower < upper


def test_no_forecast_is_outside_what_is_possible(seen: Seen) -> None:
    for name in ("forecast_value", "forecast_lower_bound", "forecast_upper_bound"):
        for labels, value in seen.page.all(name, signal="node_filesystem_utilisation"):
            assert 0 <= value <= 1, (name, labels)


def test_nothing_failed_but_prometheus_and_nothing_was_refused(seen: Seen) -> None:
    # an answer that came too late says how busy this machine was, and was asked for again
    late = {SourceReason.TIMEOUT, SourceReason.UNREACHABLE}
    failed = [labels for labels, value in seen.page.all("forecast_failures_total") if value]
    assert [labels for labels in failed if labels["reason"] not in late] == [], seen.log
    assert {value for _, value in seen.page.all("forecast_series_refused")} == {0.0}
    assert "mistake of ours" not in seen.log


def test_promtool_finds_nothing_on_the_page(seen: Seen, promtool: Path) -> None:
    page = seen.page.text.encode()
    done = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_killed_and_without_prometheus_it_says_what_it_said_before(seen: Seen) -> None:
    for name in ("forecast_value", "time_to_threshold_seconds"):
        assert seen.bridged.all(name) == seen.page.all(name) != []


def test_the_table_of_the_docs(seen: Seen, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [(name, *seen.page.reach(name)) for name in (*DISKS, "sawtooth", "leak")]
    assert len(rows) == 7
    with capsys.disabled():
        print()  # noqa: T201 - a table for docs/forecasts.md
        for name, median, early in rows:
            alarms = "alarms" if name in seen.linear else ""
            print(f"{name:20} median {median:6.2f} h   early {early:6.2f} h   predict_linear {alarms}")  # noqa: T201
