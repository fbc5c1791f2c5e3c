"""Make a virtual environment with the oldest dependencies that setup.cfg allows; the tests run in it.

    python demo/minimum.py build/minimum

What is named in setup.cfg is as old as may be, and what that brings is new, as pip would choose it today: so an
installation may come to be.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = Path(sys.executable).with_name("uv")
# extras that a user may install; torch is left out, of which CI's machine has one version only
EXTRAS = ("distributed", "postgres", "redis", "sigv4")


def create(folder: Path) -> Path:
    """Make the environment and return the file of versions that it was made of."""
    python, versions = folder / "bin" / "python", folder / "versions.txt"
    # the tests of plug-ins install them with pip
    _uv("venv", "--clear", "--seed", "--python", sys.executable, folder)
    extras = [word for extra in EXTRAS for word in ("--extra", extra)]
    _uv(
        "pip", "compile", "--resolution", "lowest-direct", *extras,
        "--python", python, "--output-file", versions, "setup.cfg",
    )  # fmt: skip
    _uv("pip", "install", "--python", python, "--constraints", versions, "--editable", ".[dev]", "setuptools>=70.1")
    return versions


def _uv(*words: str | Path) -> None:
    subprocess.run([UV, *words[:1], "--quiet", *words[1:]], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    print(f"the oldest dependencies: {create(Path(sys.argv[1]).resolve())}")
