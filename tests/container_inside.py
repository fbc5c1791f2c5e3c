"""The first steps inside of a container: build its file system out of mounts, drop all rights, become its command.

    container_inside.py SPEC

SPEC is a JSON file that containers.py writes. Runs as root, in namespaces of its own. Standard library only.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

DEVICES = ("null", "zero", "full", "random", "urandom")
LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"}
SYSTEM = ("usr", "lib", "lib64", "sbin")


def mount(*words: str | Path) -> None:
    subprocess.run(["mount", *words], check=True)


def bind(source: Path, target: Path, read_only: bool) -> None:
    make_place(target, source.is_dir())
    mount("--bind", source, target)
    if read_only:
        mount("-o", "remount,bind,ro", target)


def make_place(target: Path, is_folder: bool) -> None:
    folder = target if is_folder else target.parent
    folder.mkdir(parents=True, exist_ok=True)
    if not is_folder:
        target.touch()


def tmpfs(target: Path, options: str) -> None:
    target.mkdir(parents=True, exist_ok=True)
    mount("-t", "tmpfs", "-o", options, "none", target)


def system(root: Path, spec: dict[str, Any]) -> None:
    """Lay out what every image has: programs and libraries of this machine, /etc, /proc, /sys, /dev."""
    for name in SYSTEM:
        place = Path("/") / name
        if place.is_symlink():
            (root / name).symlink_to(place.readlink())
        elif place.exists():
            bind(place, root / name, read_only=True)
    (root / "bin").mkdir()
    (root / "bin/sh").symlink_to("/usr/bin/sh")
    for name, program in spec["programs"].items():
        (root / "bin" / name).write_text(f'#!/bin/sh\nexec "{program}" "$@"\n')
        (root / "bin" / name).chmod(0o755)
    make_place(root / "proc", is_folder=True)
    mount("-t", "proc", "proc", root / "proc")
    make_place(root / "sys", is_folder=True)
    mount("-t", "sysfs", "-o", "ro", "sysfs", root / "sys")
    devices(root / "dev")


def devices(dev: Path) -> None:
    tmpfs(dev, "mode=755")
    for name in DEVICES:
        bind(Path("/dev") / name, dev / name, read_only=False)
    for name, target in LINKS.items():
        (dev / name).symlink_to(target)
    # as large, and as writable, as engines make it
    tmpfs(dev / "shm", "mode=1777,size=64m")


def files(root: Path, spec: dict[str, Any]) -> None:
    for name, text in spec["files"].items():
        make_place(root / name.lstrip("/"), is_folder=False)
        (root / name.lstrip("/")).write_text(text)
    # before the mounts: the servers may lie below this machine's own /tmp, and are mounted at their place
    for target, options in spec["tmpfs"].items():
        tmpfs(root / target.lstrip("/"), options)
    for source, target, read_only in spec["mounts"]:
        bind(Path(source), root / target.lstrip("/"), read_only)


def main() -> None:
    spec = json.loads(Path(sys.argv[1]).read_text())
    root = Path(spec["root"])
    tmpfs(root, "mode=755")
    system(root, spec)
    files(root, spec)
    make_place(root / spec["workdir"].lstrip("/"), is_folder=True)
    if spec["read_only"]:
        mount("-o", "remount,ro", root)
    os.chroot(root)
    os.chdir(spec["workdir"])
    argv = ["setpriv", *spec["rights"], *spec["argv"]]
    os.execve("/usr/bin/setpriv", argv, spec["env"])


main()
