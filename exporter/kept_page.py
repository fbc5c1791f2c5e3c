"""A part of the metrics page that survives a restart: what was shown is shown until there is something newer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson

from presagio.toolkit.durable import read_snapshot, write_snapshot
from presagio.toolkit.errors import SnapshotError
from presagio.toolkit.log import Log

VERSION = 1


class KeptPage:
    """Text of one moment, kept in `folder` as `<kind>.snapshot`. Shown by one thread, asked for by any."""

    def __init__(self, folder: Path, kind: str, stale_after: float, log: Log) -> None:
        self.path = folder / f"{kind}.snapshot"
        self.kind = kind
        self.stale_after = stale_after
        self.log = log
        self._newest: tuple[float, bytes] = (-np.inf, b"")
        self._is_unkept = False

    def show(self, time: float, text: str) -> None:
        """Show a text of `time` (Unix seconds) from now on; that it cannot be kept is logged once."""
        self._newest = (time, text.encode())
        try:
            write_snapshot(self.path, self.kind, VERSION, orjson.dumps(time) + b"\n" + self._newest[1])
        except OSError as error:
            if not self._is_unkept:
                self.log.warning(f"{self.kind} will not survive a restart", error=error)
            self._is_unkept = True

    def restore(self) -> None:
        """Show what was shown before the restart."""
        try:
            time, _, text = read_snapshot(self.path, self.kind, VERSION).partition(b"\n")
            self._newest = (float(time), text)
        except (FileNotFoundError, SnapshotError, ValueError, OSError):
            return  # a first start, or another version: something newer comes soon

    def text(self, now: float) -> bytes:
        """Return the page, or nothing if it is too old at `now`."""
        time, page = self._newest
        return page if abs(now - time) <= self.stale_after else b""
