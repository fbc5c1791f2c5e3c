"""A real systemd, the one of a user, with services of the tests'; it ends with its process."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from absence import absent
from servers import Process

_PROGRAM = Path("/lib/systemd/systemd")
_BOOTED = Path("/run/systemd/system")
"""Where this folder is, systemd believes that it runs the machine, and starts for a user too."""


class Manager:
    """What `systemctl --user` finds through `environment`."""

    def __init__(self, folder: Path) -> None:
        self.runtime, self.home = folder / "run", folder / "home"
        self.units = self.home / ".config" / "systemd" / "user"
        self.environment = {
            "XDG_RUNTIME_DIR": str(self.runtime),
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={self.runtime}/bus",
        }

    def control(self, *arguments: str) -> str:
        """Run systemctl and return what it says. Raises CalledProcessError."""
        told = subprocess.run(
            ["systemctl", "--user", *arguments],
            env={**os.environ, **self.environment}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return told.stdout.strip()

    def service(self, name: str, command: str, **settings: str) -> None:
        """Make a service and start it."""
        self.units.mkdir(parents=True, exist_ok=True)
        more = "".join(f"{key}={value}\n" for key, value in settings.items())
        (self.units / f"{name}.service").write_text(f"[Service]\nExecStart={command}\n{more}")
        self.control("daemon-reload")
        self.control("start", f"{name}.service")

    def invocation(self, name: str) -> str:
        """Return what differs with each start."""
        return self.control("show", "--property=InvocationID", "--value", f"{name}.service")


@contextlib.contextmanager
def manager(folder: Path) -> Iterator[Manager]:
    """Start one; skip where there is no systemd or nobody may pretend that it runs the machine, in CI fail."""
    with contextlib.ExitStack() as stack:
        if not _PROGRAM.exists() or not _pretend(stack):
            reason = "no systemd that a user may start; install systemd, run as root"
            absent(reason)
        found = Manager(folder)
        found.runtime.mkdir(mode=0o700, parents=True)
        found.home.mkdir()
        env = {**found.environment, "HOME": str(found.home)}
        argv = [str(_PROGRAM), "--user", "--log-target=console", "--unit=basic.target"]
        socket = found.runtime / "systemd" / "private"
        stack.enter_context(Process(argv, folder / "log", name="systemd", env=env, ready=lambda _: socket.exists()))
        yield found


def _pretend(stack: contextlib.ExitStack) -> bool:
    if _BOOTED.is_dir():
        return True
    try:
        _BOOTED.mkdir(parents=True)
    except OSError:
        return False
    stack.callback(_BOOTED.rmdir)
    return True
