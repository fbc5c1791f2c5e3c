"""`presagio replay` on a ledger that a machine has written: what other policies would have done, and their value."""

import json
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from fake_world import KEY, FakeAction, World, policy
from pydantic import BaseModel, ConfigDict

from presagio.toolkit.cli import main
from presagio.webhook.choosing import arm_of
from presagio.webhook.policy import Policy, Step

HELPS = {"command": {"argv": ["/bin/true"]}}
IDLE = {"notify": {"text": "look"}}
FREELY = {"cooldown": "0s", "max_per_hour": 10_000}


class Anything(BaseModel):
    model_config = ConfigDict(extra="allow")


class Loose(FakeAction):
    """An action that takes any parameters; `helps` says what Prometheus sees after it."""

    Params: ClassVar[type[BaseModel]] = Anything


def rules(*actions: dict[str, Any], name: str = "restart", order: str = "learned", **changes: Any) -> Policy:
    return policy(name=name, order=order, actions=list(actions), guards=FREELY, **changes)


class Clinic(World):
    """A world in which `command` alone helps."""

    def __init__(self, folder: Path, *policies: Policy) -> None:
        super().__init__(folder, *policies)
        self.actions = {name: Loose(name) for name in ("command", "notify", "wait")}
        self.fleet = self.fleet.model_copy(update={"max_per_hour": 10_000})
        self.use(*policies)

    def suffer(self, times: int) -> None:
        for number in range(times):
            self.fire(f"f{number}", service_id=f"shop-{number % 3}")
            for _ in range(120):
                self.run(30, every=30)
                self.prometheus.good = bool(self.case(self.last()).action == "command")
                if self.case(self.last()).finished_at is not None:
                    break

    def last(self) -> int:
        return self.records.recent(1)[0].id


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("replay")
    (folder / "ledger.key").write_text(KEY.hex())
    clinic = Clinic(folder, rules(IDLE, HELPS))
    clinic.suffer(25)
    clinic.engine.dispose()
    return folder


def replay(folder: Path, *policies: Policy) -> int:
    rows = [json.loads(one.model_dump_json(exclude={"guards", "verify"}, exclude_defaults=True)) for one in policies]
    rows = [{**row, "verify": {"query": "memory < 5"}} for row in rows]
    path = folder / "new.yml"
    path.write_text(yaml.safe_dump({"policies": rows, "api": {"authentication": "none"}}))
    return main(["replay", f"--config.file={path}", f"--storage.path={folder}", "--json"])


def told(folder: Path, capsys: pytest.CaptureFixture[str], *policies: Policy) -> Any:
    assert replay(folder, *policies) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def test_it_is_told_where_each_alert_would_go(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    only = rules(HELPS, name="careful", order="as-listed", match={"service_id": "shop-1"}, mode="approval")
    found = told(folder, capsys, only)["alerts"]
    went = {(row["before"], row["now"], row["mode"], row["first"]): (row["alerts"], row["services"]) for row in found}
    assert went == {
        ("restart", "(none)", "", ""): (17, 2),
        ("restart", "careful", "approval", "command"): (8, 1),
    }


def test_a_policy_that_begins_with_what_helps_is_worth_more(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    better = told(folder, capsys, rules(HELPS, IDLE, order="as-listed"))["worth"]
    worse = told(folder, capsys, rules(IDLE, HELPS, order="as-listed"))["worth"]
    for estimator in ("snips", "doubly_robust"):
        high, low = better["valuation"][estimator], worse["valuation"][estimator]
        assert high["low"] > low["value"]
        assert low["low"] <= low["value"] <= low["high"]
    assert better["valuation"]["snips"]["value"] == pytest.approx(1.0)


def test_what_was_never_tried_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = {"command": {"argv": ["/bin/another"]}}
    worth = told(folder, capsys, rules(new, order="as-listed"))["worth"]
    assert (worth["overlap"], worth["valuation"]["effective"]) == (0.0, 0.0)
    path = folder / "new.yml"
    assert main(["replay", f"--config.file={path}", f"--storage.path={folder}"]) == 0
    text = capsys.readouterr().out
    assert "100 % of what these policies would do was never tried" in text
    assert text.splitlines()[0].split()[:2] == ["WENT", "TO"]


def test_nothing_to_value(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    worth = told(folder, capsys, rules(HELPS, match={"alertname": "Other"}))["worth"]
    assert worth["valuation"] is None
    assert worth["uncovered"] >= 25


def test_a_mistake_in_the_new_file_is_told_with_its_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "wrong.yml"
    path.write_text("policies:\n  - name: a\n    match: {alertname: A}\n    actions: [{nothing: {}}]\n")
    assert main(["replay", f"--config.file={path}", f"--storage.path={folder}"]) == 1
    assert f"{path}:" in capsys.readouterr().err


def test_arms_with_other_parameters_are_other_arms() -> None:
    small, large = (arm_of(Step("kubernetes.scale_by", {"replicas": size})) for size in (1, 2))
    assert small != large
    assert small.startswith("kubernetes.scale_by#")
