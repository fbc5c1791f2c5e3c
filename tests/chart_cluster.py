"""A control plane with the operator's definitions, as helm and the tests of the chart see it."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import requests
from controlplane import ADMIN, ControlPlane
from helm_chart import NAMESPACE, Object, helm, kinds
from servers import wait_until

MONITORING = "/apis/monitoring.coreos.com/v1"


class Api:
    """The API server, asked as the administrator."""

    def __init__(self, plane: ControlPlane) -> None:
        self.url = plane.url
        self.session = requests.Session()
        self.session.verify, self.session.trust_env = False, False
        self.session.headers["Authorization"] = f"Bearer {ADMIN}"

    def get(self, path: str) -> Any:
        answer = self.session.get(self.url + path, timeout=10)
        return None if answer.status_code == 404 else answer.json()

    def items(self, path: str) -> list[Any]:
        answer = self.session.get(self.url + path, timeout=10, params={"labelSelector": "app.kubernetes.io/name"})
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])

    def post(self, path: str, body: Any) -> Any:
        answer = self.session.post(self.url + path, json=body, timeout=10)
        assert answer.status_code in (200, 201, 409), answer.text
        return answer.json()

    def may(self, user: str, verb: str, where: tuple[str, str, str], namespace: str) -> bool:
        """Ask for an access review of a service account, NAMESPACE:NAME, for (group, resource, sub-resource)."""
        group, resource, part = where
        attributes = {"verb": verb, "group": group, "resource": resource, "subresource": part, "namespace": namespace}
        space = user.partition(":")[0]
        groups = ["system:authenticated", "system:serviceaccounts", f"system:serviceaccounts:{space}"]
        spec = {"user": f"system:serviceaccount:{user}", "groups": groups, "resourceAttributes": attributes}
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        return bool(self.post(path, {"spec": spec})["status"]["allowed"])

    def resources(self) -> Iterator[tuple[str, str, str, bool]]:
        """Yield group, resource, sub-resource of all that the server knows, and whether it is in a namespace."""
        versions = [each["preferredVersion"]["groupVersion"] for each in self.get("/apis")["groups"]]
        for version in ("v1", *versions):
            group = version.rpartition("/")[0]
            for one in self.get(f"/apis/{version}" if group else "/api/v1")["resources"]:
                resource, _, part = one["name"].partition("/")
                yield group, resource, part, one["namespaced"]


def definition(kind: str, plural: str, spec: Mapping[str, Any]) -> Object:
    """Return a custom resource definition of the operator's, as small as can be; what it does not know is dropped."""
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": spec}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.monitoring.coreos.com"},
        "spec": {
            "group": "monitoring.coreos.com", "scope": "Namespaced", "versions": [version],
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
        },
    }  # fmt: skip


TEXT = {"type": "string"}
TEXTS = {"type": "object", "additionalProperties": TEXT}
SELECTOR = {"type": "object", "properties": {"matchLabels": TEXTS}}
FLAG = {"type": "boolean"}


def required(**properties: Any) -> Object:
    return {"type": "object", "required": list(properties), "properties": properties}


KEY = required(name=TEXT, key=TEXT)
EITHER = {"type": "object", "properties": {"secret": KEY, "configMap": KEY}}
TLS = {"ca": EITHER, "cert": EITHER, "keySecret": KEY, "serverName": TEXT, "insecureSkipVerify": FLAG}
ENDPOINT = dict.fromkeys(("port", "path", "interval", "scrapeTimeout"), TEXT) | {
    "honorLabels": FLAG,
    "scheme": {"type": "string", "enum": ["http", "https"]},
    "tlsConfig": {"type": "object", "properties": TLS},
    "basicAuth": required(username=KEY, password=KEY),
}
RULE = dict.fromkeys(("alert", "record", "expr", "for", "keep_firing_for"), TEXT) | {
    "labels": TEXTS,
    "annotations": TEXTS,
}
GROUP = {"name": TEXT, "interval": TEXT, "rules": {"type": "array", "items": {"type": "object", "properties": RULE}}}
DEFINITIONS = (
    definition("ServiceMonitor", "servicemonitors", {
        "jobLabel": TEXT, "selector": SELECTOR,
        "endpoints": {"type": "array", "items": {"type": "object", "properties": ENDPOINT}},
    }),
    definition("PrometheusRule", "prometheusrules", {
        "groups": {"type": "array", "items": {"type": "object", "properties": GROUP}},
    }),
)  # fmt: skip


class Cluster:
    """The control plane as helm sees it."""

    def __init__(self, plane: ControlPlane, folder: Path) -> None:
        self.plane = plane
        self.api = Api(plane)
        homes = {f"HELM_{name}_HOME": str(folder / name) for name in ("CACHE", "CONFIG", "DATA")}
        self.env = {"KUBECONFIG": str(plane.kubeconfig()), **homes}

    def helm(self, *words: str | Path, **values: Any) -> str:
        answer = helm(*words, "--namespace", NAMESPACE, env=self.env, **values)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    def objects(self) -> list[Object]:
        """Return the objects of the release as the server has them, with the kinds that a list leaves out."""
        paths = {
            "ConfigMap": "/api/v1/configmaps", "Service": "/api/v1/services",
            "ServiceAccount": "/api/v1/serviceaccounts", "PersistentVolumeClaim": "/api/v1/persistentvolumeclaims",
            "StatefulSet": "/apis/apps/v1/statefulsets", "Deployment": "/apis/apps/v1/deployments",
            "Role": "/apis/rbac.authorization.k8s.io/v1/roles",
            "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/rolebindings",
            "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
            "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
            "NetworkPolicy": "/apis/networking.k8s.io/v1/networkpolicies",
            "Ingress": "/apis/networking.k8s.io/v1/ingresses",
            "PodDisruptionBudget": "/apis/policy/v1beta1/poddisruptionbudgets",
            "ServiceMonitor": f"{MONITORING}/servicemonitors", "PrometheusRule": f"{MONITORING}/prometheusrules",
        }  # fmt: skip
        return [{**one, "kind": kind} for kind, path in paths.items() for one in self.api.items(path)]

    def delete(self, path: str) -> None:
        """Delete an object by its path."""
        self.api.session.delete(self.api.url + path, timeout=10)

    def pods(self, component: str) -> list[Any]:
        found = self.api.items(f"/api/v1/namespaces/{NAMESPACE}/pods")
        return [one for one in found if one["metadata"]["labels"]["app.kubernetes.io/component"] == component]


def prepared(plane: ControlPlane, folder: Path) -> Cluster:
    """Return a cluster that has the operator's definitions and some namespaces; helm keeps its own in `folder`."""
    cluster = Cluster(plane, folder)
    for one in DEFINITIONS:
        cluster.api.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", one)
    for name in (NAMESPACE, "shop", "bank"):
        cluster.api.post("/api/v1/namespaces", {"metadata": {"name": name}})
    for plural in ("servicemonitors", "prometheusrules"):
        wait_until(partial(cluster.api.get, f"{MONITORING}/{plural}"), f"the definition of {plural}")
    return cluster


def gone(cluster: Cluster) -> set[str]:
    """Wait for the end of a release, and return the claims that outlived it; here they are deleted."""
    kept = ("PersistentVolumeClaim",)
    wait_until(lambda: {one["kind"] for one in cluster.objects()} <= set(kept), "the end of the release")
    claims = {one["metadata"]["name"] for one in kinds(cluster.objects(), *kept)}
    for name in claims:
        cluster.delete(f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims/{name}")
    wait_until(lambda: not cluster.objects(), "the end of its claims")
    return claims
