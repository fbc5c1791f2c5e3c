"""Runs one program, without a shell, to its end or its time-out; keeps the beginning and the end of its output."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

MAX_OUTPUT = 16 * 1024

_GRACE_SECONDS = 2.0
_DRAIN_SECONDS = 1.0


@dataclass(frozen=True)
class Result:
    """What became of a program: `exit_code` is None after a time-out, negative after a signal."""

    exit_code: int | None
    output: str
    output_bytes: int
    seconds: float


class Capture:
    """The first and the last bytes of a stream: at most `limit`, however long it is."""

    def __init__(self, limit: int = MAX_OUTPUT) -> None:
        self._half = limit // 2
        self._head, self._tail = bytearray(), bytearray()
        self._lock = threading.Lock()
        self.total = 0

    def add(self, chunk: bytes) -> None:
        """Take more of the stream."""
        with self._lock:
            self.total += len(chunk)
            room = self._half - len(self._head)
            self._head += chunk[:room]
            self._tail += chunk[room:]
            del self._tail[: -self._half]

    def text(self) -> str:
        """Return what was kept, decoded, with a note of what was left out."""
        with self._lock:
            left_out = self.total - len(self._head) - len(self._tail)
            gap = f"\n... {left_out} bytes left out ...\n".encode() if left_out else b""
            return bytes(self._head + gap + self._tail).decode(errors="replace")


def run(argv: Sequence[str], *, environment: Mapping[str, str], cwd: Path | None, timeout: float) -> Result:
    """Run `argv` for at most `timeout` seconds; at the time-out its whole process group is killed.

    A process that the program leaves behind is left alone, and does not delay the result by more than a second.
    Raises OSError if the program could not be started: then nothing was done.
    """
    began = time.monotonic()
    process = subprocess.Popen(  # noqa: S603 # argv comes from a policy, its placeholders are checked
        list(argv),
        env=dict(environment),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    capture = Capture()
    reader = threading.Thread(target=_drain, args=(process.stdout, capture), daemon=True)
    reader.start()
    exit_code = _wait(process, timeout)
    # Whoever still holds the pipe may go on writing: the thread reads until the last one closes it.
    reader.join(_DRAIN_SECONDS)
    return Result(exit_code, capture.text(), capture.total, time.monotonic() - began)


def _drain(stream: IO[bytes], capture: Capture) -> None:
    with stream:
        while chunk := os.read(stream.fileno(), 65536):
            capture.add(chunk)


def _wait(process: subprocess.Popen[bytes], timeout: float) -> int | None:
    try:
        return process.wait(timeout)
    except subprocess.TimeoutExpired:
        _kill(process)
        return None


def _kill(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_SECONDS)
