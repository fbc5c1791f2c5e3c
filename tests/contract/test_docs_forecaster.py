"""The forecaster of docs/forecasters.md: taken from the page, installed, and put to the battery."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from presagio.toolkit import plugins

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "forecasters.md").read_text()
BATTERY = ROOT / "tests" / "contract" / "test_forecasters.py"


def block(language: str) -> str:
    """Return the only block of code of the page in a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder into which pip has installed the package, made of what the page shows and nothing else."""
    package, site = tmp_path_factory.mktemp("presagio-recent"), tmp_path_factory.mktemp("site")
    (package / "pyproject.toml").write_text(block("toml"))
    (package / "setup.cfg").write_text(block("ini"))
    (package / "recent.py").write_text(block("python"))
    words = ("install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check")
    command = [sys.executable, "-m", "pip", *words, "--target", str(site), str(package)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return site


@pytest.mark.parametrize("name", plugins.names(plugins.FORECASTERS))
def test_every_forecaster_that_is_installed_is_on_the_page(name: str) -> None:
    assert f"`{name}`" in PAGE


def test_it_has_about_twenty_lines() -> None:
    assert 15 <= len([line for line in block("python").splitlines() if line]) <= 25


def test_it_passes_the_battery(site: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    pytest_itself = str(Path(sys.executable).with_name("pytest"))
    command = [pytest_itself, "-q", "-p", "no:cacheprovider", str(BATTERY), "-k", "recent"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed
    assert int(passed[1]) >= 12


def test_check_config_knows_it_and_its_parameters(site: Path, tmp_path: Path) -> None:
    file = tmp_path / "exporter.yml"
    file.write_text("signals: []\nforecasts: {forecaster: recent, params: {window: 60}}\n")
    command = [str(Path(sys.executable).with_name("presagio")), "check-config", str(file)]
    for path, code in ((str(site), 0), ("", 1)):
        environment = {**os.environ, "PYTHONPATH": path}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == code, done.stdout + done.stderr
