"""Containers without an engine: what a resolved docker-compose.yml declares, by Linux' namespaces alone.

Each service gets what an engine would give it: a file system of its own with the mounts at their very paths, its root
read-only if that is declared, /tmp and /dev/shm in memory, its user, its capabilities dropped, its environment and
nothing else of ours, process 1 of its own. All share one network namespace, in which each service's name leads to an
address of its own: all ports are the declared ones, and nothing of it reaches this machine's network.

What it does not do: limits of memory and processes, restarts, addresses that only one service can listen on.
"""

import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pip
from servers import Process, ServerError, wait_until, writes_line

HERE = Path(__file__).parent.absolute()
INSIDE = HERE / "container_inside.py"
NETWORK = HERE / "container_network.py"

Mounts = tuple[tuple[Path, str, bool], ...]
"""Source, target, and whether it is read-only."""


@dataclass(frozen=True)
class Image:
    """What an image brings: how it starts, its files beyond a Debian's, and which folders belong to its user."""

    entrypoint: Sequence[str]
    command: Sequence[str]
    env: Mapping[str, str]
    user: str
    workdir: str = "/"
    mounts: Mounts = ()
    programs: Mapping[str, Path] = field(default_factory=dict)
    owned: Sequence[str] = ()
    health: Sequence[str] = ()


def may_run() -> bool:
    """Return whether this machine lets us make namespaces."""
    argv = ["unshare", "--mount", "--net", "--pid", "--fork", "true"]
    try:
        return subprocess.run(argv, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def python_mounts(folder: Path) -> Mounts:
    """Return what puts this Python at /usr/local, where the image of Python has it; scratch is made in `folder`."""
    base = Path(sys.base_prefix)
    if base == Path("/usr"):
        # Debian's: it stays, under the name that the image gives it
        (folder / "bin").mkdir(parents=True, exist_ok=True)
        link = folder / "bin" / "python"
        if not link.is_symlink():
            link.symlink_to(f"/usr/bin/python{sysconfig.get_python_version()}")
        base = folder
    if base == Path("/usr/local"):
        return ()
    # under its own name too: a Python that is a shared library looks for it where it was built
    return ((base, "/usr/local", True), (base, str(base), True))


class Container(Process):
    """One container; `spec` is what container_inside.py makes of it."""

    def __init__(self, name: str, spec: Mapping[str, Any], workdir: Path, network: Process | None) -> None:
        self.spec = spec
        file = workdir / f"{name}.json"
        Path(spec["root"]).mkdir(parents=True)
        file.write_text(json.dumps(spec, default=str))
        joining = [f"--net=/proc/{network.pid}/ns/net"] if network else []
        argv: list[str | Path] = [
            "nsenter", *joining, "unshare", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child=KILL",
            sys.executable, INSIDE, file,
        ]  # fmt: skip
        super().__init__(argv, workdir, name=name)

    @property
    def first(self) -> int:
        """The number that process 1 of the container has outside."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return int(wait_until(children.read_text, f"process of {self.name}").split()[0])

    def exit_code(self, patience: float = 60.0) -> int:
        """Wait until the container has ended by itself, and return its exit code."""
        wait_until(lambda: not self.is_alive, f"end of {self.name}", patience)
        ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        assert ended is not None
        return ended.si_status

    def stop(self, grace: float = 60.0) -> None:
        """Ask process 1 to end: the signal of an engine goes to it, not to what started it."""
        if self._popen is not None and self.is_alive:
            os.kill(self.first, signal.SIGTERM)
            wait_until(lambda: not self.is_alive, f"end of {self.name}", grace)
        self.kill9()

    def execute(self, argv: Sequence[str], timeout: float = 30.0) -> subprocess.CompletedProcess[str]:
        """Run a command in the container, as its user, with its environment: `docker exec`."""
        env = [f"{name}={value}" for name, value in self.spec["env"].items()]
        joined = ["nsenter", f"--target={self.first}", "--mount", "--net", "--pid", "--ipc", "--root"]
        inside = ["/usr/bin/env", "-i", *env, "/usr/bin/setpriv", *self.spec["rights"], *argv]
        return subprocess.run(
            [*joined, f"--wdns={self.spec['workdir']}", *inside],
            capture_output=True, text=True, check=False, timeout=timeout,
        )  # fmt: skip


def rights(user: str, drops_all: bool, may_gain: bool) -> list[str]:
    """Return what setpriv is to do before the command is run."""
    uid, _, gid = user.partition(":")
    words = [f"--reuid={uid}", f"--regid={gid or uid}", "--clear-groups", "--pdeathsig=KILL"]
    if drops_all:
        words += ["--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"]
    return [*words, *([] if may_gain else ["--no-new-privs"])]


def build(commands: str, env: Mapping[str, str], mounts: Mounts, files: Mapping[str, str], folder: Path) -> str:
    """Run what a RUN says, as root, on this machine's network; return its output. Raises ServerError if it fails."""
    settings = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    spec = {
        "root": folder / "root", "workdir": "/src", "read_only": False, "programs": {}, "files": files,
        "tmpfs": {"/tmp": "mode=1777"},
        "rights": rights("0:0", drops_all=False, may_gain=True), "argv": ["/bin/sh", "-c", commands],
        # the image of Python has pip; this machine's Python may have none, so it gets that of the tests
        "env": {"HOME": "/root", "PYTHONPATH": "/pip", **env, **settings},
        "mounts": [*mounts, *_hosts_settings(), (Path(pip.__file__).parent, "/pip/pip", True)],
    }  # fmt: skip
    container = Container("build", spec, folder, None)
    container.start()
    try:
        if code := container.exit_code(patience=600):
            raise ServerError(f"RUN {commands} ends with {code}:\n{container.log_tail()}")
        return container.output()
    finally:
        container.kill9()


def _hosts_settings() -> Iterator[tuple[Path, str, bool]]:
    """Yield what pip needs of this machine: names, certificates, and the settings of its user."""
    places = [Path("/etc"), *Path("/opt").glob("*"), Path.home() / ".config/pip"]
    inside = {Path.home() / ".config/pip": "/root/.config/pip"}
    for place in places:
        if place.is_dir():
            yield place, inside.get(place, str(place)), True


class Project:
    """The services of a resolved compose file, but those in `without`."""

    def __init__(
        self, config: Mapping[str, Any], images: Mapping[str, Image], folder: Path, without: Sequence[str] = ()
    ) -> None:
        self.services = {name: each for name, each in config["services"].items() if name not in without}
        self.images = images
        self.folder = folder
        self.containers: dict[str, Container] = {}
        self.addresses = {name: f"10.89.0.{number}" for number, name in enumerate(self.services, 1)}
        argv: list[str | Path] = ["unshare", "--net", sys.executable, NETWORK, *self.addresses.values()]
        self.network = Process(argv, folder, name="network", ready=writes_line("the network is up"))
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Start all in the order of depends_on, and wait until they are healthy: `docker compose up --wait`."""
        with ExitStack() as stack:
            stack.enter_context(self.network)
            for name in self._order():
                self._await(self.services[name].get("depends_on", {}))
                self.containers[name] = self._container(name)
                stack.callback(self.containers[name].stop)
                self.containers[name].start()
            for name in self.services:
                self._await({name: {"condition": "service_healthy"}})
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def on_machine(self, argv: Sequence[str], timeout: float = 30.0) -> subprocess.CompletedProcess[str]:
        """Run a command where the published ports are on localhost."""
        joined = ["nsenter", f"--net=/proc/{self.network.pid}/ns/net", *argv]
        return subprocess.run(joined, capture_output=True, text=True, check=False, timeout=timeout)

    def image_of(self, name: str) -> Image:
        return self.images[self.services[name]["image"].partition(":")[0]]

    def health(self, name: str) -> list[str] | None:
        """Return the command of a service's health check: its own, else that of its image; None where it is off."""
        check = self.services[name].get("healthcheck", {})
        if check.get("disable"):
            return None
        words = check.get("test") or ["CMD", *self.image_of(name).health]
        assert words[0] == "CMD", f"{name}: a health check in exec form, got {words}"
        return list(words[1:])

    def is_healthy(self, name: str) -> bool:
        command = self.health(name)
        assert command, f"{name} has no health check"
        return self.containers[name].execute(command, timeout=5).returncode == 0

    def _order(self) -> list[str]:
        done: list[str] = []
        while len(done) < len(self.services):
            ready = [
                name for name, each in self.services.items()
                if name not in done and set(each.get("depends_on", {})) <= set(done)
            ]  # fmt: skip
            assert ready, f"depends_on goes round in a circle, or leads to none of {list(self.services)}"
            done.extend(ready)
        return done

    def _await(self, conditions: Mapping[str, Mapping[str, Any]]) -> None:
        for name, each in conditions.items():
            container = self.containers[name]
            if each["condition"] == "service_completed_successfully":
                assert container.exit_code() == 0, container.log_tail()
            elif self.health(name) is not None:
                self._await_health(name)

    def _await_health(self, name: str) -> None:
        check = self.services[name].get("healthcheck", {})
        patience = seconds(check.get("start_period", "0s")) + seconds(check["interval"]) * check["retries"]
        end = time.monotonic() + patience
        while not self.is_healthy(name):
            container = self.containers[name]
            if not container.is_alive or time.monotonic() > end:
                raise ServerError(
                    f"{name} is not healthy within {patience:g} s; its log ends:\n{container.log_tail()}"
                )
            time.sleep(0.2)

    def _container(self, name: str) -> Container:
        service, image = self.services[name], self.image_of(name)
        hosts = "".join(f"{address} {each}\n" for each, address in self.addresses.items())
        entrypoint = service.get("entrypoint")
        command = service.get("command") or ([] if entrypoint else image.command)
        spec = {
            "root": self.folder / "roots" / name,
            "workdir": service.get("working_dir", image.workdir),
            "read_only": service.get("read_only", False),
            "programs": image.programs,
            "files": {
                "/etc/hosts": f"127.0.0.1 localhost\n::1 localhost\n{hosts}",
                "/etc/passwd": "root:x:0:0:::\nnobody:x:65534:65534::/nonexistent:\n",
            },
            "tmpfs": dict(each.partition(":")[::2] for each in service.get("tmpfs", [])),
            "mounts": [*image.mounts, *self._volumes(service, image)],
            "rights": rights(
                service.get("user", image.user),
                "ALL" in service.get("cap_drop", []),
                "no-new-privileges:true" not in service.get("security_opt", []),
            ),
            "env": {**image.env, **{key: value or "" for key, value in service.get("environment", {}).items()}},
            "argv": [*(entrypoint or image.entrypoint), *command],
        }
        return Container(name, spec, self.folder, self.network)

    def _volumes(self, service: Mapping[str, Any], image: Image) -> Iterator[tuple[Path, str, bool]]:
        for each in service.get("volumes", []):
            source = Path(each["source"])
            if each["type"] == "volume":
                source = self.folder / "volumes" / each["source"]
                if not source.exists():
                    source.mkdir(parents=True)
                    # an empty volume takes the owner of the image's folder
                    if each["target"] in image.owned:
                        uid, _, gid = image.user.partition(":")
                        os.chown(source, int(uid), int(gid))
            yield source, each["target"], each.get("read_only", False)


def seconds(duration: str) -> float:
    """Return the seconds of a duration as compose prints it: 1m30s, 5s."""
    minutes, _, rest = duration.rpartition("m")
    return 60 * float(minutes or 0) + float(rest.rstrip("s") or 0)
