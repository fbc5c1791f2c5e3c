"""What the chart makes of action_policies.json: the rights of what a command becomes, and the word on all others."""

import argparse
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from helm_chart import KEY, Object, kinds, mounted, notes, only, pod_of, refused, render
from scale_commands import JSONPATH, REFUSED, UNDERSTOOD

from presagio.webhook import commandline
from presagio.webhook.commands import RemediationCommand

pytestmark = pytest.mark.servers

SCALE, GET = "kubectl scale", "kubectl get"
BECOME_ACTIONS = (
    f"{SCALE} deployment web -n shop --replicas=$({GET} deployment web -n shop {JSONPATH}+1)",
    f"  kubectl   -n shop scale  deploy/web  --replicas=$( kubectl -n shop get deploy/web {JSONPATH} - 2 )  ",
    f'{SCALE} -n shop deploy web --replicas="$({GET} deploy web --namespace=shop {JSONPATH}+10)"',
    f"{SCALE} deploy web --namespace shop --replicas $({GET} deploy web -n=shop -o jsonpath={{.spec.replicas}}+1)",
    f"{SCALE} deploy a -n ${{namespace}} --replicas=$(( $({GET} deploy a -n ${{namespace}} {JSONPATH}) + 3 ))",
    f"{SCALE} deploy a --namespace='shop' --replicas=$(expr $({GET} deploy a --namespace='shop' {JSONPATH}) + 1)",
)
OTHERS = (
    "kubectl scale deployment web --replicas=5",
    "kubectl rollout restart deployment/web",
    "/bin/echo kubectl scale deployment web --replicas=6",
    "restart ${service_id}",
)


def acting(*commands: str, namespaces: tuple[str, ...] = ("shop",), **rbac: Any) -> dict[str, Any]:
    actions = {
        f"action-{number}": {"command": command, "conditions": {"anomaly_score": "> 0.6"}}
        for number, command in enumerate(commands)
    }
    return {
        "actionPolicies": {"shop/web": {"actions": actions}},
        "rbac": {"namespaces": list(namespaces), **rbac},
    }


def printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> list[Object]:
    """Return what `presagio remediation roles` makes of the files that are mounted."""
    parser = argparse.ArgumentParser()
    command = RemediationCommand()
    command.add_arguments(parser)
    capsys.readouterr()
    command.run(parser.parse_args(["roles", f"--config.file={folder / 'webhook.yml'}", "--namespace=shop"]))
    return [one for one in yaml.safe_load_all(capsys.readouterr().out) if one]


@pytest.mark.parametrize("command", [*BECOME_ACTIONS, *OTHERS])
def test_a_command_has_the_rights_of_what_the_server_makes_of_it(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    objects = render(**KEY, webhook=acting(command))
    wanted = printed(mounted(objects, "webhook", tmp_path), capsys)
    assert [one["rules"] for one in kinds(objects, "Role")] == [one["rules"] for one in kinds(wanted, "Role")]
    # and the token to use them, only then
    is_understood = "command" not in commandline.action(command)
    assert is_understood == (command in BECOME_ACTIONS) == bool(kinds(objects, "Role"))
    assert pod_of(objects, "webhook")["automountServiceAccountToken"] is is_understood
    assert kinds(objects, "ClusterRole") == []


def test_rights_of_commands_come_beside_those_of_policies_and_of_what_is_named() -> None:
    policy = {
        "name": "one", "match": {"alertname": "A"}, "verify": {"query": "up > 0"},
        "actions": [{"kubernetes.evict_pod": {"namespace": "shop"}}],
    }  # fmt: skip
    values = acting(BECOME_ACTIONS[0], extraActions=["kubernetes.cordon"])
    objects = render(**KEY, webhook={**values, "config": {"policies": [policy]}})
    rules = {rule["resources"][0]: rule["verbs"] for rule in only(objects, "Role")["rules"]}
    assert rules["deployments/scale"] == ["get", "update"]
    assert rules["pods/eviction"] == ["create"]
    assert [rule["resources"] for rule in only(objects, "ClusterRole")["rules"]] == [["nodes"]]


@pytest.mark.parametrize("command", [command for command, _ in UNDERSTOOD])
def test_whatever_the_server_understands_the_chart_does(command: str) -> None:
    objects = render(**KEY, webhook=acting(command, namespaces=("monitoring", "b")))
    rules = [rule for one in kinds(objects, "Role") for rule in one["rules"]]
    assert ["deployments/scale"] in [rule["resources"] for rule in rules]


@pytest.mark.parametrize("command", [*REFUSED, "rm $(ls)"])
def test_whatever_the_server_refuses_the_chart_refuses_before_anything_is_installed(command: str) -> None:
    told = r"webhook.actionPolicies: shop/web/action-0: expected a command without \$\(…\) other than that of kubectl"
    refused(told, **KEY, webhook=acting(command, namespaces=("monitoring", "b", "x")))


def test_a_command_acts_where_there_is_a_role() -> None:
    here = f"{SCALE} deployment web --replicas=$({GET} deployment web {JSONPATH}+1)"
    told = r'webhook.rbac.namespaces: expected .?"{}.?" among them, in which the command of shop/web/action-0 acts '
    refused(told.format("monitoring"), **KEY, webhook=acting(here))
    refused(told.format("bank"), **KEY, webhook=acting(here.replace("deployment web", "deployment web -n bank")))
    objects = render(**KEY, webhook=acting(here, namespaces=("monitoring",)))
    assert [one["metadata"]["namespace"] for one in kinds(objects, "Role")] == ["monitoring"]
    # whoever makes the Roles knows where
    assert kinds(render(**KEY, webhook=acting(here, create=False)), "Role") == []


@pytest.mark.parametrize(
    ("command", "action"),
    [
        ("kubectl rollout restart deployment/web", "restart"),
        ("/usr/bin/kubectl -n shop rollout  undo deployment/web", "rollback"),
        ("kubectl scale deployment web --replicas=5", "scale_to"),
        ("kubectl delete pod/web-1", "delete_pod"),
        ("kubectl drain ${node}", "drain"),
        ("kubectl set env deployment/web A=1", "set_environment"),
    ],
)
def test_notes_say_what_to_add_for_a_command_that_runs_kubectl(command: str, action: str) -> None:
    told = notes(**KEY, webhook=acting(command, BECOME_ACTIONS[0]))
    assert "shop/web/action-0 of webhook.actionPolicies runs kubectl, for which the chart gives no rights:" in told
    assert f"     {command}\n" in told
    [words] = re.findall(r"--set webhook.rbac.extraActions=\{(.*)\}", told)
    assert words == f"kubernetes.{action}"
    assert "action-1" not in told
    added = acting(command, BECOME_ACTIONS[0], extraActions=[words])
    assert "runs kubectl" not in notes(**KEY, webhook=added)


def test_notes_say_so_where_no_action_of_ours_would_do() -> None:
    told = notes(**KEY, webhook=acting("kubectl apply -f /x.yml", "/opt/kubectl-like scale"))
    assert "bind a Role of your own to the service account presagio-webhook" in told
    assert "action-1" not in told


def test_notes_count_actions_as_policies_and_tell_of_a_file_that_the_chart_cannot_read() -> None:
    assert "2 policies are in force" in notes(**KEY, webhook=acting("restart a", "restart b"))
    told = notes(**KEY, webhook={"config": {"policies": [], "action_policies": {"file": "secrets/mine.json"}}})
    assert "the chart cannot read secrets/mine.json" in told
