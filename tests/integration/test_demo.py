"""`make demo ONCE=1`: the whole loop, on real servers, as a newcomer runs it."""

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

DEMO = Path(__file__).parents[2] / "demo" / "run.py"


@pytest.mark.timeout(480)
@pytest.mark.usefixtures("node_exporter_binary", "redis_server_binary", "redis_exporter_binary")
def test_the_loop_closes_and_every_process_ends(workdir: Path) -> None:
    """From a leak to a verified restart; afterwards nothing that the demo began is left."""
    picture = workdir / "demo.svg"
    argv = [sys.executable, str(DEMO), "--once", "--folder", str(workdir / "demo"), "--picture", str(picture)]
    answer = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, f"{answer.stdout}\n{answer.stderr}"
    assert "the loop is closed" in answer.stdout
    assert "the ledger is whole" in answer.stdout
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")
    assert not _left_over(str(workdir))


def _left_over(mark: str) -> list[str]:
    """Return the command lines of processes that name a folder of this test."""
    lines = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                lines.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            except OSError:
                continue
    return [line for line in lines if mark in line]
