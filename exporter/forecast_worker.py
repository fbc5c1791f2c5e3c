"""The models of the forecasts run in a process of their own: niced, one thread, and scoring never waits for them.

    python -m presagio.exporter.forecast_worker

It reads requests from its standard input and writes answers to its standard output, each a length and an archive of
arrays (nothing in it is ever executed), until the input ends: so it ends with whoever started it, however that ended.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import IO, Any

import numpy as np
import orjson

from presagio.detectors.base import Floats
from presagio.exporter.kept_choices import Chooser, KeptChoices
from presagio.forecasters import engine
from presagio.forecasters.base import Forecast
from presagio.forecasters.engine import LOCAL, Model
from presagio.toolkit import plugins
from presagio.toolkit.errors import PresagioError

_LENGTH = struct.Struct("<Q")
_NICE = 10
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class WorkerError(PresagioError):
    """The process that runs the models failed, or ended."""


@dataclass(frozen=True)
class Task:
    """What is to be forecast: history[n, t] by a forecaster with its parameters.

    The engine `local` keeps what was chosen for the series, known by `names`, at `time` (Unix seconds).
    """

    forecaster: str
    params: Mapping[str, Any]
    step: float
    horizons: tuple[float, ...]
    history: Floats
    names: Sequence[str]
    time: float
    choose_every: float
    engine: str = LOCAL


class Worker:
    """Starts the process when it is needed, and again if it has ended. One task at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._is_over = False

    def run(self, task: Task) -> tuple[Forecast, float]:
        """Return the forecast and the CPU seconds that it took. Raises WorkerError."""
        told = {one.name: getattr(task, one.name) for one in fields(task) if one.name != "history"}
        with self._lock:
            process = self._started()
            try:
                _write(process.stdin, told, history=task.history)
                answer, arrays = _read(process.stdout)
            except (OSError, EOFError, ValueError) as error:
                self._end()
                raise WorkerError(f"the process of the forecasts ended: {error}") from error
        if "error" in answer:
            raise WorkerError(f"forecaster {task.forecaster!r} failed: {answer['error']}")
        return Forecast(arrays["mean"], arrays["quantiles"], tuple(answer["levels"])), float(answer["cpu"])

    def stop(self) -> None:
        """End the process, whatever it is doing, for good."""
        self._is_over = True
        self._end()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._is_over:
            raise WorkerError("the process of the forecasts was stopped")
        if self._process is not None and self._process.poll() is not None:
            self._end()
        if self._process is None:
            command = [sys.executable, "-P", "-m", "presagio.exporter.forecast_worker"]
            environment = {**os.environ, **dict.fromkeys(_THREADS, "1")}
            self._process = subprocess.Popen(  # noqa: S603 # our own module, nothing from outside
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
            )
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):  # what it did not read is of no use now
                        pipe.close()


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Answer one request after the other until there are no more."""
    kept = KeptChoices()
    while True:
        try:
            told, arrays = _read(requests)
        except EOFError:
            return
        try:
            begun = time.process_time()
            forecast = _forecast(Task(**told, history=arrays["history"]), kept)
            cpu = time.process_time() - begun
        except Exception as error:  # a stranger's forecaster may raise anything; the caller logs it
            _write(answers, {"error": f"{type(error).__name__}: {error}"})
        else:
            _write(answers, {"levels": forecast.levels, "cpu": cpu}, mean=forecast.mean, quantiles=forecast.quantiles)


def _forecast(task: Task, kept: KeptChoices) -> Forecast:
    kind = plugins.load(plugins.FORECASTERS, task.forecaster)
    if task.engine != LOCAL or not hasattr(kind, "choose"):
        model = Model(task.forecaster, task.params)
        return engine.forecast(task.engine, model, task.history, task.step, task.horizons)
    chooser: Chooser = kind(kind.Params.model_validate(task.params))
    return kept.forecast(chooser, task.names, task.history, task.step, task.horizons, task.time, task.choose_every)


def _write(pipe: IO[bytes] | None, told: Mapping[str, Any], **arrays: Floats) -> None:
    assert pipe is not None  # noqa: S101 # for the type checker: the process was started with pipes
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, told=np.frombuffer(orjson.dumps(told), dtype=np.uint8), **arrays)
    pipe.write(_LENGTH.pack(buffer.tell()))
    pipe.write(buffer.getbuffer())
    pipe.flush()


def _read(pipe: IO[bytes] | None) -> tuple[dict[str, Any], dict[str, Floats]]:
    assert pipe is not None  # noqa: S101 # as above
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError("nothing more to read")
    (length,) = _LENGTH.unpack(head)
    body = pipe.read(length)
    if len(body) < length:
        raise EOFError("broken off")
    with np.load(io.BytesIO(body), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    return orjson.loads(arrays.pop("told").tobytes()), arrays


if __name__ == "__main__":
    os.nice(_NICE)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal, to all of its processes: the parent ends us
    # what a library prints must not be taken for an answer
    output, sys.stdout = sys.stdout.buffer, sys.stderr
    try:
        serve(sys.stdin.buffer, output)
    except BrokenPipeError:  # who asked is gone, and nobody is there to be told
        os._exit(0)
