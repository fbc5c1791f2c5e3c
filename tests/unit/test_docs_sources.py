"""docs/sources.md: its examples load in both files, and it names what the code has."""

import re
from pathlib import Path

import pytest
import yaml

from presagio.exporter import config as exporter
from presagio.toolkit.errors import SourceReason
from presagio.toolkit.prometheus_config import PARAMETERS, Kind
from presagio.webhook import config as webhook

PAGE = (Path(__file__).parents[2] / "docs" / "sources.md").read_text()
EXAMPLES = re.findall(r"^```yaml\n(# (?:exporter|webhook)\.yml\n.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
OPEN = "api: {authentication: none}\n"


def test_there_is_an_example_for_each_source_and_for_both_files() -> None:
    assert len(EXAMPLES) == PAGE.count("```yaml\n") == 7


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_loads_in_both_files(text: str, tmp_path: Path) -> None:
    file = tmp_path / "file.yml"
    kind = exporter.FILE if text.startswith("# exporter.yml") else webhook.FILE
    file.write_text(text + OPEN)
    assert kind.load(file).prometheus.url in text
    alone = {"prometheus": yaml.safe_load(text)["prometheus"], "policies": []}
    file.write_text(yaml.safe_dump(alone) + OPEN)
    assert webhook.FILE.load(file).prometheus.url in text


def test_what_victoria_metrics_is_told_beside_each_query_is_written() -> None:
    for name, value in PARAMETERS[Kind.VICTORIA_METRICS].items():
        assert f"`{name}={value}`" in PAGE


def test_the_reasons_are_those_of_the_code() -> None:
    table = re.findall(r"^\| `([a-z_]+)` \|", PAGE.split("\n## When it does not answer\n")[1], re.MULTILINE)
    assert len(table) == 5
    assert {*table} <= {*SourceReason}
