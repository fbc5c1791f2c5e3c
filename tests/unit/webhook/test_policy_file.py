"""action_policies.json: `*.good.json` load, `*.bad.json` are refused with the words of their `*.bad.txt`."""

import logging
from pathlib import Path

import pytest

from presagio.toolkit.errors import ConfigError
from presagio.toolkit.filekinds import check
from presagio.toolkit.log import get_log
from presagio.webhook import policy_file
from presagio.webhook.payload import Alert
from presagio.webhook.policy import Mode, Policy, Priority, Step, conditions, matching, target, verification

FILES = Path(__file__).parent / "files"

CPU = (
    '(max(presagio_signal_value{service_id="my-web-service",signal="cpu_usage"}) '
    'or max(presagio_submitted_value{service_id="my-web-service",metric="cpu_usage"}))'
)
LATENCY = CPU.replace("cpu_usage", "response_time_ms")
SCORE = 'max(presagio_anomaly_score{service_id="my-web-service"})'


def load(name: str, mode: Mode = Mode.DRY_RUN) -> tuple[Policy, ...]:
    return policy_file.policies(policy_file.FILE.load(FILES / name), mode, get_log("test"))


def named(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("path", sorted(FILES.glob("*.good.json")), ids=named)
def test_good_files(path: Path) -> None:
    assert check(path) == "action_policies"


@pytest.mark.parametrize("path", sorted(FILES.glob("*.bad.json")), ids=named)
def test_bad_files(path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        check(path)
    assert str(error.value).replace(f"{path.parent}/", "") + "\n" == path.with_suffix(".txt").read_text()


def test_the_documented_file_means_what_its_author_meant(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    (policy,) = load("documented.good.json")
    assert policy.name == "my-web-service/scale_up"
    assert policy.description == "Scale up the web service"
    assert (policy.mode, policy.priority) == (Mode.DRY_RUN, Priority.MEDIUM)
    assert policy.match == {"service_id": "my-web-service"}
    assert policy.steps == (Step("kubernetes.scale_by", {"by": 1, "deployment": "${service_id}"}),)
    assert policy.when == (f"{CPU} > 80", f"{LATENCY} > 500", f"{SCORE} > 0.6")
    assert policy.verify.query == f"{CPU} <= 80 or {LATENCY} <= 500 or {SCORE} <= 0.6"
    assert policy.verify.data == f"{CPU} + {LATENCY} + {SCORE}"
    (record,) = caplog.records
    assert vars(record)["fields"] == {
        "policy": "my-web-service/scale_up",
        "action": '{"kubernetes.scale_by": {"by": 1, "deployment": "${service_id}"}}',
    }


def test_any_alert_of_the_service_starts_it() -> None:
    policies = load("documented.good.json")
    alert = Alert(fingerprint="f", status="firing", labels={"service_id": "my-web-service"}, starts_at=0.0)
    assert matching(policies, alert) == policies
    assert [one.query for one in conditions(policies[0], target(alert))] == list(policies[0].when)
    assert verification(policies[0], target(alert)).data == (policies[0].verify.data,)
    other = alert.model_copy(update={"labels": {"alertname": "my-web-service"}})
    assert matching(policies, other) == ()


def test_several_services_and_actions() -> None:
    restart, drain, vacuum = load("several.good.json", Mode.AUTO)
    assert restart.steps == (Step("command", {"argv": ["systemctl", "restart", "cart@${service_id}.service"]}),)
    assert (restart.mode, restart.priority) == (Mode.AUTO, Priority.CRITICAL)
    assert restart.when == ('max(presagio_anomaly_score{service_id="shop/cart"}) >= 0.9',)
    assert restart.verify.query == 'max(presagio_anomaly_score{service_id="shop/cart"}) < 0.9'
    assert drain.steps == (Step("command", {"argv": ["drain", "--pool=${service_id}"]}),)
    assert (drain.mode, drain.priority) == (Mode.AUTO, Priority.MEDIUM)
    assert (vacuum.name, vacuum.priority) == ("db/vacuum", Priority.LOW)
    assert 'signal="dead rows"' in vacuum.when[0]
    assert vacuum.when[0].endswith(") != -1.5e3")
    assert vacuum.verify.query.endswith(") == -1.5e3")


def test_a_mode_of_its_own_wins() -> None:
    assert [policy.mode for policy in load("several.good.json")] == [Mode.AUTO, Mode.DRY_RUN, Mode.DRY_RUN]


def test_below_a_limit_the_lowest_series_counts() -> None:
    _, drain, _ = load("several.good.json")
    assert drain.when == (
        '(min(presagio_signal_value{service_id="shop/cart",signal="free_slots"}) '
        'or min(presagio_submitted_value{service_id="shop/cart",metric="free_slots"})) <= 2',
    )


def test_names_are_escaped() -> None:
    entry = {"command": "x", "conditions": {"metrics": {'a"b\\': "> 1"}, "anomaly_score": "> 1"}}
    file = policy_file.PolicyFile.model_validate({"services": {'w"}': {"actions": {"go": entry}}}})
    (policy,) = policy_file.policies(file, Mode.DRY_RUN)
    assert 'service_id="w\\"}",signal="a\\"b\\\\"' in policy.when[0]
    assert policy.when[1] == 'max(presagio_anomaly_score{service_id="w\\"}"}) > 1'
