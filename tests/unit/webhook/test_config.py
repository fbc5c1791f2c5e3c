"""Each `*.good.yml` loads; each `*.bad.yml` is refused with exactly the words of the `*.bad.txt` beside it."""

import logging
from pathlib import Path

import pytest

from presagio.toolkit.errors import ConfigError
from presagio.toolkit.filekinds import check
from presagio.toolkit.log import get_log
from presagio.webhook import config
from presagio.webhook.policy import Mode, Step

FILES = Path(__file__).parent / "files"
LOG = get_log("test")


def named(path: Path) -> str:
    return path.name


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize("path", sorted(FILES.glob("*.good.yml")), ids=named)
def test_good_files(path: Path) -> None:
    config.load(path, LOG)
    assert check(path) == "webhook"


@pytest.mark.parametrize("path", sorted(FILES.glob("*.bad.yml")), ids=named)
def test_bad_files(path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        check(path)
    assert str(error.value).replace(f"{path.parent}/", "") + "\n" == path.with_suffix(".txt").read_text()


def test_what_a_file_says_is_what_is_loaded() -> None:
    found, policies = config.load(FILES / "full.good.yml", LOG)
    assert found.alertmanager.url == "https://alertmanager.test/prefix"
    assert found.alertmanager.bearer_token_file == Path("/etc/presagio/token")
    assert (found.prometheus.tenant, found.prometheus.timeout) == ("team-a", 5.0)
    assert (found.limits.body_bytes, found.limits.pending_alerts) == (1048576, 100)
    first, second = policies
    assert (first.mode, first.guards.cooldown, first.verify.deadline) == (Mode.AUTO, 1800.0, 1200.0)
    assert [step.action for step in first.steps] == ["command", "http", "kubernetes.scale_by"]
    assert second.steps == (Step("command", {"argv": ["drain"]}),)
    assert second.verify.data == "a"


def test_defaults() -> None:
    found, policies = config.load(FILES / "minimal.good.yml", LOG)
    assert (found.alertmanager.url, found.prometheus.url) == ("http://localhost:9093", "http://localhost:9090")
    assert (found.ledger.path, found.ledger.key_file) == (Path("ledger.db"), None)
    assert policies == ()


def test_action_policies_are_found_beside_the_file(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    _, policies = config.load(FILES / "legacy.good.yml", LOG)
    assert [(policy.name, policy.mode) for policy in policies] == [("my-web-service/scale_up", Mode.AUTO)]
    assert caplog.messages == ["command is understood as an action"]


def test_mistakes_in_action_policies_are_told_with_their_own_file(tmp_path: Path) -> None:
    (tmp_path / "policies.json").write_text('{"web":\n {"actions": {"x": {"command": "a | b"}}}}')
    path = write(tmp_path / "webhook.yml", "api: {authentication: none}\naction_policies: {file: policies.json}\n")
    with pytest.raises(ConfigError) as error:
        config.load(path, LOG)
    assert [str(one).removeprefix(f"{tmp_path}/") for one in error.value.mistakes] == [
        "policies.json:2: web.actions.x.command: expected one command; for several write a script and name it here, "
        "got '|'",
        "policies.json:2: web.actions.x.conditions: expected a value for 'conditions', got nothing",
    ]
    path.write_text("api: {authentication: none}\naction_policies: {file: absent.json}\n")
    with pytest.raises(ConfigError, match=r"absent.json:1: expected a readable file, got No such file"):
        config.load(path, LOG)


def test_a_name_in_both_files_is_a_mistake(tmp_path: Path) -> None:
    document = '{"web": {"actions": {"x": {"command": "a", "conditions": {"anomaly_score": "> 0.6"}}}}}'
    (tmp_path / "policies.json").write_text(document)
    policy = "{name: web/x, match: {a: b}, actions: [{command: {argv: [x]}}], verify: {query: a < 1}}"
    text = f"api: {{authentication: none}}\naction_policies: {{file: policies.json}}\npolicies: [{policy}]\n"
    path = write(tmp_path / "webhook.yml", text)
    with pytest.raises(
        ConfigError, match=r"webhook.yml:1: policies: expected names that no other policy has, got 'web/"
    ):
        config.load(path, LOG)
