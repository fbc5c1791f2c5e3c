"""docs/remediation.md and docs/audit.md say what the code does."""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_world import World
from prometheus_client import generate_latest

from presagio.toolkit.units import format_duration
from presagio.webhook.commands import AuditCommand
from presagio.webhook.states import BLOCKING, TERMINAL, TRANSITIONS, Outcome, State, Transition
from presagio.webhook.timers import Timers

DOCS = Path(__file__).parents[3] / "docs"
REMEDIATION = (DOCS / "remediation.md").read_text()
AUDIT = (DOCS / "audit.md").read_text()

# Said in one row, for all states: see `Every state that is not an end`.
GENERAL = "its deadline passed, or only a person can go on"


def section(title: str) -> str:
    return REMEDIATION.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def row(way: Transition) -> str:
    later = "" if way.used else " (later)"
    return f"| `{way.source}` | `{way.target}` | {way.when}{later} | {way.stored} |"


def ways() -> Iterator[Transition]:
    return (way for way in TRANSITIONS if way.when != GENERAL)


def test_the_table_of_states_is_that_of_the_code() -> None:
    written = [line for line in section("The states").splitlines() if line.startswith("| `")]
    assert written == [row(way) for way in ways()]
    assert f"| any that is not an end | `escalated` | {GENERAL} | the page in the outbox |" in REMEDIATION


def test_the_drawing_is_that_of_the_code() -> None:
    drawn = set(re.findall(r"^    (\S+) --> (\S+)$", section("The states"), re.MULTILINE))
    ends = {(state.value, "[*]") for state in TERMINAL}
    all_ways = {(way.source.value, way.target.value) for way in TRANSITIONS}
    needed = {(way.source.value, way.target.value) for way in ways()}
    assert needed <= drawn - ends - {("[*]", "received")} <= all_ways
    assert ends <= drawn
    assert ("[*]", State.RECEIVED.value) in drawn


def test_the_timers_are_those_of_the_code() -> None:
    written = re.findall(r"^\| `(\w+)` \| (\S+) \| (.+) \|$", section("Timers"), re.MULTILINE)
    fields = Timers.model_fields.items()
    assert written == [
        (name, format_duration(field.default) if isinstance(field.default, float) else str(field.default),
         field.description) for name, field in fields
    ]  # fmt: skip


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
