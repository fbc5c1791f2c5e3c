"""A process that runs, known by pid and start: a pid that is used anew is another process, and is never touched."""

from __future__ import annotations

import os
import pwd
import select
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PROTECTED = frozenset(
    {"prometheus", "alertmanager", "prometheus-alertmanager", "systemd", "dbus-daemon", "dbus-broker", "sshd", "init"}
)
"""Programs that are never signalled."""

_KERNEL_THREAD = 0x0020_0000
_ENDED = frozenset("ZX")


@dataclass(frozen=True)
class Running:
    """One process. start: clock ticks since the boot that `boot` names, as /proc/PID/stat has it."""

    pid: int
    start: int
    boot: str
    executable: str
    user: str


@dataclass(frozen=True)
class _Stat:
    """Some fields of /proc/PID/stat; see proc(5)."""

    state: str
    parent: int
    flags: int
    start: int


def find(pid: int) -> Running | None:
    """Return the process of a pid; None if there is none, it is the kernel's, or has ended already."""
    stat = _stat(pid)
    if stat is None or stat.state in _ENDED or stat.flags & _KERNEL_THREAD:
        return None
    folder = Path(f"/proc/{pid}")
    try:
        # a program that was replaced by a newer one, as upgrades do
        executable = str((folder / "exe").readlink()).removesuffix(" (deleted)")
        owner = _effective_user(folder)
    except OSError:
        return None  # gone meanwhile, or not ours to see
    return Running(pid, stat.start, _boot(), executable, _user(owner))


def everyone() -> Iterator[Running]:
    """Yield the processes that we may see."""
    for path in Path("/proc").glob("[0-9]*"):
        if found := find(int(path.name)):
            yield found


def runs(process: Running) -> bool:
    """Return whether this very process is still there."""
    stat = _stat(process.pid) if process.boot == _boot() else None
    return stat is not None and stat.start == process.start and stat.state not in _ENDED


def began(process: Running) -> float:
    """Return when it was started, in Unix seconds, to about a second."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + process.start / os.sysconf("SC_CLK_TCK")


def is_ours(process: Running) -> bool:
    """Return whether it is we ourselves, what we run in, up to the first process, or another part of Presagio."""
    return process.pid in _kin() or any(Path(word).name == "presagio" for word in _words(process.pid))


class Handle:
    """A hold on one process: what is sent through it reaches this process, or nobody."""

    def __init__(self, process: Running) -> None:
        """Raises ProcessLookupError if it is gone."""
        self.process = process
        self._file = os.pidfd_open(process.pid)
        if not runs(process):
            self.close()
            raise ProcessLookupError(f"process {process.pid} is gone")

    def send(self, number: signal.Signals) -> None:
        """Send a signal. Raises ProcessLookupError or PermissionError."""
        signal.pidfd_send_signal(self._file, number)

    def wait(self, seconds: float) -> bool:
        """Return whether it ended within so many seconds."""
        poll = select.poll()
        poll.register(self._file, select.POLLIN)
        return bool(poll.poll(max(0.0, seconds) * 1000))

    def close(self) -> None:
        """Let go of it."""
        with suppress(OSError):
            os.close(self._file)


def _stat(pid: int) -> _Stat | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    # the name, in brackets, may hold anything, also brackets
    fields = text.rpartition(")")[2].split()
    return _Stat(fields[0], int(fields[1]), int(fields[6]), int(fields[19]))


@cache
def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _kin() -> frozenset[int]:
    pids = [os.getpid()]
    while (stat := _stat(pids[-1])) and stat.parent:
        pids.append(stat.parent)
    return frozenset({1, *pids})


def _words(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:3]
    except OSError:
        return []


def _effective_user(folder: Path) -> int:
    lines = (folder / "status").read_text(errors="replace").splitlines()
    return int(next(line for line in lines if line.startswith("Uid:")).split()[2])


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
