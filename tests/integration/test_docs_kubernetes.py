"""The guide to Kubernetes, command by command, on a real control plane."""

import os
import re
import shlex
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from chart_cluster import Cluster, prepared
from controlplane import ControlPlane
from cryptography import x509
from helm_chart import NAMESPACE, ROOT, kinds, notes, only, pod_of, tool

from presagio.exporter import config as exporter_config
from presagio.toolkit import web_file
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


Check = Callable[[Cluster, Path, str], None]
"""Of the cluster, the folder and what the command told."""


def commands() -> list[str]:
    """Return each command of the guide, lines that go on joined."""
    text = "".join(block for language, block in BLOCKS if language == "sh").replace("\\\n", "")
    return [line for line in text.splitlines() if line]


def files() -> list[str]:
    """Return the names of all files of the guide."""
    return re.findall(r"^```yaml\n# (\S+\.ya?ml)$", GUIDE, re.MULTILINE)


def file(name: str) -> str:
    """Return the file of the guide that begins with a comment of its name."""
    [found] = [block for language, block in BLOCKS if language == "yaml" and block.startswith(f"# {name}\n")]
    return str(found)


@pytest.fixture(scope="module")
def cluster(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    return prepared(control_plane, tmp_path_factory.mktemp("helm"))


# What holds after a command of the guide


def installed(cluster: Cluster, _: Path, told: str) -> None:
    """Check what the guide's values say of it."""
    objects = cluster.objects()
    assert {one["metadata"]["namespace"] for one in kinds(objects, "Role")} == {"shop"}
    assert kinds(objects, "ClusterRole") == []
    for one in kinds(objects, "ServiceMonitor", "PrometheusRule"):
        assert one["metadata"]["labels"]["release"] == "kube-prometheus-stack"
    assert "WARNING" not in told


def rights_of_commands(_: Cluster, __: Path, told: str) -> None:
    """Check that what the command of the guide becomes may scale."""
    [role] = kinds(yaml.safe_load_all(told), "Role")
    assert ["deployments/scale"] in [rule["resources"] for rule in role["rules"]]


def secured(cluster: Cluster, workdir: Path, _: str) -> None:
    """Check that the guide's file, certificate and Secrets are what its values and the chart name."""
    path = f"/api/v1/namespaces/{NAMESPACE}/secrets"
    objects = cluster.objects()
    certificate = x509.load_pem_x509_certificate((workdir / "tls.crt").read_bytes())
    alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    for component in ("exporter", "webhook"):
        [endpoint] = only(objects, "ServiceMonitor", component)["spec"]["endpoints"]
        for one in (endpoint["tlsConfig"]["ca"]["secret"], *endpoint["basicAuth"].values()):
            assert one["key"] in cluster.api.get(f"{path}/{one['name']}")["data"]
        assert endpoint["tlsConfig"]["serverName"] in alternatives.get_values_for_type(x509.DNSName)
        [volume] = [one for one in pod_of(objects, component)["volumes"] if one["name"] == "web"]
        files = cluster.api.get(f"{path}/{volume['secret']['secretName']}")["data"]
        assert set(files) == {"web.yml", "tls.crt", "tls.key"}
    # the server itself takes the file, with the certificate beside it
    assert set(web_file.load(workdir / "web.yml").basic_auth_users) == {"prometheus", "alertmanager"}


def reached(cluster: Cluster, _: Path, __: str) -> None:
    """Check that the Ingress leads to a Service that is there, and that alerts link to it."""
    objects = cluster.objects()
    [rule] = only(objects, "Ingress", "webhook")["spec"]["rules"]
    [path] = rule["http"]["paths"]
    assert only(objects, "Service", path["backend"]["service"]["name"])
    config = yaml.safe_load(only(objects, "ConfigMap", "presagio-webhook")["data"]["webhook.yml"])
    assert config["external_url"] == f"https://{rule['host']}"


def told_of(cluster: Cluster, _: Path, __: str) -> None:
    """Check that both templates are there."""
    data = only(cluster.objects(), "ConfigMap", "notifications")["data"]
    assert set(data) == {"presagio.tmpl", "site.tmpl"}


def replicas(kind: str, count: int) -> Check:
    """Return a check of a number of pods."""

    def check(cluster: Cluster, _: Path, __: str) -> None:
        assert only(cluster.objects(), kind)["spec"]["replicas"] == count

    return check


CHECKS: Mapping[str, Check] = {
    "upgrade --install": installed,
    "action-policies-values.yaml": rights_of_commands,
    "--values web-values.yaml": secured,
    "--values ingress-values.yaml": reached,
    "notifications.enabled": told_of,
    "webhook.replicas=2": replicas("Deployment", 2),
    "exporter.shards=4": replicas("StatefulSet", 4),
}


def test_every_command_works_in_the_order_of_the_guide(cluster: Cluster, workdir: Path) -> None:
    for name in files():
        (workdir / name).write_text(file(name))
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
        for word, check in CHECKS.items():
            if word in command:
                check(cluster, workdir, answer.stdout)
    assert len(told) >= 15
    assert [word for word in CHECKS if not any(word in command for command in told)] == []
    [rights] = [text for command, text in told.items() if "can-i" in command]
    assert re.search(r"deployments\.apps .*\[get patch\]", rights)
    [kept] = [text for command, text in told.items() if "persistentvolumeclaims" in command]
    assert {"presagio-webhook", "data-presagio-exporter-0"} <= set(kept.split())


def test_what_is_left_out_is_what_needs_a_node() -> None:
    left = [shlex.split(line, comments=True)[0] for line in commands() if any(word in line for word in NEEDS_NODES)]
    assert sorted(left) == ["curl", "docker", "docker", "helm", "kubectl", "kubectl"]
    assert len(files()) >= 6


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


def test_alertmanager_takes_the_guide_s_receiver_and_finds_our_templates(amtool: Path, workdir: Path) -> None:
    values = yaml.safe_load(file("notifications-values.yaml"))["alertmanager"]
    [volume] = values["alertmanagerSpec"]["configMaps"]
    [pattern] = values["config"]["templates"]
    # where the operator mounts what configMaps names
    assert pattern == f"/etc/alertmanager/configmaps/{volume}/*.tmpl"
    assert pattern in notes(apiKey={"existingSecret": "keys"}, notifications={"enabled": True})
    [receiver] = values["config"]["receivers"]
    [slack] = receiver["slack_configs"]
    folder, _, _ = slack["api_url_file"].rpartition("/")
    assert folder == f"/etc/alertmanager/secrets/{values['alertmanagerSpec']['secrets'][1]}"
    config = {"templates": [f"{ROOT}/rules/*.tmpl"], "receivers": [receiver], "route": {"receiver": receiver["name"]}}
    (workdir / "alertmanager.yml").write_text(yaml.safe_dump(config))
    argv: list[str | Path] = [amtool, "check-config", workdir / "alertmanager.yml"]
    answer = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert " - 1 templates" in answer.stdout
