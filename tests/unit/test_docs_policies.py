"""docs/actions.md and docs/policies.md: the examples load, and every key is documented."""

import re
from pathlib import Path
from typing import Any

import pytest

from presagio.actions import base
from presagio.toolkit import plugins
from presagio.toolkit.log import get_log
from presagio.toolkit.positions import parse
from presagio.webhook import config, policy_file
from presagio.webhook.criteria import Verify
from presagio.webhook.guard_config import FleetGuards, Guards
from presagio.webhook.lint import check_action
from presagio.webhook.policy import Mode, Policy

DOCS = Path(__file__).parents[2] / "docs"
ACTIONS = (DOCS / "actions.md").read_text()
POLICIES = (DOCS / "policies.md").read_text()
NAMES = plugins.names(plugins.ACTIONS)


def examples(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def section(text: str, title: str) -> str:
    return text.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def documented(text: str) -> list[str]:
    """Return the keys in the first column of a section's tables."""
    return re.findall(r"^\| `([a-z_]+)` \|", text, re.MULTILINE)


@pytest.mark.parametrize("text", examples(POLICIES, "yaml"))
def test_the_examples_of_policies_load(text: str, tmp_path: Path) -> None:
    (tmp_path / "action_policies.json").write_text(examples(POLICIES, "json")[0])
    path = tmp_path / "webhook.yml"
    path.write_text(text if "api:" in text else f"api: {{authentication: none}}\n{text}")
    config.load(path, get_log("test"))


def test_the_example_of_action_policies_loads(tmp_path: Path) -> None:
    (text,) = examples(POLICIES, "json")
    path = tmp_path / "action_policies.json"
    path.write_text(text)
    (policy,) = policy_file.policies(policy_file.FILE.load(path), Mode.DRY_RUN)
    indented = " ".join(re.findall(r"^      \(max.*\n.*$", POLICIES, re.MULTILINE)[0].split())
    assert policy.when[0] == indented.replace("( ", "(")


@pytest.mark.parametrize("name", NAMES)
def test_every_action_has_an_example_that_is_right(name: str) -> None:
    (text,) = examples(section(ACTIONS, name), "yaml")
    (action,) = parse(text).data
    assert list(action) == [name]
    assert list(check_action(action, ())) == []


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_is_documented(name: str) -> None:
    assert sorted(documented(section(ACTIONS, name))) == sorted(
        field.alias or key for key, field in base.load(name).Params.model_fields.items()
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_table_of_actions(name: str) -> None:
    action = base.load(name)
    row = next(line for line in ACTIONS.splitlines() if line.startswith(f"| [`{name}`]"))
    assert row.split(" | ")[1:3] == [action.action_class.value, f"{action.settle_seconds:g} s"]


@pytest.mark.parametrize(("title", "model"), [("webhook.yml", Policy), ("Verification", Verify)])
def test_every_key_of_a_policy_is_documented(title: str, model: Any) -> None:
    assert sorted(documented(section(POLICIES, title))) == sorted(model.model_fields)


def test_every_guard_is_documented() -> None:
    rows = POLICIES.split("## Guards", 1)[1]
    for name in {*Guards.model_fields, *FleetGuards.model_fields}:
        assert f"\n| `{name}` | " in rows, name
