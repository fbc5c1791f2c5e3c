"""Find or get the servers that the demo and the tests run: Prometheus, Alertmanager, exporters, Redis,
PostgreSQL, VictoriaMetrics.

    python demo/packages.py install system forky databases victoria    get what is missing, under build/servers/
    python demo/packages.py where                                      show what is used, from where, and its version

Two generations. `system`: what is on PATH, else this machine's own suite (Debian 12: Prometheus 2.42,
Alertmanager 0.25). `forky`: Debian's coming release (Prometheus 3.5, Alertmanager 0.33). Beside them `databases`,
found or got as `system` is, and `victoria`, which only the coming release has: what tests need and the demo does
not. Nothing is installed into the machine: see
private_apt. Standard library only, since it runs before there is a virtual environment.
"""

import argparse
import fcntl
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from private_apt import AptError, PrivateApt, unpack

__all__ = ["GENERATIONS", "GROUPS", "PROGRAMS", "install", "locate", "version"]

FOLDER = Path(__file__).resolve().parent.parent / "build" / "servers"


@dataclass(frozen=True)
class Program:
    """A server program: the Debian package that holds it, its names on PATH, the likeliest first, and its folder."""

    package: str
    names: tuple[str, ...]
    folder: str = "usr/bin"


# Debian keeps each version of PostgreSQL in a folder of its own, off PATH
_POSTGRES = "usr/lib/postgresql/*/bin"

PROGRAMS = {
    "prometheus": Program("prometheus", ("prometheus",)),
    "promtool": Program("prometheus", ("promtool",)),
    "alertmanager": Program("prometheus-alertmanager", ("alertmanager", "prometheus-alertmanager")),
    "amtool": Program("prometheus-alertmanager", ("amtool",)),
    "node_exporter": Program("prometheus-node-exporter", ("node_exporter", "prometheus-node-exporter")),
    "redis_exporter": Program("prometheus-redis-exporter", ("redis_exporter", "prometheus-redis-exporter")),
    "redis-server": Program("redis-server", ("redis-server",)),
    "postgres_exporter": Program(
        "prometheus-postgres-exporter", ("postgres_exporter", "prometheus-postgres-exporter")
    ),
    "postgres": Program("postgresql", ("postgres",), _POSTGRES),
    "initdb": Program("postgresql", ("initdb",), _POSTGRES),
    "psql": Program("postgresql", ("psql",), _POSTGRES),
    "pg_basebackup": Program("postgresql", ("pg_basebackup",), _POSTGRES),
    "victoria-metrics": Program("victoria-metrics", ("victoria-metrics", "victoria-metrics-prod")),
    "vmalert": Program("victoria-metrics", ("vmalert", "vmalert-prod")),
    "pg_dump": Program("postgresql", ("pg_dump",), _POSTGRES),
    "pg_restore": Program("postgresql", ("pg_restore",), _POSTGRES),
}

_DATABASES = ("postgres_exporter", "postgres", "initdb", "psql", "pg_basebackup", "pg_dump", "pg_restore")
_VICTORIA = ("victoria-metrics", "vmalert")

GENERATIONS = {
    "system": tuple(name for name in PROGRAMS if name not in _DATABASES + _VICTORIA),
    "forky": ("prometheus", "promtool", "alertmanager", "amtool"),
}

GROUPS = {**GENERATIONS, "databases": _DATABASES, "victoria": _VICTORIA}

# of another suite than this machine's own
SUITES = {"forky": "forky", "victoria": "forky"}

# forky ships promtool as a package of its own
SPLIT_PACKAGES = {("forky", "promtool"): "promtool"}

# Debian compiles this path into its servers; in our copies a path of the same length stands in its place, which the
# launcher opens: page templates and notification templates are found wherever the copy lies
COMPILED_PATH = b"/usr/share/prometheus"
RELOCATED_PATH = b"/proc/self/fd/9/././."

LAUNCHER = """\
#!/bin/sh
# starts {name} from its unpacked Debian package, with the libraries and data files that were unpacked beside it
root=$(dirname "$(readlink -f "$0")")/../root
LD_LIBRARY_PATH=$root/{libraries}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}
export LD_LIBRARY_PATH
[ ! -d "$root{share}" ] || exec 9<"$root{share}"
exec "$root/{executable}" "$@"
"""


def locate(name: str, generation: str) -> Path | None:
    """Return where the program `name` of `generation` is, or None; all but `forky` look on the machine first.

    Raises KeyError for a generation that is not in GROUPS or a name that is not in PROGRAMS.
    """
    program = PROGRAMS[name]
    if name not in GROUPS[generation]:
        return None
    unpacked = FOLDER / generation / "bin" / name
    return _on_machine(program, generation) or (unpacked if unpacked.exists() else None)


def _on_machine(program: Program, generation: str) -> Path | None:
    if generation == "forky":
        return None
    on_path = (shutil.which(name) for name in program.names)
    return next((Path(place) for place in on_path if place), None) or next(_off_path(program), None)


def _off_path(program: Program) -> Iterator[Path]:
    """Yield the program where Debian has it off PATH."""
    return _inside(Path("/"), program) if program.folder != Program.folder else iter(())


def _inside(root: Path, program: Program) -> Iterator[Path]:
    return (place for name in program.names for place in sorted(root.glob(f"{program.folder}/{name}")))


def version(binary: Path) -> str:
    """Return the version that `binary` says it has, or "does not run"."""
    try:
        answer = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return "does not run"
    found = re.search(r"\d+\.\d+(\.\d+)?", answer.stdout + answer.stderr)
    return found.group() if found else "unknown"


def install(generation: str) -> None:
    """Get the programs of `generation` if `locate` misses one; raise AptError if that cannot be."""
    # apt would not get again what the machine has
    names = [name for name in GROUPS[generation] if not _on_machine(PROGRAMS[name], generation)]
    with _lock():
        if all(locate(name, generation) for name in names):
            return
        _say(f"{generation}: getting {', '.join(names)}")
        with tempfile.TemporaryDirectory(dir=FOLDER) as scratch:
            _build(names, generation, Path(scratch))
            _replace(FOLDER / generation, Path(scratch) / "tree")
        _say(f"{generation}: ready in build/servers/{generation}")


def _build(names: Sequence[str], generation: str, scratch: Path) -> None:
    archives = _download(names, generation, scratch)
    root = scratch / "tree" / "root"
    unpack(archives, root)
    _relocate(root / "usr/bin")
    for name in names:
        _write_launcher(name, root)


def _replace(old: Path, new: Path) -> None:
    if old.exists():
        shutil.rmtree(old)
    new.rename(old)


def own_apt() -> PrivateApt:
    """Return a private apt with this machine's own sources, its lists fetched."""
    apt = PrivateApt(FOLDER / "apt" / "system")
    _say("apt: fetching the package lists of this machine's sources")
    apt.update()
    return apt


def _download(names: Sequence[str], generation: str, scratch: Path) -> list[Path]:
    packages = sorted({SPLIT_PACKAGES.get((generation, name), PROGRAMS[name].package) for name in names})
    apt, suite = own_apt(), SUITES.get(generation)
    if suite is None:
        packages = apt.closure(packages)
    else:
        apt = PrivateApt(FOLDER / "apt" / suite, suite, apt.own_mirror())
        _say(f"apt: fetching the package list of {suite}")
        apt.update()
    _say(f"apt: downloading {len(packages)} packages")
    return apt.download(packages, scratch)


def _relocate(programs: Path) -> None:
    for program in programs.iterdir():
        code = b"" if program.is_symlink() else program.read_bytes()
        if COMPILED_PATH in code:
            program.write_bytes(code.replace(COMPILED_PATH, RELOCATED_PATH))


def _write_launcher(name: str, root: Path) -> None:
    libraries = next((root / "usr/lib").glob("*-linux-gnu*"), root / "usr/lib")
    text = LAUNCHER.format(
        name=name,
        libraries=libraries.relative_to(root),
        share=COMPILED_PATH.decode(),
        executable=next(_inside(root, PROGRAMS[name])).relative_to(root),
    )
    launcher = root.parent / "bin" / name
    launcher.parent.mkdir(exist_ok=True)
    launcher.write_text(text)
    launcher.chmod(0o755)


@contextmanager
def _lock() -> Iterator[None]:
    """Let one install at a time work on the folder."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _say(line: str) -> None:
    print(line, flush=True)


def _table() -> Iterator[str]:
    for generation, names in GROUPS.items():
        for name in names:
            place = locate(name, generation)
            told = (version(place), str(place)) if place else ("absent", "make servers gets it")
            yield f"{generation:<9} {name:<17} {told[0]:<12} {told[1]}"


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="find or get the servers that the demo and the tests run")
    commands = parser.add_subparsers(dest="command", required=True)
    getting = commands.add_parser("install", help="get what is missing")
    getting.add_argument("generations", nargs="+", choices=sorted(GROUPS))
    commands.add_parser("where", help="show what is used, from where, and its version")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    arguments = _arguments(argv)
    if arguments.command == "where":
        print("\n".join(_table()))
        return 0
    return max([_try_install(generation) for generation in arguments.generations])


def _try_install(generation: str) -> int:
    try:
        install(generation)
    except AptError as error:
        print(f"{generation}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
