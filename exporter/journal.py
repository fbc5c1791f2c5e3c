"""Submitted values on disk before they are acknowledged: one line each, appended, until a snapshot holds them.

A line is handed to the kernel and not forced to the disk: it survives a kill of the process, and after a power
failure the services submit again. A snapshot is written when the journal has grown, so that it stays small.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import orjson

_LARGE = 1 << 20


class Journal:
    """The file of submissions since the last snapshot. Callers hold a lock between processes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, service_id: str, metrics: Mapping[str, float], time: float) -> None:
        """Write one submission (`time` is Unix seconds). Raises OSError if it is not written whole."""
        # A line of its own even after one that was cut off.
        line = b"\n" + orjson.dumps([service_id, dict(metrics), time]) + b"\n"
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            if os.write(descriptor, line) != len(line):
                raise OSError(errno.ENOSPC, "journal not written whole", str(self.path))
        finally:
            os.close(descriptor)

    def read(self) -> Iterator[tuple[str, str, float, float]]:
        """Yield (service_id, metric, value, time) in order; a line that a crash cut off was never acknowledged."""
        if not self.path.exists():
            return
        for line in self.path.read_bytes().splitlines():
            try:
                service_id, metrics, time = orjson.loads(line)
                yield from ((service_id, name, float(value), float(time)) for name, value in metrics.items())
            except (ValueError, TypeError, AttributeError):
                continue

    @property
    def is_large(self) -> bool:
        """Whether it is time for a snapshot."""
        return self.path.exists() and self.path.stat().st_size > _LARGE

    def clear(self) -> None:
        """Forget what a snapshot holds now."""
        self.path.unlink(missing_ok=True)
