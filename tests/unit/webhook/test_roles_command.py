"""`presagio remediation roles`: what Kubernetes must allow for the policies of a file, and nothing else."""

import argparse
from pathlib import Path

import pytest
import yaml

from presagio.webhook.commands import RemediationCommand

POLICY = """
api: {{authentication: none}}
policies:
  - name: one
    match: {{alertname: PresagioAnomaly}}
    actions: {actions}
    verify: {{query: 'up{{job="x"}} > 0'}}
"""


def roles(folder: Path, actions: str, capsys: pytest.CaptureFixture[str], *more: str) -> list[dict[str, object]]:
    (folder / "webhook.yml").write_text(POLICY.format(actions=actions))
    parser = argparse.ArgumentParser()
    command = RemediationCommand()
    command.add_arguments(parser)
    assert command.run(parser.parse_args(["roles", f"--config.file={folder / 'webhook.yml'}", *more])) == 0
    return list(yaml.safe_load_all(capsys.readouterr().out))


def test_a_role_for_each_namespace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    actions = "[{kubernetes.restart: {}}, {kubernetes.scale_by: 1}]"
    found = roles(tmp_path, actions, capsys, "--namespace=shop", "--namespace=bank", "--service-account=ops:acts")
    kinds = [(one["kind"], one["metadata"]["namespace"]) for one in found]  # type: ignore[index]
    assert kinds == [("Role", "shop"), ("RoleBinding", "shop"), ("Role", "bank"), ("RoleBinding", "bank")]
    assert found[0]["rules"] == [
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "patch"]},
        {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["get", "update"]},
        {"apiGroups": ["autoscaling"], "resources": ["horizontalpodautoscalers"], "verbs": ["list"]},
    ]
    assert found[1]["subjects"] == [{"kind": "ServiceAccount", "namespace": "ops", "name": "acts"}]


def test_what_a_stateful_set_needs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = roles(tmp_path, "[{kubernetes.rollback: {statefulset: db}}]", capsys)
    resources = [rule["resources"] for rule in found[0]["rules"]]  # type: ignore[attr-defined]
    assert resources == [["controllerrevisions"], ["statefulsets"]]


def test_nodes_need_a_role_of_the_cluster(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kinds = [one["kind"] for one in roles(tmp_path, "[{kubernetes.cordon: {}}]", capsys)]
    assert kinds == ["ClusterRole", "ClusterRoleBinding"]


def test_none_is_needed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert roles(tmp_path, "[{wait: 5m}]", capsys) == []
