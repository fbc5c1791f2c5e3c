"""docs/backtest.md: its examples are right."""

import argparse
import re
import shlex
from pathlib import Path

import pytest

from presagio.exporter.backtest.alarms import THRESHOLDS
from presagio.exporter.backtest.incidents import load
from presagio.exporter.commands import BacktestCommand

PAGE = (Path(__file__).parents[3] / "docs" / "backtest.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = [
    line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines() if line.startswith("presagio")
]


@pytest.mark.parametrize("line", COMMANDS)
def test_the_commands_are_taken(line: str) -> None:
    parser = argparse.ArgumentParser()
    BacktestCommand().add_arguments(parser)
    parser.parse_args(shlex.split(line.partition("|")[0])[2:])


def test_the_incidents_load(tmp_path: Path) -> None:
    (text,) = [text for _, text in BLOCKS if text.startswith("service_id,")]
    path = tmp_path / "incidents.csv"
    path.write_text(text)
    assert [one.name for one in load(path)] == ["slow database", "queue stuck"]


def test_the_table_has_the_thresholds() -> None:
    (text,) = [text for _, text in BLOCKS if text.startswith("threshold ")]
    found = [float(line.split()[0]) for line in text.splitlines() if line[0].isdigit()]
    assert tuple(found) == THRESHOLDS
    assert len(COMMANDS) >= 4
