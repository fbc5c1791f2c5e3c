"""A private apt: Debian packages by name into a folder, without root and without installing them.

`apt-get install` would start services, take ports and ask for root. Here apt keeps its lists and its cache in a
folder of ours, downloads, and `dpkg-deb` unpacks; the machine's own apt and dpkg are only read.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["AptError", "PrivateApt", "unpack"]

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


class AptError(RuntimeError):
    """A package that cannot be had; the message is one sentence that names the remedy."""


@dataclass(frozen=True)
class PrivateApt:
    """An apt whose lists and cache live in `folder`; `suite` of the machine's mirror, else its own sources."""

    folder: Path
    suite: str | None = None
    mirror: str | None = None

    def update(self) -> None:
        """Fetch the package lists. One source that fails is no reason to stop: the download will tell."""
        for part in ("lists/partial", "cache/archives/partial"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        if self.suite:
            (self.folder / "sources.list").write_text(f"deb {self._trust()}{self.mirror} {self.suite} main\n")
        self._run("update")

    def own_mirror(self) -> str:
        """Return the address of the Debian mirror that the machine's own sources name first."""
        answer = self._run("indextargets", "--format", "$(REPO_URI)", "Created-By: Packages")
        addresses = [line for line in answer.stdout.split() if "security" not in line]
        if not addresses:
            raise AptError("apt knows no mirror of Debian; add one to /etc/apt/sources.list and try again")
        return addresses[0]

    def closure(self, packages: Sequence[str]) -> list[str]:
        """Return `packages` and those of their dependencies that this machine has not installed."""
        answer = self._run("install", "--simulate", "--no-install-recommends", *packages)
        if answer.returncode:
            raise self._failed("cannot resolve", packages, answer)
        found = re.findall(r"^Inst (\S+)", answer.stdout, re.MULTILINE)
        return sorted({*packages, *found})

    def download(self, packages: Sequence[str], into: Path) -> list[Path]:
        """Download `packages` into the folder `into`, tried twice; return the files, sorted."""
        into.mkdir(parents=True, exist_ok=True)
        answer = self._run("download", *packages, cwd=into)
        if answer.returncode:
            self.update()
            answer = self._run("download", *packages, cwd=into)
        if answer.returncode:
            raise self._failed("cannot download", packages, answer)
        return sorted(into.glob("*.deb"))

    def _trust(self) -> str:
        return f"[signed-by={KEYRING}] " if KEYRING.exists() else ""

    def _options(self) -> list[str]:
        options = {
            "Dir::State::Lists": self.folder / "lists",
            "Dir::Cache": self.folder / "cache",
            "Dir::Cache::pkgcache": "",
            "Dir::Cache::srcpkgcache": "",
            "Acquire::Languages": "none",
            "Acquire::Retries": 3,
            # as root apt would drop to a user who cannot write here
            "APT::Sandbox::User": "root",
        }
        if self.suite:
            options["Dir::Etc::SourceList"] = self.folder / "sources.list"
            options["Dir::Etc::SourceParts"] = "-"
        return [word for name, value in options.items() for word in ("-o", f"{name}={value}")]

    def _run(self, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        program = shutil.which("apt-get")
        if program is None:
            raise AptError(
                "apt-get is not on this machine; put prometheus, promtool, alertmanager, node_exporter, "
                "redis_exporter and redis-server on PATH and try again"
            )
        argv = [program, "-q", *self._options(), *words]
        env = os.environ | {"LC_ALL": "C"}
        return subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, check=False)

    def _failed(self, what: str, packages: Sequence[str], answer: subprocess.CompletedProcess[str]) -> AptError:
        errors = [line for line in answer.stderr.splitlines() if line.startswith("E:")] or ["E: no reason given"]
        return AptError(
            f"apt {what} {', '.join(packages)}: {errors[0].removeprefix('E: ')}; "
            "check the network and the machine's apt sources, then try again"
        )


def unpack(archives: Sequence[Path], root: Path) -> None:
    """Unpack the packages `archives` under the folder `root`; their scripts do not run."""
    root.mkdir(parents=True, exist_ok=True)
    for archive in archives:
        argv = ["dpkg-deb", "--extract", str(archive), str(root)]
        answer = subprocess.run(argv, capture_output=True, text=True, check=False)
        if answer.returncode:
            words = " ".join(answer.stderr.split())
            raise AptError(f"cannot unpack {archive.name}: {words}; check the room on the disk, then try again")
