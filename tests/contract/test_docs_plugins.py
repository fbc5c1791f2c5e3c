"""The plug-ins that the pages have people write: taken from the page, installed, and put to the battery."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from presagio.toolkit import plugins

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Page:
    """A page with one plug-in: its name, its lines, the tests of its battery, and a configuration that uses it."""

    group: str
    plugin: str
    lines: tuple[int, int]
    tests: int
    config: str

    @property
    def kind(self) -> str:
        return self.group.removeprefix("presagio.")

    @property
    def text(self) -> str:
        return (ROOT / "docs" / f"{self.kind}.md").read_text()

    def block(self, language: str) -> str:
        """Return the only block of code of the page in a language."""
        (found,) = re.findall(rf"^```{language}\n(.*?)^```$", self.text, re.MULTILINE | re.DOTALL)
        return str(found)


PAGES = (
    Page(
        plugins.DETECTORS, "steady", (25, 35), 25,
        "signals: [{name: load, query: load, detector: steady, detector_params: {warm_up: 60}}]",
    ),
    Page(plugins.FORECASTERS, "recent", (15, 25), 12, "forecasts: {forecaster: recent, params: {window: 60}}"),
    Page(
        plugins.PREDICTORS, "linear", (30, 45), 16,
        "failures: [{name: down, query: up == 0, predictor: linear, predictor_params: {min_failures: 9}}]",
    ),
)  # fmt: skip


@pytest.fixture(scope="module", params=PAGES, ids=lambda page: page.kind)
def page(request: pytest.FixtureRequest) -> Page:
    found: Page = request.param
    return found


@pytest.fixture(scope="module")
def site(page: Page, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder into which pip has installed the package, made of what the page shows and nothing else."""
    package, site = tmp_path_factory.mktemp(f"presagio-{page.plugin}"), tmp_path_factory.mktemp("site")
    (package / "pyproject.toml").write_text(page.block("toml"))
    (package / "setup.cfg").write_text(page.block("ini"))
    (package / f"{page.plugin}.py").write_text(page.block("python"))
    words = ("install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check")
    command = [sys.executable, "-m", "pip", *words, "--target", str(site), str(package)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return site


def test_every_one_that_is_installed_is_on_the_page(page: Page) -> None:
    assert [name for name in plugins.names(page.group) if f"`{name}`" not in page.text] == []


def test_it_is_short(page: Page) -> None:
    fewest, most = page.lines
    assert fewest <= len([line for line in page.block("python").splitlines() if line]) <= most


def test_it_passes_the_battery(page: Page, site: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    battery = ROOT / "tests" / "contract" / f"test_{page.kind}.py"
    pytest_itself = str(Path(sys.executable).with_name("pytest"))
    command = [pytest_itself, "-q", "-p", "no:cacheprovider", str(battery), "-k", page.plugin]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed
    assert int(passed[1]) >= page.tests


def test_check_config_knows_it_and_its_parameters(page: Page, site: Path, tmp_path: Path) -> None:
    file = tmp_path / "exporter.yml"
    file.write_text(page.config + "\n")
    command = [str(Path(sys.executable).with_name("presagio")), "check-config", str(file)]
    for path, code in ((str(site), 0), ("", 1)):
        environment = {**os.environ, "PYTHONPATH": path}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == code, done.stdout + done.stderr
