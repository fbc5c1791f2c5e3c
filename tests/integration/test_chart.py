"""The chart on a real control plane: installed, upgraded, rolled back, uninstalled; its rights, verb by verb.

No kubelet runs the pods there. What their containers would run is run here: the same words, the same files.
"""

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml
from chart_cluster import Cluster, gone, prepared
from chart_pod import Pod, self_test
from controlplane import ADMIN, ControlPlane, deployment, use
from helm_chart import CHART, CI, NAMESPACE, ROOT, Object, kinds, of, only, render
from prometheus_client.parser import text_string_to_metric_families
from servers import Prometheus, free_port, scrape, wait_until

from presagio.actions import base
from presagio.actions.base import NotAppliedError, PlanError, Target
from presagio.actions.kubernetes import cluster as kubernetes
from presagio.actions.kubernetes import roles
from presagio.webhook import commandline

pytestmark = [
    pytest.mark.servers,
    # the test's API server signs its own certificate
    pytest.mark.filterwarnings("ignore:Unverified HTTPS request"),
]

RELEASE = "presagio"
COUNT = "kubectl get deployment web -n shop -o=jsonpath='{.spec.replicas}'"
SCALE_UP = f"kubectl scale deployment web -n shop --replicas=$({COUNT}+1)"
VALUES: Mapping[str, Any] = {
    "apiKey": {"existingSecret": "presagio-api-key"},
    "exporter": {"shards": 2},
    "webhook": {
        "rbac": {"namespaces": ["shop", "bank"]},
        "config": {
            "policies": [
                {
                    "name": "restart",
                    "match": {"alertname": "PresagioAnomaly"},
                    "actions": [
                        {"kubernetes.restart": {"namespace": "shop", "deployment": "web"}},
                        {"kubernetes.evict_pod": {"namespace": "shop"}},
                        {"kubernetes.cordon": {}},
                    ],
                    "verify": {"query": "up > 0"},
                }
            ]
        },
        "actionPolicies": {
            "shop/web": {
                "actions": {
                    "scale_up": {"command": SCALE_UP, "conditions": {"anomaly_score": "> 0.6"}},
                    "tell": {"command": "echo ${service_id}", "conditions": {"anomaly_score": "> 0.6"}},
                }
            }
        },
        "ingress": {
            "enabled": True, "className": "nginx", "hosts": [{"host": "presagio.example.org"}],
            "tls": [{"secretName": "presagio-tls", "hosts": ["presagio.example.org"]}],
        },
    },
    "notifications": {"enabled": True},
}  # fmt: skip


@pytest.fixture(scope="module")
def empty(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    return prepared(control_plane, tmp_path_factory.mktemp("helm"))


@pytest.fixture
def installed(empty: Cluster) -> Iterator[Cluster]:
    """The release, new for each test."""
    empty.helm("install", RELEASE, CHART, **VALUES)
    yield empty
    empty.helm("uninstall", RELEASE)
    gone(empty)


# From install to uninstall


def test_the_cluster_keeps_what_was_rendered(installed: Cluster) -> None:
    """Nothing is dropped or refused: neither by the API server nor by the operator's definitions."""
    objects = installed.objects()
    rendered = render("--api-versions", "policy/v1beta1", "--kube-version", "1.20.0", **VALUES)
    names = {(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in objects}
    # the pod of `helm test` is made when it is asked for
    wanted = {
        (one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"])
        for one in rendered
        if one["kind"] != "Pod"
    }
    assert {name for name in names if name[0] != "PersistentVolumeClaim" or name[2] == f"{RELEASE}-webhook"} == wanted
    for kind in ("ServiceMonitor", "PrometheusRule", "Ingress"):
        made = {one["metadata"]["name"]: one["spec"] for one in kinds(objects, kind)}
        assert made == {one["metadata"]["name"]: one["spec"] for one in kinds(rendered, kind)}


def test_the_files_in_the_cluster_are_those_of_the_house(empty: Cluster) -> None:
    empty.helm("install", "rules", CHART, webhook={"enabled": False}, rulesConfigMap={"enabled": True})
    try:
        objects = kinds(empty.objects(), "ConfigMap", "PrometheusRule")
    finally:
        empty.helm("uninstall", "rules")
    data = only(objects, "ConfigMap", "rules-presagio-rules")["data"]
    rules = sorted((ROOT / "rules").glob("presagio.*.yml"))
    assert {name: text.encode() for name, text in data.items()} == {path.name: path.read_bytes() for path in rules}
    specs = [one["spec"] for one in kinds(objects, "PrometheusRule")]
    assert all(yaml.safe_load(path.read_text()) in specs for path in rules)
    boards = [one for one in objects if "grafana_dashboard" in one["metadata"]["labels"]]
    found = {name: text.encode() for one in boards for name, text in one["data"].items()}
    assert found == {path.name: path.read_bytes() for path in (ROOT / "grafana" / "dashboards").glob("*.json")}


def test_the_controllers_make_pods_of_it(installed: Cluster) -> None:
    wait_until(lambda: len(installed.pods("exporter")) == 2, "two exporters")
    wait_until(lambda: len(installed.pods("webhook")) == 1, "a webhook")
    pods = {one["metadata"]["name"]: one["spec"] for one in installed.pods("exporter") + installed.pods("webhook")}
    exporters = [f"{RELEASE}-exporter-0", f"{RELEASE}-exporter-1"]
    assert sorted(pods)[:2] == exporters
    for name in exporters:
        assert pods[name]["serviceAccountName"] == f"{RELEASE}-exporter"
        assert tokens(pods[name]) == []
        claims = [one["persistentVolumeClaim"]["claimName"] for one in pods[name]["volumes"] if one["name"] == "data"]
        assert claims == [f"data-{name}"]
    [webhook] = [spec for name, spec in pods.items() if name not in exporters]
    assert len(tokens(webhook)) == 1
    assert [one["projected"]["defaultMode"] for one in webhook["volumes"] if one["name"] == "config"] == [0o440]


def tokens(pod: Object) -> list[str]:
    """Return the volumes of a pod with a token of its service account: Kubernetes adds them as it is admitted."""
    folder = "/var/run/secrets/kubernetes.io/serviceaccount"
    return [one["name"] for one in pod["containers"][0]["volumeMounts"] if one["mountPath"] == folder]


def checksum(cluster: Cluster, kind: str) -> str:
    template = only(cluster.objects(), kind)["spec"]["template"]
    return str(template["metadata"]["annotations"]["checksum/config"])


def test_upgrade_rollback_and_uninstall(empty: Cluster) -> None:
    empty.helm("install", RELEASE, CHART, **VALUES)
    before = {kind: checksum(empty, kind) for kind in ("StatefulSet", "Deployment")}
    wait_until(lambda: len(empty.pods("webhook")) == 1, "a webhook")

    other = {"exporter": {"shards": 3, "config": {"presets": ["redis"]}}, "serviceMonitor": {"interval": "1m"}}
    empty.helm("upgrade", RELEASE, CHART, "--reuse-values", **other)
    objects = empty.objects()
    assert checksum(empty, "StatefulSet") != before["StatefulSet"]
    assert checksum(empty, "Deployment") == before["Deployment"]
    assert only(objects, "StatefulSet")["spec"]["replicas"] == 3
    assert yaml.safe_load(only(objects, "ConfigMap", "exporter")["data"]["exporter.yml"])["presets"] == ["redis"]
    monitor = only(objects, "ServiceMonitor", "exporter")
    assert monitor["spec"]["endpoints"][0]["interval"] == "1m"

    database = {"url": "postgresql://a@b/c", "existingSecret": "s"}
    empty.helm("upgrade", RELEASE, CHART, "--reuse-values", webhook={"replicas": 2, "postgresql": database})
    assert only(empty.objects(), "Deployment")["spec"]["strategy"]["type"] == "RollingUpdate"

    empty.helm("rollback", RELEASE, "1")
    objects = empty.objects()
    assert {kind: checksum(empty, kind) for kind in before} == before
    assert only(objects, "StatefulSet")["spec"]["replicas"] == 2
    assert only(objects, "Deployment")["spec"]["strategy"] == {"type": "Recreate"}

    # the record of what was done outlives the release, and is taken up again
    empty.helm("uninstall", RELEASE)
    empty.helm("install", RELEASE, CHART, **VALUES)
    empty.helm("uninstall", RELEASE)
    assert f"{RELEASE}-webhook" in gone(empty)


@pytest.mark.parametrize("path", CI, ids=lambda path: path.name.removesuffix("-values.yaml"))
def test_the_api_server_takes_the_objects_of_each_ci_file(path: Path, empty: Cluster) -> None:
    told = empty.helm("install", "ci", CHART, "--values", path, "--dry-run=server")
    assert "STATUS: pending-install" in told


# Rights

VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "bind", "impersonate")


def granted(namespace: str) -> set[tuple[str, str, str, str]]:
    """Return what the actions of the policies name, as (group, resource, sub-resource, verb)."""
    steps = [item for policy in VALUES["webhook"]["config"]["policies"] for item in policy["actions"]]
    for service in VALUES["webhook"]["actionPolicies"].values():
        steps += [commandline.action(entry["command"]) for entry in service["actions"].values()]
    found = set()
    for name, params in (pair for step in steps for pair in step.items()):
        action = base.load(name)
        for permission in roles.narrowed(action.permissions, action.Params.model_validate(params)):
            is_within = permission.system == roles.NAMESPACED and namespace in ("shop", "bank")
            if permission.system == roles.CLUSTER or is_within:
                group, resource, part = [*permission.resource.split("/"), ""][:3]
                found |= {(group, resource, part, verb) for verb in permission.verbs}
    return found


# what everybody may who is somebody: ask what he may himself
EVERYBODY = {
    ("authorization.k8s.io", "selfsubjectaccessreviews", "", "create"),
    ("authorization.k8s.io", "selfsubjectrulesreviews", "", "create"),
}


def test_the_webhook_may_do_what_its_actions_need_and_nothing_else(installed: Cluster) -> None:
    """Every verb on everything that the server knows: where it acts, in our own namespace, in another, everywhere."""
    user = f"{NAMESPACE}:{RELEASE}-webhook"
    known = [(group, resource, part) for group, resource, part, _ in installed.api.resources()]
    assert len(known) > 60
    spaces = ("shop", NAMESPACE, "kube-system", "")
    asked = [(space, where, verb) for space, where, verb in product(spaces, known, VERBS)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda one: installed.api.may(user, one[2], one[1], one[0]), asked))
    for space in spaces:
        allowed = {
            (*where, verb) for (there, where, verb), yes in zip(asked, answers, strict=True) if yes and there == space
        }
        assert allowed - EVERYBODY == granted(space)
    assert granted("shop") > granted("")
    assert granted("") != set()
    assert ("apps", "deployments", "scale", "update") in granted("shop")


def test_the_exporter_may_do_nothing(installed: Cluster) -> None:
    user = f"{NAMESPACE}:{RELEASE}-exporter"
    for _, resource, part, _ in installed.api.resources():
        for verb in ("get", "create"):
            assert not installed.api.may(user, verb, ("", resource, part), NAMESPACE)


def test_its_own_token_restarts_where_it_may_and_nowhere_else(
    installed: Cluster, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for space in ("shop", "default"):
        installed.api.post(f"/apis/apps/v1/namespaces/{space}/deployments", deployment("web", 2))
    account = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{RELEASE}-webhook"
    token = installed.api.post(f"{account}/token", {"spec": {"audiences": ["https://kubernetes.test"]}})
    own = installed.plane.kubeconfig().read_text().replace(ADMIN, token["status"]["token"])
    (workdir / "kubeconfig").write_text(own)
    use(workdir / "kubeconfig", monkeypatch)
    action = base.load("kubernetes.restart")
    plan = action.plan(Target("web", {}), action.Params(deployment="web", namespace="shop"))
    action.apply(plan, "a-1")
    assert action.probe(plan, "a-1") is base.Probe.APPLIED
    with pytest.raises((PlanError, NotAppliedError), match=r"403|cannot|may not"):
        action.plan(Target("web", {}), action.Params(deployment="web", namespace="default"))
    kubernetes.connect.cache_clear()


# What the containers run


def scored(page: str) -> list[tuple[tuple[str, str], ...]]:
    """Return the labels of every score on a page."""
    return [
        tuple(sorted(sample.labels.items()))
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == "presagio_anomaly_score"
    ]


# of one generation: how we speak to each is tested elsewhere
@pytest.mark.parametrize("generation", ["forky"], indirect=True)
def test_what_the_containers_run_runs(installed: Cluster, prometheus_binary: Path, workdir: Path) -> None:
    """Two shards and a webhook as the cluster has them, beside a real Prometheus; and the pod of `helm test`."""
    addresses = [f"127.0.0.1:{free_port()}" for _ in range(8)]  # nobody is there: `up` is 0
    with Prometheus(prometheus_binary, workdir / "prometheus", [scrape("shop", *addresses)]) as prometheus:
        prometheus.wait_for('count(up{job="shop"}) == 8')
        config = {
            "presets": [], "services": {"id": "{instance}"}, "evaluation": {"interval": "1s", "delay": "1s"},
            "warm_start": {"lookback": "1m"}, "signals": [{"name": "up", "query": "up"}],
        }  # fmt: skip
        values = {"prometheus": {"url": prometheus.url}, "exporter": {"shards": 2, "config": config}}
        installed.helm("upgrade", RELEASE, CHART, "--reuse-values", **values)
        objects = installed.objects()
        names = wait_until(lambda: pod_names(installed, 2), "two exporters")
        with ExitStack() as stack:
            shards = [Pod(objects, "exporter", workdir / name, name) for name in names]
            webhook = Pod(objects, "webhook", workdir / "webhook", "webhook")
            for one in (*shards, webhook):
                one.start()
                stack.callback(one.stop)
            for one in (*shards, webhook):
                one.wait_ready()
            found = wait_until(lambda: all_scored(shards, 8), "a score of each service")
            assert len(set(found)) == len(found)
            services = [{dict(labels)["service_id"] for labels in scored(shard.page())} for shard in shards]
            assert services[0] & services[1] == set()
            assert services[0] | services[1] == set(addresses)
            self_test(installed, RELEASE, {"exporter": shards[0], "webhook": webhook})


def pod_names(cluster: Cluster, count: int) -> list[str]:
    names = sorted(one["metadata"]["name"] for one in cluster.pods("exporter"))
    return names if len(names) == count else []


def all_scored(shards: list[Pod], count: int) -> list[tuple[tuple[str, str], ...]]:
    found = [labels for shard in shards for labels in scored(shard.page())]
    return found if len(found) >= count else []


def test_values_of_ci_are_used() -> None:
    assert [path.name.removesuffix("-values.yaml") for path in CI] == [
        "minimal",
        "postgres",
        "production",
        "secured",
        "sharded",
    ]
    assert all(json.dumps(of(path)) for path in CI)
