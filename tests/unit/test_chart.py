"""The chart as helm renders it: what is made of which values, what is refused, and what is the same everywhere."""

import argparse
import importlib.util
import json
import re
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from helm_chart import (
    CHART,
    CI,
    COMPONENTS,
    KEY,
    ROOT,
    Object,
    helm,
    kinds,
    mounted,
    notes,
    of,
    only,
    pods,
    refused,
    render,
)
from helm_chart import arguments as arguments_of

from presagio.actions import base
from presagio.exporter import sharding
from presagio.exporter.commands import ExporterCommand
from presagio.toolkit import plugins
from presagio.toolkit.cli import CheckConfig, Command
from presagio.webhook.commands import RemediationCommand, WebhookCommand

pytestmark = pytest.mark.servers

RULES = sorted((ROOT / "rules").glob("presagio.*.yml"))
DASHBOARDS = sorted((ROOT / "grafana" / "dashboards").glob("*.json"))


def policy(*actions: Mapping[str, Any], name: str = "one") -> dict[str, Any]:
    return {"name": name, "match": {"alertname": "A"}, "actions": list(actions), "verify": {"query": "up > 0"}}


def acting(*actions: Mapping[str, Any], namespaces: tuple[str, ...] = ("shop",)) -> dict[str, Any]:
    return {"config": {"policies": [policy(*actions)]}, "rbac": {"namespaces": list(namespaces)}}


@cache
def rendered(path: Path) -> list[Object]:
    return render("--values", path)


each_ci = pytest.mark.parametrize("path", CI, ids=lambda path: path.name.removesuffix("-values.yaml"))


@cache
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "helm" / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# What is written from elsewhere


@pytest.mark.parametrize("name", ["files/permissions.json", "files/scalings.json", "values.schema.json", "README.md"])
def test_what_is_generated_is_up_to_date(name: str) -> None:
    assert (CHART / name).read_text() == generate().written()[CHART / name], "run: python helm/generate.py"


def leaves(values: Mapping[str, Any], path: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}"


def test_every_value_is_described() -> None:
    described = tuple(name for name, _, _ in generate().described())
    assert [leaf for leaf in leaves(of(CHART / "values.yaml")) if not f"{leaf}.".startswith(covers(described))] == []


def covers(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{name}." for name in names)


def objects_of(schema: Any, path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(schema, dict):
        if (schema.get("type") == "object" and "properties" in schema) or "additionalProperties" in schema:
            yield path, schema
        for key, value in schema.items():
            yield from objects_of(value, f"{path}/{key}")


def test_the_schema_lets_no_unknown_key_pass() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    found = list(objects_of(schema))
    lax = [path for path, one in found if one.get("additionalProperties", True) is True and "$comment" not in one]
    assert lax == []
    assert len(found) > 100


def test_version_and_name_are_those_of_the_package() -> None:
    package = ConfigParser()
    package.read(ROOT / "setup.cfg")
    chart = of(CHART / "Chart.yaml")
    assert chart["apiVersion"] == "v2"
    assert (chart["name"], chart["appVersion"]) == (package["metadata"]["name"], package["metadata"]["version"])


# The configuration


@each_ci
@pytest.mark.parametrize("component", COMPONENTS)
def test_the_servers_take_the_rendered_configuration(
    path: Path, component: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    objects = rendered(path)
    if component == "webhook" and "sharded" in path.name:
        assert not kinds(objects, "Deployment")
        return
    file = mounted(objects, component, tmp_path) / f"{component}.yml"
    assert CheckConfig().run(argparse.Namespace(files=[file])) == 0, capsys.readouterr().err
    named = set(re.findall(rf"{tmp_path}/(\S+)", file.read_text()))
    assert {name for name in named if not (tmp_path / name).is_file()} == set()


@each_ci
def test_the_servers_take_the_rendered_flags(path: Path) -> None:
    objects = rendered(path)
    servers: dict[str, Command] = {"exporter": ExporterCommand(), "webhook": WebhookCommand()}
    for component, command in servers.items():
        if component == "webhook" and not kinds(objects, "Deployment"):
            continue
        parser = argparse.ArgumentParser(exit_on_error=False)
        command.add_arguments(parser)
        name, *words = arguments_of(objects, component)
        assert name == component
        parsed = parser.parse_args([word.replace("$(POD_NAME)", "presagio-exporter-3") for word in words])
        assert parsed.config_file == Path(f"/etc/presagio/{component}.yml")
        if component == "exporter":
            wanted = (3, 4) if "sharded" in path.name else (0, 1)
            assert sharding.of(parsed) == sharding.Shard(*wanted)


def test_large_numbers_and_curly_braces_arrive_as_they_are(tmp_path: Path) -> None:
    signal = {"name": "a", "query": 'up{job=~"{{.+}}"} > 1e9', "range": {"max": 1234567890123}}
    objects = render(**KEY, exporter={"config": {"limits": {"series": 12345678}, "signals": [signal]}})
    config = yaml.safe_load((mounted(objects, "exporter", tmp_path) / "exporter.yml").read_text())
    assert config["limits"] == {"series": 12345678}
    assert config["signals"] == [signal]


def test_what_the_configuration_says_goes_before_what_is_filled_in(tmp_path: Path) -> None:
    own = {"prometheus": {"url": "http://thanos:10902", "tenant": "a"}, "api": {"authentication": "none"}}
    objects = render(exporter={"config": own}, webhook={"config": {**own, "policies": []}})
    for component in COMPONENTS:
        config = yaml.safe_load((mounted(objects, component, tmp_path) / f"{component}.yml").read_text())
        assert config["prometheus"] == own["prometheus"]
        assert config["api"] == own["api"]


def test_action_policies_are_a_file_beside_the_configuration(tmp_path: Path) -> None:
    entry = {"command": "kubectl rollout restart deployment/web", "conditions": {"anomaly_score": "> 0.6"}}
    values = {"actionPolicies": {"shop/web": {"actions": {"restart": entry}}}}
    rights = {"rbac": {"namespaces": ["shop"], "extraActions": ["kubernetes.restart"]}}
    objects = render(**KEY, webhook={**values, **rights})
    folder = mounted(objects, "webhook", tmp_path)
    assert CheckConfig().run(argparse.Namespace(files=[folder / "action_policies.json", folder / "webhook.yml"])) == 0
    assert [rule["resources"] for rule in only(objects, "Role")["rules"]] == [["deployments"], ["statefulsets"]]


def test_another_configuration_makes_other_pods() -> None:
    def sums(**values: Any) -> list[str]:
        made = kinds(render(**KEY, **values), "StatefulSet", "Deployment")
        return [one["spec"]["template"]["metadata"]["annotations"]["checksum/config"] for one in made]

    before, after = sums(), sums(exporter={"config": {"presets": ["redis"]}})
    assert [one == other for one, other in zip(before, after, strict=True)].count(True) == 1
    assert sums() == before


# Rights


def commanded(folder: Path, capsys: pytest.CaptureFixture[str], *namespaces: str) -> list[Object]:
    """Return the manifests of `presagio remediation roles`."""
    parser = argparse.ArgumentParser()
    command = RemediationCommand()
    command.add_arguments(parser)
    more = [f"--namespace={name}" for name in namespaces]
    capsys.readouterr()
    command.run(parser.parse_args(["roles", f"--config.file={folder / 'webhook.yml'}", *more]))
    return list(yaml.safe_load_all(capsys.readouterr().out))


STATEFUL = {"statefulset": "db", "by": 1}
ACTIONS: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "a deployment": ({"kubernetes.restart": {"namespace": "shop"}}, {"kubernetes.scale_by": 1}),
    "a stateful set": ({"kubernetes.rollback": {"statefulset": "db"}}, {"kubernetes.scale_by": STATEFUL}),
    "both": ({"kubernetes.restart": {"statefulset": "db"}}, {"kubernetes.scale_to": {"replicas": 3}}),
    "pods": ({"kubernetes.delete_pod": {}}, {"kubernetes.evict_pod": {}}),
    "nodes": ({"kubernetes.cordon": {}}, {"kubernetes.drain": {}}),
    "all at once": ({"kubernetes.restart": None}, {"kubernetes.drain": {}}, {"wait": "5m"}),
}


@pytest.mark.parametrize("actions", ACTIONS.values(), ids=ACTIONS)
def test_roles_are_those_that_the_command_prints(
    actions: tuple[Mapping[str, Any], ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    objects = render(**KEY, webhook=acting(*actions, namespaces=("shop", "bank")))
    wanted = commanded(mounted(objects, "webhook", tmp_path), capsys, "shop", "bank")
    for kind in ("Role", "ClusterRole"):
        made = {one["metadata"].get("namespace"): one["rules"] for one in kinds(objects, kind)}
        assert made == {one["metadata"].get("namespace"): one["rules"] for one in kinds(wanted, kind)}
    assert {kind for kind in ("Role", "ClusterRole") if kinds(objects, kind)} != set()


@pytest.mark.parametrize("action", [name for name in plugins.names(plugins.ACTIONS) if "." in name])
def test_an_action_has_the_rights_that_it_names(action: str) -> None:
    """Each action alone, by its name: nothing of another's rights comes with it."""
    permissions = [one for one in base.load(action).permissions if one.system.startswith("kubernetes")]
    values = {"config": {"policies": []}, "rbac": {"namespaces": ["shop"], "extraActions": [action]}}
    if not permissions:
        refused(r"expected actions that need Kubernetes", **KEY, webhook=values)
        return
    rules = [rule for one in kinds(render(**KEY, webhook=values), "Role", "ClusterRole") for rule in one["rules"]]
    made = {(rule["apiGroups"][0], rule["resources"][0]): set(rule["verbs"]) for rule in rules}
    assert all(len(rule["apiGroups"]) == len(rule["resources"]) == 1 for rule in rules)
    for permission in permissions:
        group, _, resource = permission.resource.partition("/")
        assert set(permission.verbs) <= made[group, resource]
    verbs = [verb for permission in permissions for verb in permission.verbs]
    assert sum(map(len, made.values())) <= len(verbs)


def test_whoever_needs_no_rights_has_no_token() -> None:
    objects = render(**KEY, webhook=acting({"notify": {"text": "look"}}))
    assert kinds(objects, "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding") == []
    assert [pod["automountServiceAccountToken"] for pod in pods(objects)] == [False] * 3
    objects = render(**KEY, webhook=acting({"kubernetes.restart": {}}))
    tokens = {pod["containers"][0]["name"]: pod["automountServiceAccountToken"] for pod in pods(objects)}
    assert tokens == {"exporter": False, "webhook": True, "exporter-answers": False}
    assert all(one["automountServiceAccountToken"] is False for one in kinds(objects, "ServiceAccount"))


# What is refused


DATABASE = {"url": "postgresql://a@b/c"}


@pytest.mark.parametrize(
    ("told", "values"),
    [
        (r"webhook.replicas: expected 1 without webhook.postgresql.url", {**KEY, "webhook": {"replicas": 2}}),
        (r"webhook.postgresql.existingSecret: expected a Secret", {**KEY, "webhook": {"postgresql": DATABASE}}),
        (
            r"webhook.config.ledger.url: expected the database in webhook.postgresql.url",
            {**KEY, "webhook": {"config": {"ledger": DATABASE}}},
        ),
        (r"apiKey.existingSecret: expected a Secret .* kubectl --namespace monitoring create secret", {"image": {}}),
        (
            r"webhook.rbac.namespaces: expected the namespaces that the policies act upon",
            {**KEY, "webhook": acting({"kubernetes.restart": {}}, namespaces=())},
        ),
        (r"rbac/namespaces", {**KEY, "webhook": acting({"wait": "5m"}, namespaces=("kube-system",))}),
        (r"extraActions: expected .* got .?\"x.y", {**KEY, "webhook": {"rbac": {"extraActions": ["x.y"]}}}),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)  # fmt: skip
def test_what_cannot_work_is_refused_with_the_remedy(told: str, values: Mapping[str, Any]) -> None:
    refused(told, **values)


MISSPELT = [
    "exporterr", "exporter.shard", "exporter.config.signal", "exporter.config.evaluation.intervall",
    "exporter.config.prometheus.tls.ca", "exporter.persistence.storageClassName", "webhook.replica",
    "webhook.config.polices", "webhook.config.ledger.pathh", "webhook.rbac.namespace", "serviceMonitor.labels",
    "networkPolicy.egress.enable", "image.name", "webhook.podDisruptionBudget.minAvailable",
    "exporter.resources.request", "dashboards.label", "exporter.webConfig.secret",
    "webhook.webConfig.tlsConfig.caFile", "webhook.webConfig.basicAuth.user",
    "webhook.ingress.host", "exporter.ingress.ingressClassName", "notifications.slack",
]  # fmt: skip


@pytest.mark.parametrize("path", MISSPELT)
def test_a_misspelt_key_is_refused(path: str) -> None:
    *parents, last = path.split(".")
    values: Any = {last: "x"}
    for name in reversed(parents):
        values = {name: values}
    refused(rf"additional properties '{last}' not allowed", **KEY | values)


def test_a_misspelt_key_of_a_signal_or_a_policy_is_refused() -> None:
    refused(r"'detectr' not allowed", **KEY, exporter={"config": {"signals": [{"name": "a", "detectr": "mad"}]}})
    bad = policy({"wait": "5m"}) | {"guard": {}}
    refused(r"'guard' not allowed", **KEY, webhook={"config": {"policies": [bad]}})
    entry = {"command": "true", "condition": {}}
    refused(r"'condition' not allowed", **KEY, webhook={"actionPolicies": {"a": {"actions": {"b": entry}}}})


# Objects


@each_ci
def test_pods_are_confined(path: Path) -> None:
    found = pods(rendered(path))
    for pod in found:
        context = pod["securityContext"]
        assert (context["runAsNonRoot"], context["runAsUser"]) == (True, 65534)
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
            }  # fmt: skip
    assert len(found) >= 2


@each_ci
def test_selectors_are_name_instance_and_component(path: Path) -> None:
    wanted = {f"app.kubernetes.io/{name}" for name in ("name", "instance", "component")}
    objects = rendered(path)
    for one in kinds(objects, "StatefulSet", "Deployment", "PodDisruptionBudget", "ServiceMonitor"):
        assert set(one["spec"]["selector"]["matchLabels"]) == wanted
    for one in kinds(objects, "Service"):
        assert set(one["spec"]["selector"]) == wanted
    for one in kinds(objects, "NetworkPolicy"):
        assert set(one["spec"]["podSelector"]["matchLabels"]) == wanted
    for one in objects:
        labels = one["metadata"]["labels"]
        assert wanted | {"app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart"} <= set(labels)
        if one["kind"] not in ("ClusterRole", "ClusterRoleBinding"):
            assert one["metadata"]["namespace"]


@each_ci
def test_monitors_keep_our_labels_and_carry_those_of_the_user(path: Path) -> None:
    extra = of(path).get("serviceMonitor", {}).get("additionalLabels", {})
    objects = rendered(path)
    for one in kinds(objects, "ServiceMonitor", "PrometheusRule"):
        assert extra.items() <= one["metadata"]["labels"].items()
    for one in kinds(objects, "ServiceMonitor"):
        assert one["spec"]["jobLabel"] == "app.kubernetes.io/name"
        [endpoint] = one["spec"]["endpoints"]
        assert (endpoint["honorLabels"], endpoint["port"], endpoint["path"]) == (True, "http", "/metrics")
        [service] = [
            other for other in kinds(objects, "Service")
            if one["spec"]["selector"]["matchLabels"].items() <= other["metadata"]["labels"].items()
        ]  # fmt: skip
        assert [port["name"] for port in service["spec"]["ports"]] == ["http"]


def test_probes_ask_for_health_and_readiness() -> None:
    for pod in pods(render(**KEY))[:2]:
        [container] = pod["containers"]
        paths = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
        assert paths["startup"] == paths["liveness"] == {"path": "/-/healthy", "port": "http", "scheme": "HTTP"}
        assert paths["readiness"] == {"path": "/-/ready", "port": "http", "scheme": "HTTP"}


def test_volumes_can_do_without_or_be_one_s_own() -> None:
    objects = render(**KEY, exporter={"persistence": {"enabled": False}}, webhook={"persistence": {"enabled": False}})
    assert kinds(objects, "PersistentVolumeClaim") == []
    assert "volumeClaimTemplates" not in only(objects, "StatefulSet")["spec"]
    data = [volume for pod in pods(objects)[:2] for volume in pod["volumes"] if volume["name"] in ("data", "scratch")]
    assert {volume["name"]: volume["emptyDir"] for volume in data} == {"data": {}, "scratch": {}}
    objects = render(**KEY, webhook={"persistence": {"existingClaim": "mine"}})
    assert kinds(objects, "PersistentVolumeClaim") == []
    [data] = [
        one for one in only(objects, "Deployment")["spec"]["template"]["spec"]["volumes"] if one["name"] == "ledger"
    ]
    assert data["persistentVolumeClaim"] == {"claimName": "mine"}


def test_either_server_can_be_left_out() -> None:
    objects = render(exporter={"enabled": False}, **KEY)
    assert [one["metadata"]["name"] for one in objects if one["metadata"]["name"].endswith("exporter")] == []
    objects = render(webhook={"enabled": False})
    assert [one["metadata"]["name"] for one in objects if one["metadata"]["name"].endswith("webhook")] == []


@pytest.mark.parametrize(
    ("words", "version"),
    [
        (["--kube-version", "1.20.15", "--api-versions", "policy/v1beta1"], None),
        (["--api-versions", "policy/v1"], "policy/v1"),
    ],
)
def test_a_budget_is_of_the_version_that_the_cluster_has(words: list[str], version: str | None) -> None:
    versions = {one["apiVersion"] for one in kinds(render(*words, **KEY), "PodDisruptionBudget")}
    assert versions == {version} if version else versions <= {"policy/v1", "policy/v1beta1"}


def test_egress_is_what_the_configuration_names() -> None:
    values = acting({"kubernetes.restart": {}}) | {"postgresql": {**DATABASE, "existingSecret": "s"}}
    policies = kinds(
        render(
            **KEY, prometheus={"url": "https://thanos"}, webhook=values, networkPolicy={"egress": {"enabled": True}}
        ),
        "NetworkPolicy",
    )
    ports = {
        one["metadata"]["name"]: [port["port"] for rule in one["spec"]["egress"] for port in rule["ports"]]
        for one in policies
    }
    assert ports == {"presagio-exporter": [53, 53, 443], "presagio-webhook": [53, 53, 443, 9093, 5432, 6443]}


# Rules and dashboards


def test_rules_are_the_files_of_the_house() -> None:
    objects = render(**KEY, rulesConfigMap={"enabled": True})
    data = only(objects, "ConfigMap", "presagio-rules")["data"]
    assert {name: text.encode() for name, text in data.items()} == {one.name: one.read_bytes() for one in RULES}
    specs = {one["metadata"]["name"]: one["spec"] for one in kinds(objects, "PrometheusRule")}
    wanted = {f"presagio-{path.name.split('.')[1]}": yaml.safe_load(path.read_text()) for path in RULES}
    assert specs == wanted
    assert len(specs) >= 3


def test_dashboards_are_the_files_of_the_house() -> None:
    found = [one for one in kinds(render(**KEY), "ConfigMap") if "grafana_dashboard" in one["metadata"]["labels"]]
    data = {name: text.encode() for one in found for name, text in one["data"].items()}
    assert data == {one.name: one.read_bytes() for one in DASHBOARDS}
    assert all(one["metadata"]["labels"]["grafana_dashboard"] == "1" for one in found)


def test_a_dashboard_arrives_byte_for_byte(tmp_path: Path) -> None:
    """With what templates and YAML would like to change."""
    chart = tmp_path / "presagio"
    shutil.copytree(CHART, chart)  # follows the links: as a package, real files
    text = '{\n\t"title": "é — {{ $labels.pod }} {{job}}",   \n  "uid": "a: b # c\\n"\n}\n\n'
    (chart / "files" / "dashboards" / "presagio_over_view.json").write_text(text)
    objects = render(chart=chart, **KEY, dashboards={"namespace": "grafana", "annotations": {"folder": "P"}})
    made = only(objects, "ConfigMap", "presagio-dashboard-over-view")
    assert made["data"] == {"presagio_over_view.json": text}
    assert made["metadata"]["namespace"] == "grafana"
    assert made["metadata"]["annotations"] == {"folder": "P"}


def test_a_package_holds_real_files(tmp_path: Path) -> None:
    assert helm("package", CHART, "--destination", tmp_path).returncode == 0
    [path] = tmp_path.glob("*.tgz")
    with tarfile.open(path) as archive:
        members = {one.name: one for one in archive.getmembers()}
        for rule in RULES:
            name = f"presagio/files/rules/{rule.name}"
            content = archive.extractfile(members[name])
            assert content
            assert content.read() == rule.read_bytes()
    assert [name for name in members if name.endswith((".py", ".pyc", ".gitkeep"))] == []
    objects = render(chart=path, **KEY)
    assert len(kinds(objects, "PrometheusRule")) == len(RULES)


# Notes


def test_notes_warn_of_objects_that_the_operator_would_not_select() -> None:
    told = notes(**KEY)
    assert "ServiceMonitors have no label `release`" in told
    assert "PrometheusRules have no label `release`" in told
    labels = {"additionalLabels": {"release": "kps"}}
    assert "WARNING" not in notes(**KEY, serviceMonitor=labels, prometheusRule=labels)
    assert "WARNING" not in notes(**KEY, serviceMonitor={"enabled": False}, prometheusRule={"enabled": False})


def test_notes_warn_of_what_would_be_lost() -> None:
    without = {"persistence": {"enabled": False}}
    told = notes(**KEY, exporter=without, webhook=without)
    assert "the exporter has no volume" in told
    assert "the webhook has no volume" in told


def test_notes_say_what_to_do_next() -> None:
    told = notes(**KEY)
    assert "url: http://presagio-webhook.monitoring:3001/api/v1/alerts" in told
    assert "There are no policies yet" in told
    assert "1 policies are in force" in notes(**KEY, webhook=acting({"wait": "5m"}))
    assert "helm --namespace monitoring test presagio" in told
