"""The process that runs the models: a real one."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from presagio.exporter.forecast_worker import Task, Worker, WorkerError, serve
from presagio.forecasters.auto import Auto, AutoParams
from presagio.forecasters.base import ForecasterParams
from presagio.forecasters.quick import Quick

LEVELS = (0.1, 0.5, 0.9)
HORIZONS = (300.0, 3600.0)


def history(rows: int = 3) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(rows, 400)).cumsum(axis=1)


def task(forecaster: str = "quick", **params: object) -> Task:
    told = {"levels": LEVELS, "maximum": 5.0, **params}
    return Task(forecaster, told, 300.0, HORIZONS, history(), ["a", "b", "c"], 1500.0, 3600.0)


def processes(parent: int) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(stat[1]) == parent and stat[0] != "Z":
            found.append(int(folder.name))
    return found


@pytest.fixture
def worker() -> Iterator[Worker]:
    one = Worker()
    yield one
    one.stop()


def child(worker: Worker) -> "subprocess.Popen[bytes]":
    assert worker._process is not None
    return worker._process


def test_it_answers_to_the_bit_what_the_forecaster_says_here(worker: Worker) -> None:
    forecast, cpu = worker.run(task())
    here = Quick(ForecasterParams(levels=LEVELS, maximum=5.0)).forecast(history(), 300.0, HORIZONS)
    np.testing.assert_array_equal(forecast.mean, here.mean)
    np.testing.assert_array_equal(forecast.quantiles, here.quantiles)
    assert forecast.levels == LEVELS
    assert cpu > 0


def test_a_forecaster_that_chooses_says_the_same_through_it(worker: Worker) -> None:
    here = Auto(AutoParams(levels=LEVELS, maximum=5.0, seconds=0.004)).forecast(history(), 300.0, HORIZONS)
    for _ in range(2):  # with a choice that is made, and with one that is kept
        forecast, _ = worker.run(task("auto", seconds=0.004))
        np.testing.assert_array_equal(forecast.mean, here.mean)
        np.testing.assert_array_equal(forecast.quantiles, here.quantiles)


def test_an_engine_that_is_not_there_is_an_error(worker: Worker) -> None:
    with pytest.raises(WorkerError, match="forecaster 'quick' failed: EngineError: no engine 'spark://x'"):
        worker.run(replace(task(), engine="spark://x"))


def test_it_is_one_niced_process_that_stays(worker: Worker) -> None:
    worker.run(task())
    first = child(worker).pid
    worker.run(task())
    assert child(worker).pid == first
    assert os.getpriority(os.PRIO_PROCESS, first) == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 10)


def test_one_that_was_killed_is_started_again(worker: Worker) -> None:
    worker.run(task())
    child(worker).kill()
    child(worker).wait()
    forecast, _ = worker.run(task())
    assert forecast.mean.shape == (3, 2)


def test_one_that_dies_at_work_is_an_error_and_the_next_task_is_done(worker: Worker) -> None:
    dying = [sys.executable, "-c", "import sys; sys.stdin.buffer.read(8)"]
    worker._process = subprocess.Popen(dying, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with pytest.raises(WorkerError, match="the process of the forecasts ended"):
        worker.run(task())
    assert worker.run(task())[0].mean.shape == (3, 2)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (task("oracle"), "forecaster 'oracle' failed: PluginError: no presagio.forecasters named 'oracle'"),
        (task(season="moon"), "forecaster 'quick' failed: ValidationError"),
    ],
)
def test_a_forecaster_that_fails_is_an_error_and_not_the_end(worker: Worker, bad: Task, words: str) -> None:
    worker.run(task())
    before = child(worker).pid
    with pytest.raises(WorkerError, match=words.replace("'", ".")):
        worker.run(bad)
    worker.run(task())
    assert child(worker).pid == before


def test_after_a_stop_there_is_no_process_and_none_is_started(worker: Worker) -> None:
    worker.run(task())
    pid = child(worker).pid
    worker.stop()
    assert pid not in processes(os.getpid())
    with pytest.raises(WorkerError, match="was stopped"):
        worker.run(task())


def test_an_interrupt_of_the_terminal_is_left_to_the_parent(worker: Worker) -> None:
    worker.run(task())
    before = child(worker).pid
    os.kill(before, signal.SIGINT)
    worker.run(task())
    assert child(worker).pid == before


PARENT = """
import sys
import numpy as np
from presagio.exporter.forecast_worker import Task, Worker
worker = Worker()
worker.run(Task("naive", {"levels": (0.1, 0.5, 0.9)}, 300.0, (300.0,), np.zeros((1, 50)), ["a"], 0.0, 9.0))
print(worker._process.pid, flush=True)
sys.stdin.read()
"""


def test_it_ends_with_who_started_it_even_if_that_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-P", "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        assert parent.stderr is not None
        pid = int(parent.stdout.readline())
        assert pid in processes(parent.pid)
        parent.kill()
        said = parent.stderr.read()  # ends when the last who holds it has ended: the child
    assert said == b""
    assert not Path(f"/proc/{pid}").exists() or _is_over(pid)


def _is_over(pid: int) -> bool:
    """Wait for the system to clear away a process that has ended."""
    for _ in range(500):
        try:
            if (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("asked", [b"", b"abc", b"\x10" + bytes(7) + b"too short"])
def test_when_the_requests_end_it_ends(asked: bytes) -> None:
    answers = io.BytesIO()
    serve(io.BytesIO(asked), answers)
    assert answers.getvalue() == b""
