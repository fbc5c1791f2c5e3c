"""Rules, their tests and their runbooks belong together."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from presagio.webhook.courier import KINDS
from presagio.webhook.intake import OUR_ALERTS

ROOT = Path(__file__).parents[2]
RUNBOOKS = ROOT / "docs" / "runbooks"
OWN = {OUR_ALERTS + kind.name for kind in KINDS.values()}
"""The alert that the webhook raises itself; it comes from no rule."""


def rules(kind: str) -> dict[str, dict[str, Any]]:
    """Return all rules of a kind (alert, record) by name."""
    files = sorted((ROOT / "rules").glob("presagio.*.yml"))
    groups = [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
    return {rule[kind]: rule for group in groups for rule in group["rules"] if kind in rule}


ALERTS, RECORDS = rules("alert"), rules("record")
TESTS = [
    test
    for file in sorted((ROOT / "tests" / "rules").glob("*.test.yml"))
    for test in yaml.safe_load(file.read_text())["tests"]
]


def test_there_are_alerts_and_records() -> None:
    assert len(ALERTS) > 5
    assert len(RECORDS) > 3


@pytest.mark.parametrize("name", ALERTS)
class TestEveryAlert:
    def test_it_waits_and_says_what_it_is(self, name: str) -> None:
        alert = ALERTS[name]
        assert re.fullmatch(r"Presagio[A-Z]\w+", name)
        assert alert["for"]
        assert alert["labels"]["severity"] in ("critical", "warning", "info")
        assert {"summary", "description", "runbook_url"} <= alert["annotations"].keys()

    def test_its_runbook_is_there_and_linked(self, name: str) -> None:
        assert ALERTS[name]["annotations"]["runbook_url"].endswith(f"/docs/runbooks/{name}.md")
        headings = re.findall(r"^## (.+)$", (RUNBOOKS / f"{name}.md").read_text(), re.MULTILINE)
        assert headings == ["Meaning", "Impact", "Diagnosis", "Mitigation"]

    def test_it_is_shown_silent_before_it_is_shown_firing(self, name: str) -> None:
        looks = [bool(look["exp_alerts"]) for look in _looks(name)]
        assert looks[0] is False
        assert True in looks


def _looks(name: str) -> list[dict[str, Any]]:
    return [look for test in TESTS for look in test["alert_rule_test"] if look["alertname"] == name]


def test_every_runbook_belongs_to_an_alert_and_is_listed() -> None:
    pages = {page.stem for page in RUNBOOKS.glob("*.md")} - {"README"}
    assert pages == {*ALERTS, *OWN}
    listed = set(re.findall(r"\((\w+)\.md\)", (RUNBOOKS / "README.md").read_text()))
    assert listed == pages


def test_metrics_and_actions_in_runbooks_and_rules_are_documented() -> None:
    documented = set(re.findall(r"presagio_[a-z_]+", (ROOT / "docs" / "metrics.md").read_text()))
    texts = [page.read_text() for page in RUNBOOKS.glob("*.md")]
    texts += [str(rule["expr"]) for rule in (*ALERTS.values(), *RECORDS.values())]
    used = {name for text in texts for name in re.findall(r"\bpresagio_[a-z_]+[a-z]", text)}
    assert used - {name.removesuffix("_") for name in documented} == set()


@pytest.mark.parametrize("name", RECORDS)
def test_every_recorded_metric_is_named_by_level_metric_operations_and_documented(name: str) -> None:
    assert re.fullmatch(r"[a-z_]+:presagio_[a-z_]+:[a-z0-9_]+", name)
    assert name in (ROOT / "docs" / "metrics.md").read_text()
