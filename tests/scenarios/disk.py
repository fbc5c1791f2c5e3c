"""A full disk: logs fill a small file system; cleaning them helps, logging less does not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from servers import NodeExporter, scrape

from scenarios.case import Case, Entry, Place, Series, policy

SIZE = 48 << 20
HISTORY, STEP = 2 * 86_400.0, 60.0
USED, RISING, HOURS = 0.25, 0.055, 10.0
"""Share in use until so many hours ago; then so much more of the whole each hour."""

_QUIETER = "import pathlib, sys; pathlib.Path(sys.argv[1]).{}(); print('log level changed')"


class Disk:
    """A file system of limited size, and an application that writes its log to it."""

    def __init__(self, place: Place, name: str) -> None:
        self.name = name
        self.mount = place.folder / f"disk-{name}"
        self.mount.mkdir()
        argv = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(self.mount)]
        told = subprocess.run(argv, capture_output=True, text=True, check=False)
        if told.returncode:
            pytest.fail(f"a small file system is needed, and only root may mount one: {told.stderr}", pytrace=False)
        place.stack.callback(subprocess.run, ["umount", str(self.mount)], check=False)
        self.logs = self.mount / "log"
        self.logs.mkdir()
        self.quiet = place.folder / f"quiet-{name}"
        for number in range(1, 11):
            self._rotated(number)

    def _rotated(self, hours: int) -> None:
        path = self.logs / f"app.log.{hours}"
        path.write_bytes(b"x" * int((USED + RISING * HOURS) / 10 * SIZE))
        old = time.time() - hours * 3600
        os.utime(path, (old, old))

    def write(self, seconds: float) -> None:
        """Log on, as much as before; a quiet application logs nothing more, but what is there stays."""
        if not self.quiet.exists():
            with (self.logs / "app.log").open("ab") as log:
                log.write(b"y" * int(RISING / 3600 * seconds * SIZE))


class FullDisk(Case):
    """Predicted hours before, from the history that Prometheus has; ended by removing rotated logs."""

    name = "full disk"
    helped, unhelped = "archive", "journal"
    signal = "disk"
    actions, useless = ("disk.clean",), "command"
    healthy = 'node_filesystem_avail_bytes{app=~"archive|journal"} > 0'
    # it is acted upon as soon as it is known, while the other cases still learn
    failing = 'min_over_time(presagio_time_to_threshold_seconds{signal="disk"}[15m]) < 4 * 3600'
    soon = 'presagio_time_to_threshold_seconds{signal="disk"} < 4 * 3600'
    learnt = 'presagio_time_to_threshold_seconds{signal="disk"}'

    def __init__(self, place: Place) -> None:
        self.disks = {name: Disk(place, name) for name in (self.helped, self.unhelped)}
        self.exporter = place.stack.enter_context(
            NodeExporter(place.binaries.node_exporter, place.folder / "node", ["filesystem"])
        )
        self.begun, self.written = time.time(), time.monotonic()

    def jobs(self) -> Sequence[Entry]:
        """Return node_exporter with the two disks alone."""
        named = [
            {"source_labels": ["mountpoint"], "regex": r".*/disk-(\w+)", "target_label": "app"},
            {"source_labels": ["app"], "regex": self.both, "action": "keep"},
        ]
        return [scrape("disks", self.exporter.address, metric_relabel_configs=named)]

    def signals(self) -> Sequence[Entry]:
        """Return the share in use, and when it is full."""
        return [
            {
                "name": self.signal, "query": "1 - node_filesystem_avail_bytes / node_filesystem_size_bytes",
                "unit": "ratio", "range": {"min": 0, "max": 1}, "thresholds": [{"name": "full", "value": 0.97}],
            }
        ]  # fmt: skip

    def rules(self) -> Sequence[Entry]:
        """Return what PresagioThresholdSoon says, after 10 seconds instead of 20 minutes."""
        summary = "{{ $labels.service_id }} is full in {{ $value | humanizeDuration }}"
        return [{"alert": "DiskFullSoon", "expr": self.soon, "for": "10s", "annotations": {"summary": summary}}]

    def policies(self) -> Sequence[Entry]:
        """Return: remove rotated logs; log less."""
        free = 'node_filesystem_avail_bytes{app="${service_id}"} / node_filesystem_size_bytes'
        soon = {"alertname": "DiskFullSoon"}
        roots = [str(self.disks[self.helped].logs)]
        clean = {"disk.clean": {"roots": roots, "patterns": ["app.log.*"], "older_than": "2h", "max_files": 20}}
        flag = str(self.disks[self.unhelped].quiet)
        less, more = ([sys.executable, "-c", _QUIETER.format(call), flag] for call in ("touch", "unlink"))
        quieter = {"command": {"argv": less, "undo": more}}
        return [
            policy("clean-logs", self.helped, soon, f"{free} < 0.4", [clean], f"{free} > 0.6"),
            policy("log-less", self.unhelped, soon, f"{free} < 0.4", [quieter], f"{free} > 0.6"),
        ]

    def history(self) -> Iterator[Series]:
        """Yield two days of both disks: steady, and for some hours rising to where they are now."""
        for disk in self.disks.values():
            labels = (
                f'{{job="disks",instance="{self.exporter.address}",app="{disk.name}",device="tmpfs",'
                f'fstype="tmpfs",mountpoint="{disk.mount}"}}'
            )
            used = shutil.disk_usage(disk.mount)
            points = list(self._past(used.used / used.total))
            yield f"node_filesystem_avail_bytes{labels}", points
            yield f"node_filesystem_size_bytes{labels}", [(moment, float(SIZE)) for moment, _ in points]

    def _past(self, used: float) -> Iterator[tuple[float, float]]:
        rng = np.random.default_rng(5)
        for moment in np.arange(self.begun - HISTORY, self.begun, STEP).tolist():
            missing = RISING * min(HOURS, (self.begun - moment) / 3600)
            yield moment, SIZE * (1 - used + missing + float(rng.normal(0, 0.002)))

    def fail(self) -> None:
        """Do nothing: they have been filling for hours."""

    def supervise(self) -> None:
        """Let the applications log."""
        now = time.monotonic()
        if now - self.written >= 1:
            for disk in self.disks.values():
                disk.write(now - self.written)
            self.written = now

    def is_undone(self) -> bool:
        """Tell whether the log level is what it was."""
        return not self.disks[self.unhelped].quiet.exists()
