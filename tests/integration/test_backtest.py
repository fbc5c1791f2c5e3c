"""`presagio backtest` against real Prometheus servers, and its blocks in another one: Grafana would see the past."""

import contextlib
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from servers import Prometheus, backfill, openmetrics

from presagio.exporter import wiring
from presagio.exporter.backtest.blocks import Blocks, Promtool
from presagio.exporter.backtest.moments import Moment
from presagio.exporter.config import FILE, SUBMITTED, Outputs
from presagio.exporter.engine import Scores
from presagio.exporter.signals import Key
from presagio.toolkit import positions
from presagio.toolkit.clock import ManualClock
from presagio.toolkit.errors import PresagioError

INTERVAL = 15.0
BEGIN = 1_700_000_010.0
SAMPLES, FAULT, GONE, START = 800, 600, 700, 400

CONFIG = """
prometheus: {url: %s}
services: {id: "{namespace}/{deployment}"}
warm_start: {lookback: %ds}
signals:
  - {name: latency, query: latency_seconds, unit: seconds}
  - {name: memory, query: memory_bytes, unit: bytes, outputs: {bounds: false}}
"""
Page = dict[tuple[tuple[str, str], ...], float]


def at(step: int) -> float:
    return BEGIN + step * INTERVAL


def history() -> Iterator[tuple[str, list[tuple[float, float]]]]:
    """Yield the series: cart is slow for a while after FAULT, mail vanishes at GONE."""
    rng = np.random.default_rng(3)
    for deployment in ("cart", "mail"):
        for pod in ("one", 'two "\\\\" 2'):
            labels = f'{{namespace="shop",deployment="{deployment}",pod="{pod.replace(chr(34), chr(92) + chr(34))}"}}'
            latency = rng.normal(0.2, 0.01, SAMPLES)
            if deployment == "cart":
                latency[FAULT : FAULT + 40] *= 4
            last = GONE if deployment == "mail" else SAMPLES
            memory = rng.normal(200e6, 5e6, SAMPLES)
            yield f"latency_seconds{labels}", [(at(step), float(latency[step])) for step in range(last)]
            yield f"memory_bytes{labels}", [(at(step), float(memory[step])) for step in range(last)]
    yield 'up{job="shop"}', [(at(step), 1.0) for step in range(SAMPLES)]


@pytest.fixture(scope="module")
def prometheus(
    prometheus_binary: Path, promtool: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("prometheus")
    backfill(promtool, openmetrics(history()), folder / "data")
    with Prometheus(prometheus_binary, folder) as server:
        yield server


def command(folder: Path, prometheus: Prometheus, *flags: str) -> list[str]:
    """Return the words of a backtest from START on, which learns from the very beginning."""
    config = folder / "exporter.yml"
    config.write_text(CONFIG % (prometheus.url, START * INTERVAL))
    span = (f"--from={at(START)}", f"--to={at(SAMPLES - 1)}")
    return ["backtest", f"--config={config}", *span, *flags]


def run(words: list[str], folder: Path, before: str = "") -> subprocess.CompletedProcess[str]:
    """Run `presagio` in a process of its own, after some code if there is any."""
    script = f"import sys\n{before}from presagio.toolkit.cli import main\nsys.exit(main(sys.argv[1:]))\n"
    argv = [sys.executable, "-P", "-c", script, *words]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def written(prometheus: Prometheus, promtool: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run with everything: tables, pictures, blocks."""
    folder = tmp_path_factory.mktemp("backtest")
    (folder / "incidents.csv").write_text(
        f"service_id,signal,start,end,name\nshop/cart,latency,{at(FAULT - 2)},{at(FAULT + 40)},slow\n"
    )
    answer = run(
        command(
            folder, prometheus, "--incidents=incidents.csv", "--pictures=pictures", "--json",
            "--write=blocks", "--write.path=data", "--write.label=job=presagio", f"--promtool={promtool}",
        ),
        folder,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    (folder / "told.json").write_text(answer.stdout)
    return folder


@pytest.fixture(scope="module")
def past(written: Path, prometheus_binary: Path) -> Iterator[Prometheus]:
    """A Prometheus that knows nothing but the blocks."""
    with Prometheus(prometheus_binary, written) as server:
        yield server


def samples(server: Prometheus, time: float) -> Page:
    """Return all that was written at one moment, and at no other."""
    found = server.query('{__name__=~"presagio_.+"}[1s]', time)
    values = [(one["metric"], one["values"]) for one in found]
    assert all(len(points) == 1 and float(points[0][0]) == time for _, points in values)
    return {tuple(sorted(metric.items())): float(points[0][1]) for metric, points in values}


def live(prometheus: Prometheus, folder: Path, step: int) -> Page:
    """Return what the page shows of an exporter that began to learn at the same time, and lived until `step`."""
    config = FILE.validate(positions.parse(CONFIG % (prometheus.url, step * INTERVAL)), "exporter.yml")
    clock = ManualClock(at(step) + 5)
    page, loop = wiring.loop(config, folder, CollectorRegistry(), clock)
    loop.tick(at(step))
    loop.pool.shutdown()
    return parsed(page.text(clock.now).decode())


def parsed(page: str) -> Page:
    """Return the samples of a page; scraping adds a job to those that have none."""
    found = {}
    for name, labels, value in re.findall(r"^(\w+)\{(.*)\} (\S+)$", page, re.MULTILINE):
        pairs = {one: text.encode().decode("unicode_escape") for one, text in
                 re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels)}  # fmt: skip
        found[tuple(sorted({"job": "presagio", **pairs, "__name__": name}.items()))] = float(value)
    return found


@pytest.mark.parametrize("step", [START, FAULT - 1, FAULT, FAULT + 20, GONE + 25, SAMPLES - 1])
def test_the_blocks_hold_the_live_page_to_the_bit(
    prometheus: Prometheus, past: Prometheus, tmp_path: Path, step: int
) -> None:
    page = live(prometheus, tmp_path, step)
    assert samples(past, at(step)) == page
    names = {dict(labels)["__name__"] for labels in page}
    assert {"presagio_anomaly_score", "presagio_signal_upper_bound", "presagio_service_anomaly_score"} <= names


def test_grafana_sees_the_fault(past: Prometheus) -> None:
    query = 'max(presagio_anomaly_score{service_id="shop/cart",signal="latency",job="presagio"})'
    (series,) = past.query_range(query, at(START), at(SAMPLES - 1), INTERVAL)
    scores = {round((float(time) - BEGIN) / INTERVAL): float(value) for time, value in series["values"]}
    assert sorted(scores) == list(range(START, SAMPLES))
    assert max(score for step, score in scores.items() if step < FAULT) < 0.6 <= scores[FAULT]


def test_what_is_only_learnt_from_is_not_written(past: Prometheus) -> None:
    assert past.query('count({__name__=~"presagio_.+"})', at(START - 1)) == []


def test_nothing_is_left_beside_the_blocks(written: Path, past: Prometheus) -> None:
    for folder in (one for one in (written / "data").iterdir() if re.fullmatch("[0-9A-Z]{26}", one.name)):
        meta = json.loads((folder / "meta.json").read_text())
        assert meta["maxTime"] - meta["minTime"] <= 7200_000
    assert not list((written / "data").glob("*.part"))
    assert not list((written / "data").glob("*.tmp*"))


def test_the_fault_is_told_and_drawn(written: Path) -> None:
    told = json.loads((written / "told.json").read_text())
    slow = [one for one in told["alarms"] if one["service_id"] == "shop/cart" and one["signal"] == "latency"]
    assert {one["begin"] for one in slow} == {at(FAULT)}
    assert all(one["incidents"] and one["score"] >= 0.6 for one in slow)
    (measured,) = [one for one in told["thresholds"] if one["threshold"] == 0.6]
    assert (measured["recall"], measured["median_delay"], measured["missed"]) == (1.0, 2 * INTERVAL, [])
    page = (written / "pictures" / "backtest.html").read_text()
    assert page.count("<section") == len(told["alarms"])
    assert '<span class="chip">slow</span>' in page


def test_a_folder_with_something_in_it_is_refused(prometheus: Prometheus, promtool: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "wal").touch()
    flags = ("--write=blocks", f"--write.path={tmp_path / 'data'}", f"--promtool={promtool}")
    answer = run(command(tmp_path, prometheus, *flags), tmp_path)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert "is not empty; name another folder with --write.path" in answer.stderr


def test_an_interruption_tells_what_there_is(prometheus: Prometheus, tmp_path: Path) -> None:
    """Ctrl-C in a shell: the process hears of it while it works."""
    before = (
        # what runs the tests in the background may have made us deaf to it
        "import os, signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from presagio.exporter.backtest.findings import Findings\n"
        "add = Findings.add\n"
        "def adding(self, moment):\n"
        "    add(self, moment)\n"
        f"    moment.time >= {at(FAULT + 30)} and os.kill(os.getpid(), signal.SIGINT)\n"
        "Findings.add = adding\n"
    )
    answer = run(command(tmp_path, prometheus), tmp_path, before)
    assert answer.returncode == 130
    assert "interrupted: what follows covers the time until then" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert "shop/cart" in answer.stdout


def test_a_terminal_shows_a_bar_and_no_log_lines(prometheus: Prometheus, tmp_path: Path) -> None:
    script = "import sys\nfrom presagio.toolkit.cli import main\nsys.exit(main(sys.argv[1:]))\n"
    argv = [sys.executable, "-P", "-c", script, *command(tmp_path, prometheus)]
    ours, theirs = os.openpty()
    with subprocess.Popen(argv, cwd=tmp_path, stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # how a terminal says that nobody is left to write
            while piece := os.read(ours, 4096):
                shown += piece
        assert process.stdout
        told = process.stdout.read()
    os.close(ours)
    assert process.returncode == 0
    assert b"shop/cart" in told
    assert b"backtest  [##" in shown
    assert b"100%" in shown
    assert b"level=info" not in shown


NAMES = ("plain", 'quo"te', "back\\slash", "new\nline", 'a b,job="x"', "ünï")


def moment(time: float) -> Moment:
    keys = [Key(name, "load", ()) for name in NAMES] + [Key("own", "load", (("job", "mine"),))]
    score = np.full(len(keys), 0.25)
    return Moment(time, {SUBMITTED.name: Scores(time, keys, *[score] * 6)}, None)


def test_labels_of_any_form_survive_and_an_own_label_is_kept(
    promtool: Path, prometheus_binary: Path, tmp_path: Path
) -> None:
    made = Blocks(tmp_path / "data", Promtool(str(promtool)), [SUBMITTED], Outputs(), {"job": 'pre"sagio'})
    with made as blocks:
        for time in (BEGIN, BEGIN + 7200, BEGIN + 3 * 7200):
            blocks.add(moment(time))
    assert blocks.samples == 3 * 6 * (len(NAMES) + 1)
    with Prometheus(prometheus_binary, tmp_path) as server:
        for time in (BEGIN, BEGIN + 7200, BEGIN + 3 * 7200):
            found = {one["metric"]["service_id"]: one["metric"]["job"] for one in
                     server.query("presagio_anomaly_score", time)}  # fmt: skip
            assert found == {**dict.fromkeys(NAMES, 'pre"sagio'), "own": "mine"}


def test_a_block_that_was_not_full_when_it_broke_off_is_left_out(promtool: Path, tmp_path: Path) -> None:
    def broken() -> None:
        with Blocks(tmp_path / "data", Promtool(str(promtool)), [SUBMITTED], Outputs(), {}) as blocks:
            for time in (BEGIN, BEGIN + 7200):
                blocks.add(moment(time))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken()
    (block,) = (tmp_path / "data").iterdir()
    meta = json.loads((block / "meta.json").read_text())
    assert meta["minTime"] == BEGIN * 1000
    assert math.isclose(meta["maxTime"], BEGIN * 1000, abs_tol=1)


def test_what_promtool_says_is_passed_on(promtool: Path, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("no openmetrics at all")
    with pytest.raises(PresagioError, match=r"promtool cannot write blocks into '.*': .+"):
        Promtool(str(promtool)).blocks(text, tmp_path)
