"""The detector that docs/detectors.md has people write: taken from the page, installed, and put to the battery."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "detectors.md").read_text()
BATTERY = ROOT / "tests" / "contract" / "test_detectors.py"


def block(language: str) -> str:
    """Return the only block of code of the page in a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder into which pip has installed the package, made of what the page shows and nothing else."""
    package, site = tmp_path_factory.mktemp("presagio-steady"), tmp_path_factory.mktemp("site")
    (package / "pyproject.toml").write_text(block("toml"))
    (package / "setup.cfg").write_text(block("ini"))
    (package / "steady.py").write_text(block("python"))
    words = ("install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check")
    command = [sys.executable, "-m", "pip", *words, "--target", str(site), str(package)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return site


def test_it_has_about_thirty_lines() -> None:
    assert 25 <= len([line for line in block("python").splitlines() if line]) <= 35


def test_it_passes_the_battery(site: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    command = [
        str(Path(sys.executable).with_name("pytest")),
        "-q",
        "-p",
        "no:cacheprovider",
        str(BATTERY),
        "-k",
        "steady",
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed
    assert int(passed[1]) >= 25


def test_check_config_knows_it(site: Path, tmp_path: Path) -> None:
    file = tmp_path / "exporter.yml"
    file.write_text("signals: [{name: load, query: load, detector: steady, detector_params: {warm_up: 60}}]\n")
    command = [str(Path(sys.executable).with_name("presagio")), "check-config", str(file)]
    for path, code in ((str(site), 0), ("", 1)):
        environment = {**os.environ, "PYTHONPATH": path}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == code, done.stdout + done.stderr
