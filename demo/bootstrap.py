"""Make a virtual environment, also where Python has no ensurepip (Debian without python3-venv).

    python demo/bootstrap.py .venv

There pip comes from Debian's package of its wheel, got by a private apt: nothing is installed into the machine.
Standard library only.
"""

import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

from packages import own_apt
from private_apt import AptError, unpack

__all__ = ["create"]

PIP_PACKAGE = "python3-pip-whl"


def create(folder: Path) -> None:
    """Make a virtual environment with pip in `folder`, unless it is there; raise AptError if pip cannot be had."""
    if _has_pip(folder):
        return
    if importlib.util.find_spec("ensurepip"):
        _run(sys.executable, "-m", "venv", "--clear", folder)
        return
    _run(sys.executable, "-m", "venv", "--clear", "--without-pip", folder)
    with tempfile.TemporaryDirectory() as scratch:
        wheel = _pip_wheel(Path(scratch))
        # a wheel is an archive that Python can run: pip installs itself
        install = ("install", "--quiet", "--no-index", "--no-deps", wheel)
        _run(folder / "bin" / "python", wheel / "pip", *install)


def _has_pip(folder: Path) -> bool:
    python = folder / "bin" / "python"
    if not python.exists():
        return False
    return subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0


def _pip_wheel(scratch: Path) -> Path:
    unpack(own_apt().download([PIP_PACKAGE], scratch), scratch / "root")
    found = next((scratch / "root").rglob("pip-*.whl"), None)
    if found is None:
        raise AptError(f"{PIP_PACKAGE} holds no wheel of pip; install python3-venv and try again")
    return found


def _run(*words: str | Path) -> None:
    subprocess.run(words, check=True)


def main() -> int:
    """Run the command line; return the exit code."""
    try:
        create(Path(sys.argv[1]))
    except AptError as error:
        print(f"no pip for the virtual environment: {error}; or install python3-venv", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
