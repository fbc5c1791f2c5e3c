"""docs/safety-model.md names a test for every fault and every invariant, and each of them exists."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "safety-model.md").read_text()
NAMED = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE + (ROOT / "docs" / "threat-model.md").read_text())

FAULTS = (
    "kill -9 at every commit", "kill -9 between effect and outcome", "two replicas", "duplicate notification",
    "reordered notifications", "tripled notification", "truncated notification", "ghost notification",
    "Prometheus down", "Prometheus slow", "Prometheus empty or NaN", "Prometheus stale", "Alertmanager down",
    "Kubernetes 403, 404, 422", "Kubernetes 409", "Kubernetes 429", "Kubernetes 5xx", "time-out after the effect",
    "same name with a new UID", "database busy", "database full", "database gone", "clock one hour",
    "late approval", "doubled approval", "approval with the wrong hash", "reload in mid-flight",
    "1,000 candidates for one slot", "a storm of alerts", "failing rollback", "edited ledger row",
)  # fmt: skip
INVARIANTS = (
    "at most one effect for an attempt of class D", "every stored alert reaches an end", "budgets are never exceeded",
    "one lease for a target", "undo touches only our fields", "nothing is verified without n real samples",
    "the chain verifies",
)  # fmt: skip


def rows(title: str) -> list[list[str]]:
    section = PAGE.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return lines[1:]


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_has_its_row(fault: str) -> None:
    assert any(row[0].startswith(fault) for row in rows("Faults"))


@pytest.mark.parametrize("invariant", INVARIANTS)
def test_every_invariant_has_its_row(invariant: str) -> None:
    assert [invariant] == [row[0] for row in rows("What is always true") if row[0] == invariant]


def test_every_row_names_a_test() -> None:
    for row in (*rows("Faults"), *rows("What is always true")):
        assert re.fullmatch(r"`tests/[\w/]+\.py::test_\w+`", row[-1]), row


@pytest.mark.parametrize(("path", "name"), sorted(set(NAMED)))
def test_each_named_test_exists(path: str, name: str) -> None:
    tree = ast.parse((ROOT / path).read_text())
    found = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert not name or name in found
