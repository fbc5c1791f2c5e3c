"""A release: one version, an sdist that makes the same wheel, a wheel that runs by itself, a changelog, an SBOM."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from configparser import ConfigParser
from importlib.metadata import version
from pathlib import Path

import pytest
import sbom
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
CONFIG = ConfigParser()
CONFIG.read(ROOT / "setup.cfg")
VERSION = CONFIG["metadata"]["version"]


def run(*words: str | Path, cwd: Path = ROOT, **more: str) -> str:
    environment = {**os.environ, **more}
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# The version: setup.cfg says it


def test_the_command_tells_the_version_of_setup_cfg() -> None:
    assert run(BIN / "presagio", "--version") == f"presagio {VERSION}\n"


def test_the_code_names_no_version_of_its_own() -> None:
    packages = ("toolkit", "detectors", "forecasters", "actions", "exporter", "webhook")
    files = [ROOT / "__init__.py", *(file for name in packages for file in (ROOT / name).rglob("*.py"))]
    assert [
        file
        for file in files
        if re.search(r"^__version__|[\"']" + re.escape(VERSION) + "[\"']", file.read_text(), re.M)
    ] == []


def test_the_changelog_begins_with_it() -> None:
    first = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[0]
    assert VERSION in first.split()


def test_the_chart_is_for_it() -> None:
    chart = ROOT / "helm" / "presagio" / "Chart.yaml"
    # the chart comes with a later change: while there is none, nothing names another version
    assert not chart.exists() or str(yaml.safe_load(chart.read_text())["appVersion"]) == VERSION


def test_the_api_documents_are_of_it() -> None:
    for file in (ROOT / "docs").glob("openapi-*.json"):
        assert json.loads(file.read_text())["info"]["version"] == VERSION


# sdist and wheel


def source(folder: Path) -> Path:
    """Copy what git has, or would add: what lies about besides must not get into a release."""
    argv = ("git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, run(*argv).split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Build the sdist, and the wheel of the sdist, as `make dist` does; return both."""
    out = tmp_path_factory.mktemp("dist")
    copy = source(tmp_path_factory.mktemp("source"))
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, cwd=copy)
    return out / f"presagio-{VERSION}.tar.gz", out / f"presagio-{VERSION}-py3-none-any.whl"


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("direct")
    copy = source(tmp_path_factory.mktemp("source"))
    run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", out, cwd=copy)
    return out / f"presagio-{VERSION}-py3-none-any.whl"


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_sdist_makes_the_same_wheel(built: tuple[Path, Path], direct: Path) -> None:
    assert names(built[1]) == names(direct)


def test_the_wheel_holds_what_is_no_code(built: tuple[Path, Path]) -> None:
    found = names(built[1])
    least = {
        "rules/presagio.rules.yml", "rules/presagio.alerts.yml", "rules/presagio.meta.yml",
        "exporter/presets/node.yml",
        "webhook/pages/overview.html", "webhook/pages/style.css", "exporter/predictions.html", "py.typed",
        "webhook/migrations/script.py.mako", "webhook/migrations/versions/v0001.py",
    }  # fmt: skip
    dashboards = {f"grafana/dashboards/{file.name}" for file in (ROOT / "grafana" / "dashboards").glob("*.json")}
    assert {f"presagio/{name}" for name in least | dashboards} - found == set()


def test_the_sdist_holds_documents_and_tests(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[0]) as archive:
        found = {name.partition("/")[2] for name in archive.getnames()}
    folders = ("docs", "tests", "demo", "rules", "changelog.d")
    wanted = {
        path for path in run("git", "-c", "safe.directory=*", "ls-files").split() if path.split("/")[0] in folders
    }
    wanted |= {"LICENSE", "README.md", "README.es.md", "CHANGELOG.md", "Makefile", "mkdocs.yml"}
    assert wanted - found == set()


@pytest.fixture(scope="module")
def installed(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of an environment that holds the wheel and nothing else."""
    folder = tmp_path_factory.mktemp("clean") / "environment"
    run(BIN / "uv", "venv", "--quiet", "--python", sys.executable, folder)
    python = folder / "bin" / "python"
    run(BIN / "uv", "pip", "install", "--quiet", "--offline", "--no-deps", "--python", python, built[1])
    return python


def test_the_wheel_runs_by_itself(installed: Path, tmp_path: Path) -> None:
    """Away from this repository; what it depends on is lent by the environment of the tests: no network."""
    lent, presagio = str(Path(yaml.__file__).parents[1]), installed.with_name("presagio")
    told = run(installed, "-c", "import presagio; print(presagio.__file__)", cwd=tmp_path, PYTHONPATH="")
    assert Path(told.strip()).is_relative_to(installed.parents[1])
    assert run(presagio, "--version", cwd=tmp_path, PYTHONPATH=lent) == f"presagio {VERSION}\n"
    config = tmp_path / "exporter.yml"
    config.write_text("presets: [node, kubernetes, redis, postgres, http, presagio]\napi: {authentication: none}\n")
    told = run(presagio, "check-config", config, cwd=tmp_path, PYTHONPATH=lent)
    assert "valid exporter configuration" in told
    prepared(tmp_path, installed, lent)
    assert "0 rows" in run(presagio, "audit", "verify", cwd=tmp_path, PYTHONPATH=lent)


def prepared(folder: Path, python: Path, lent: str) -> None:
    """Make an empty ledger with the installed package: its migrations are in the wheel."""
    code = (
        "from pathlib import Path; from presagio.webhook.chain import make_key;"
        "from presagio.webhook.database import open_sqlite;"
        "folder = Path('data/webhook'); open_sqlite(folder / 'ledger.db').dispose(); make_key(folder / 'ledger.key')"
    )
    run(python, "-c", code, cwd=folder, PYTHONPATH=lent)


# The changelog


def test_every_fragment_has_a_kind_that_the_changelog_knows() -> None:
    kinds = re.findall(r'^directory = "(\w+)"$', (ROOT / "towncrier.toml").read_text(), re.MULTILINE)
    fragments = [file.name for file in (ROOT / "changelog.d").glob("*") if not file.name.startswith(".")]
    assert [name for name in fragments if not re.fullmatch(rf"[+\w.-]+\.({'|'.join(kinds)})(\.\d+)?\.md", name)] == []


def test_fragments_become_a_section_and_are_gone(tmp_path: Path) -> None:
    for name in ("CHANGELOG.md", "towncrier.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "changelog.d").mkdir()
    (tmp_path / "changelog.d" / "+trial.added.md").write_text("A thing that users see.\n")
    run("git", "init", "--quiet", cwd=tmp_path)
    run(BIN / "towncrier", "build", "--version", "9.9.9", "--date", "2030-01-02", "--yes", cwd=tmp_path)
    text = (tmp_path / "CHANGELOG.md").read_text()
    assert "\n## 9.9.9 (2030-01-02)\n\n### Added\n\n- A thing that users see.\n" in text
    assert text.index("## 9.9.9") < text.index(f"{VERSION}\n")
    assert text.startswith("# Changelog\n")
    assert list((tmp_path / "changelog.d").glob("*.md")) == []


# What is in it


def test_the_sbom_is_valid_and_has_presagio_for_its_subject(installed: Path) -> None:
    document = sbom.made(installed)
    assert sbom.mistakes(json.dumps(document)) is None
    subject = document["metadata"]["component"]
    assert (subject["name"], subject["version"]) == ("presagio", VERSION)
    assert str(installed.parents[2]) not in json.dumps(document)
    # it has nothing beside presagio there, which `make sbom` would refuse
    assert {"flask", "numpy", "sqlalchemy"} <= sbom.missing(document)


def test_what_is_no_sbom_is_told() -> None:
    document = {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{"name": "a", "type": "nonsense"}]}
    assert sbom.mistakes(json.dumps(document))


# The oldest dependencies


def test_every_dependency_has_a_lower_bound_that_the_installed_one_keeps() -> None:
    # a table of time zones: any will do
    lines = [line for line in CONFIG["options"]["install_requires"].strip().splitlines() if line != "tzdata"]
    for requirement in map(Requirement, lines):
        assert [each.operator for each in requirement.specifier] == [">="], requirement
        assert requirement.specifier.contains(version(requirement.name)), requirement
