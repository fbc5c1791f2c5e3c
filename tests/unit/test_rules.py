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


THRESHOLDS = {name for name in RECORDS if re.fullmatch(r"presagio:[a-z_]+:threshold", name)}


@pytest.mark.parametrize("name", sorted(THRESHOLDS))
def test_a_threshold_is_one_number_that_an_alert_compares_with(name: str) -> None:
    assert re.fullmatch(r"vector\([0-9.* ]+\)", RECORDS[name]["expr"])
    assert any(f"scalar({name})" in alert["expr"] for alert in ALERTS.values())


PREDICTIONS = yaml.safe_load((ROOT / "rules" / "presagio.alerts.yml").read_text())["groups"]
FACTS = {"actual", "expected", "time_left", "why"}


@pytest.mark.parametrize(
    "alert", [rule for group in PREDICTIONS for rule in group["rules"]], ids=lambda one: one["alert"]
)
def test_what_is_seen_or_predicted_is_no_more_than_a_warning_and_carries_its_facts(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in ("warning", "info")
    about_time = {"time_left"} if alert["alert"] == "PresagioServiceAnomaly" else set()
    assert FACTS - about_time <= alert["annotations"].keys()


@pytest.mark.parametrize("name", sorted(set(RECORDS) - THRESHOLDS))
def test_every_recorded_metric_is_named_by_level_metric_operations_and_documented(name: str) -> None:
    assert re.fullmatch(r"[a-z_]+:presagio_[a-z_]+:[a-z0-9_]+", name)
    assert name in (ROOT / "docs" / "metrics.md").read_text()
