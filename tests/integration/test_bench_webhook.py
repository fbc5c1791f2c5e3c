"""`make bench-webhook`, small: it runs on both databases, loses nothing, and tells what it should."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from servers import PostgresBinaries

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("generation", ["system"], indirect=True)
def test_a_small_storm_is_stored_and_acted_upon_whole(
    prometheus_binary: Path, alertmanager_binary: Path, postgres_binaries: PostgresBinaries, tmp_path: Path
) -> None:
    out = tmp_path / "results.json"
    words = ["--alerts", "60", "--rate", "10", "--seconds", "3", "--patience", "120", "--out", str(out)]
    environment = {"PYTHONPATH": str(ROOT / "benchmarks"), "PATH": "/usr/bin:/bin"}
    argv = [sys.executable, "-P", "-m", "storm", *words]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = json.loads(out.read_text())
    assert [(row["run"], row["alerts"], row["stored"], row["intents"]) for row in rows] == [
        ("storm: flask, stores nothing", 60, 0, 0), ("storm: presagio on sqlite", 60, 60, 60),
        ("steady: flask, stores nothing", 30, 0, 0), ("steady: presagio on sqlite", 30, 30, 30),
        ("storm: flask, stores nothing", 60, 0, 0), ("storm: presagio on postgresql", 60, 60, 60),
        ("steady: flask, stores nothing", 30, 0, 0), ("steady: presagio on postgresql", 30, 30, 30),
    ]  # fmt: skip
    assert "steady: presagio on sqlite: alert to INTENT p99 under 250 ms:" in done.stdout
