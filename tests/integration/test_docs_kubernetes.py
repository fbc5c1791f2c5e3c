"""The guide to Kubernetes, command by command, on a real control plane."""

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from chart_cluster import Cluster, prepared
from controlplane import ControlPlane
from helm_chart import NAMESPACE, ROOT, kinds, only, tool

from presagio.exporter import config as exporter_config
from presagio.toolkit.schema import ConfigFile
from presagio.webhook import config as webhook_config

pytestmark = [
    pytest.mark.servers,
    # the test's API server signs its own certificate
    pytest.mark.filterwarnings("ignore:Unverified HTTPS request"),
]

GUIDE = (ROOT / "docs" / "kubernetes.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
# what takes a node, an engine or the pods' servers: of these no test here can say that they work
NEEDS_NODES = ("docker ", "curl ", " port-forward ", " test presagio")


def commands() -> list[str]:
    """Return each command of the guide, lines that go on joined."""
    text = "".join(block for language, block in BLOCKS if language == "sh").replace("\\\n", "")
    return [line for line in text.splitlines() if line]


def file(name: str) -> str:
    """Return the file of the guide that begins with a comment of its name."""
    [found] = [block for language, block in BLOCKS if language == "yaml" and block.startswith(f"# {name}\n")]
    return str(found)


@pytest.fixture(scope="module")
def cluster(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    return prepared(control_plane, tmp_path_factory.mktemp("helm"))


def test_every_command_works_in_the_order_of_the_guide(cluster: Cluster, workdir: Path) -> None:
    (workdir / "presagio-values.yaml").write_text(file("presagio-values.yaml"))
    (workdir / "helm").symlink_to(ROOT / "helm")
    tools = {str(tool(name).parent) for name in ("helm", "kubectl")}
    env = {**os.environ, **cluster.env, "PATH": ":".join([*tools, os.environ["PATH"]])}
    told = {}
    for command in commands():
        if any(word in command for word in NEEDS_NODES):
            continue
        answer = subprocess.run(
            ["bash", "-c", command], cwd=workdir, env=env, capture_output=True, text=True, check=False, timeout=120
        )
        assert answer.returncode == 0, f"{command}\n{answer.stderr}"
        told[command] = answer.stdout
        if "upgrade --install" in command:
            installed(cluster)
            assert "WARNING" not in answer.stdout
        if "webhook.replicas=2" in command:
            assert only(cluster.objects(), "Deployment")["spec"]["replicas"] == 2
        if "exporter.shards=4" in command:
            assert only(cluster.objects(), "StatefulSet")["spec"]["replicas"] == 4
    assert len(told) >= 10
    [rights] = [text for command, text in told.items() if "can-i" in command]
    assert re.search(r"deployments\.apps .*\[get patch\]", rights)
    [kept] = [text for command, text in told.items() if "persistentvolumeclaims" in command]
    assert {"presagio-webhook", "data-presagio-exporter-0"} <= set(kept.split())


def installed(cluster: Cluster) -> None:
    """Check what the guide's values say of it."""
    objects = cluster.objects()
    assert {one["metadata"]["namespace"] for one in kinds(objects, "Role")} == {"shop"}
    assert kinds(objects, "ClusterRole") == []
    for one in kinds(objects, "ServiceMonitor", "PrometheusRule"):
        assert one["metadata"]["labels"]["release"] == "kube-prometheus-stack"


def test_what_is_left_out_is_what_needs_a_node() -> None:
    left = [shlex.split(line, comments=True)[0] for line in commands() if any(word in line for word in NEEDS_NODES)]
    assert sorted(left) == ["curl", "docker", "docker", "helm", "kubectl", "kubectl"]


def test_the_servers_take_the_guide_s_configuration(workdir: Path) -> None:
    values = yaml.safe_load(file("presagio-values.yaml"))
    kinds_of: dict[str, ConfigFile[Any]] = {"exporter": exporter_config.FILE, "webhook": webhook_config.FILE}
    for component, kind in kinds_of.items():
        path = workdir / f"{component}.yml"
        path.write_text(yaml.safe_dump({**values[component]["config"], "api": {"authentication": "none"}}))
        kind.load(path)


def test_alertmanager_takes_the_guide_s_configuration(amtool: Path, workdir: Path) -> None:
    values = yaml.safe_load(file("kube-prometheus-stack-values.yaml"))["alertmanager"]
    path = workdir / "alertmanager.yml"
    path.write_text(yaml.safe_dump(values["config"]))
    answer = subprocess.run([amtool, "check-config", path], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    [url] = re.findall(r"http://(\S+)/api/v1/alerts", file("kube-prometheus-stack-values.yaml"))
    assert url == f"presagio-webhook.{NAMESPACE}:3001"
    [secret] = values["alertmanagerSpec"]["secrets"]
    [webhook] = values["config"]["receivers"][1]["webhook_configs"]
    assert (
        webhook["http_config"]["authorization"]["credentials_file"] == f"/etc/alertmanager/secrets/{secret}/api.key"
    )
