"""Training on a schedule, in a process of its own: niced, of bounded memory, and scoring never waits for it.

    python -m presagio.exporter.training_process BYTES FLAGS...

is `presagio train FLAGS...` that takes at most so many bytes, and ends when its standard input does: so it ends with
whoever started it, however that ended.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import orjson

from presagio.exporter.failure_config import TrainingConfig
from presagio.exporter.prediction_metrics import PredictionMetrics
from presagio.exporter.trainer import Result
from presagio.exporter.training_schedule import Schedule
from presagio.toolkit.clock import Clock
from presagio.toolkit.log import Log
from presagio.toolkit.units import format_duration

_NICE = 15
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
_PATIENCE = 10.0


class Training:
    """Trains all failures when it is due, until it is stopped: for a thread of its own."""

    def __init__(
        self, failures: Sequence[str], settings: TrainingConfig, arguments: argparse.Namespace, models: Path,
        metrics: PredictionMetrics, clock: Clock, log: Log,
    ) -> None:  # fmt: skip
        self.failures = list(failures)
        self.settings = settings
        self.arguments = arguments
        self.schedule = Schedule(models, settings.every, clock)
        self.metrics = metrics
        self.clock = clock
        self.log = log
        self.stop = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, is_ready: Callable[[], bool]) -> None:
        """Wait until history is read, and then train whenever it is due."""
        if not (self.failures and self.settings.enabled):
            return
        while not is_ready():
            if self.clock.wait(1.0, self.stop):
                return
        while not self.clock.wait(self.schedule.due() - self.clock.time(), self.stop):
            self._train()

    def end(self) -> None:
        """Let `run` end soon; a training that runs is broken off, and leaves the models as they were."""
        self.stop.set()
        process = self._process
        if process is not None:
            process.kill()

    def _train(self) -> None:
        begun = self.clock.time()
        self.schedule.begin()
        outcomes, code = self._outcomes()
        if self.stop.is_set():
            self.schedule.broken_off()
            return
        self.metrics.training.set(self.clock.time() - begun)
        if self._is_well(outcomes, code):
            self.schedule.succeeded()
        else:
            self.schedule.failed()
            wait = format_duration(round(self.schedule.due() - self.clock.time()))
            self.log.warning("training failed, will be tried again", after=wait)

    def _is_well(self, outcomes: Sequence[dict[str, str]], code: int) -> bool:
        """Count and log what came of each failure; return whether none of them failed."""
        for one in outcomes:
            self.metrics.trainings.labels(one["failure"], one["result"]).inc()
            self.log.info(
                "trained", failure=one["failure"], horizon=one["horizon"], outcome=one["result"], why=one["why"]
            )
        told = {one["failure"] for one in outcomes}
        lost = [failure for failure in self.failures if failure not in told]
        for failure in lost:
            self.metrics.trainings.labels(failure, Result.FAILED.value).inc()
        if lost:
            self.log.error("training ended before it was done; see its log lines above", failures=lost, exit=code)
        return not lost and all(one["result"] != Result.FAILED for one in outcomes)

    def _outcomes(self) -> tuple[Sequence[dict[str, str]], int]:
        """Return what the process says came of each failure and horizon, and its exit code."""
        asked = self.arguments
        flags = [
            "--config.file", str(asked.config_file), "--storage.path", str(asked.storage_path), "--json",
            "--log.level", asked.log_level, "--log.format", asked.log_format,
        ]  # fmt: skip
        command = [
            sys.executable,
            "-P",
            "-m",
            "presagio.exporter.training_process",
            str(self.settings.memory),
            *flags,
        ]
        environment = {**os.environ, **dict.fromkeys(_THREADS, "1")}
        with subprocess.Popen(  # noqa: S603 # our own module, with our own flags
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        ) as process:
            self._process = process
            if self.stop.is_set():
                process.kill()
            assert process.stdout is not None  # noqa: S101 # for the type checker: it was started with a pipe
            said = process.stdout.read()
            code = process.wait()
        self._process = None
        try:
            return orjson.loads(said), code
        except orjson.JSONDecodeError:
            return [], code


def _ends_with_parent() -> None:
    # not sys.stdin: a thread that waits in it would break the interpreter's end
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGINT)
    # what does not heed an interrupt, such as a long call into a library, ends all the same
    threading.Event().wait(_PATIENCE)
    os._exit(1)


def main(memory: int, flags: Sequence[str]) -> int:
    """Train with at most so many bytes of memory of our own (code and libraries are not counted)."""
    from presagio.toolkit.cli import main as presagio

    os.nice(_NICE)
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    threading.Thread(target=_ends_with_parent, daemon=True).start()
    return presagio(["train", *flags])


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]), sys.argv[2:]))
