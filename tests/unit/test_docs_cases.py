"""docs/cases: each page's configuration loads, and each of the five cases has a page and a test."""

import re
from pathlib import Path

import pytest
from integration_test_scenarios import KINDS

from presagio.exporter import config as exporter
from presagio.exporter.signals import configured
from presagio.toolkit.log import get_log
from presagio.toolkit.positions import parse
from presagio.webhook import config as webhook

CASES = Path(__file__).parents[2] / "docs" / "cases"
PAGES = sorted(path for path in CASES.glob("*.md") if path.name != "README.md")


def examples(page: Path, of: str) -> list[str]:
    return re.findall(rf"^```yaml\n# {of}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def test_there_are_as_many_pages_as_cases() -> None:
    index = (CASES / "README.md").read_text()
    assert len(PAGES) == len(KINDS) == 5
    assert all(f"]({page.name})" in index for page in PAGES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_configuration_loads(page: Path, tmp_path: Path) -> None:
    (what,), (how,) = examples(page, "exporter.yml"), examples(page, "webhook.yml")
    exporter.FILE.validate(parse(what), "exporter.yml")
    path = tmp_path / "webhook.yml"
    path.write_text(how)
    _, (policy,) = webhook.load(path, get_log("test"))
    assert policy.mode == "dry-run"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_signals_of_the_policy_are_those_of_its_presets(page: Path) -> None:
    (what,), (how,) = examples(page, "exporter.yml"), examples(page, "webhook.yml")
    known = {signal.name for signal in configured(exporter.FILE.validate(parse(what), "exporter.yml"))}
    named = re.findall(r'signal="([a-z0-9_]+)"', how) + re.findall(r"signal: ([a-z0-9_]+)", how)
    assert named
    assert set(named) <= known
