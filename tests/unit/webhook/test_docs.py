"""docs/remediation.md and docs/audit.md say what the code does."""

import argparse
import importlib.util
import re
from pathlib import Path

import pytest
from fake_world import World
from prometheus_client import generate_latest

from presagio.webhook.commands import AuditCommand
from presagio.webhook.states import BLOCKING, Outcome

DOCS = Path(__file__).parents[3] / "docs"
REMEDIATION = (DOCS / "remediation.md").read_text()
AUDIT = (DOCS / "audit.md").read_text()


def section(title: str) -> str:
    return REMEDIATION.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def test_the_states_and_the_timers_are_those_of_the_code() -> None:
    spec = importlib.util.spec_from_file_location("states_page", DOCS / "states.py")
    assert spec is not None
    assert spec.loader is not None
    page = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(page)
    assert page.document(REMEDIATION) == REMEDIATION, "run: python docs/states.py"
    assert page.table() in section("The states")
    assert page.drawing() in section("The states")
    assert page.timers() in section("Timers")


def test_every_metric_is_told_with_its_labels(world: World) -> None:
    page = generate_latest(world.registry).decode()
    names = {name for name in re.findall(r"^# TYPE (\S+) ", page, re.MULTILINE) if not name.endswith("_created")}
    assert set(re.findall(r"^\| `(presagio_\w+)` \|", section("Metrics"), re.MULTILINE)) == names


@pytest.mark.parametrize("reason", BLOCKING)
def test_every_reason_to_wait_is_told(reason: str) -> None:
    assert f"`{reason}`" in section("The states")


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_is_told(outcome: str) -> None:
    assert f"`{outcome}`" in section("Metrics")


def test_every_option_of_audit_is_told() -> None:
    parser = argparse.ArgumentParser()
    AuditCommand().add_arguments(parser)
    (actions,) = parser._subparsers._group_actions if parser._subparsers else []
    assert isinstance(actions.choices, dict)
    for name, action in actions.choices.items():
        assert f"presagio audit {name}" in AUDIT
        for option in action._option_string_actions:
            if option.startswith("--") and option not in ("--help", "--log.level", "--log.format"):
                assert option in AUDIT, option


@pytest.mark.parametrize("text", [REMEDIATION, AUDIT])
def test_links_lead_somewhere(text: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)", text):
        assert (DOCS / target).exists(), target
