"""docs/custom-actions.md: its action is installed as the page says, put to the battery, and named by a policy."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "custom-actions.md").read_text()
BIN = Path(sys.executable).parent


def files() -> dict[str, str]:
    """Return the files that the page shows, by the name in the line before."""
    found = re.findall(r"`([\w.]+)`[^`]*\n\n```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return dict(found)


def run(*words: str | Path, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(path or "")}
    return subprocess.run(words, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    package, site = tmp_path_factory.mktemp("presagio-flag"), tmp_path_factory.mktemp("site")
    for name, text in files().items():
        (package / name).write_text(text)
    words = ("install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check")
    done = run(sys.executable, "-m", "pip", *words, "--target", site, package)
    assert done.returncode == 0, done.stdout + done.stderr
    return site


def test_the_page_shows_a_whole_package() -> None:
    assert set(files()) == {"pyproject.toml", "setup.cfg", "flag.py", "flag_case.py"}


def test_it_passes_the_battery(site: Path) -> None:
    battery = ROOT / "tests" / "contract" / "test_actions.py"
    done = run(BIN / "pytest", "-q", "-p", "no:cacheprovider", battery, "-k", "flag", path=site)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed
    assert int(passed[1]) >= 65
    assert "skipped" not in done.stdout


def test_check_config_knows_it_only_where_it_is_installed(site: Path, tmp_path: Path) -> None:
    [text] = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    file = tmp_path / "webhook.yml"
    file.write_text(text)
    known, unknown = (run(BIN / "presagio", "check-config", file, path=path) for path in (site, None))
    assert known.returncode == 0, known.stderr
    assert (unknown.returncode, "flag" in unknown.stderr) == (1, True)
