"""The chart with web configuration files, on a real control plane: probes, scrapes, `helm test` over TLS.

The exporter wants client certificates, the webhook users. A real Prometheus scrapes both as the ServiceMonitors say.
"""

from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from authority import Authority
from chart_cluster import Cluster, gone, prepared
from chart_pod import Pod, Secrets, presagio, self_test
from controlplane import ControlPlane
from helm_chart import CHART, NAMESPACE, Object, only
from servers import Prometheus, scrape

pytestmark = [
    pytest.mark.servers,
    # the test's API server signs its own certificate
    pytest.mark.filterwarnings("ignore:Unverified HTTPS request"),
]

RELEASE = "presagio-secured"
NAMES = [f"{RELEASE}-{component}.{NAMESPACE}" for component in ("exporter", "webhook")]
TLS = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n"
CLIENTS = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n"
CA = {"ca": {"secret": {"name": "authority", "key": "ca.pem"}}}
CERTIFICATE = {
    "cert": {"secret": {"name": "client", "key": "tls.crt"}},
    "keySecret": {"name": "client", "key": "tls.key"},
}
USER = {"username": {"name": "user", "key": "name"}, "password": {"name": "user", "key": "word"}}


def values(prometheus: str) -> Mapping[str, Any]:
    return {
        "prometheus": {"url": prometheus},
        "exporter": {
            "webConfig": {"existingSecret": "exporter-web", "tlsConfig": {**CA, **CERTIFICATE}},
            "config": {
                "presets": [], "services": {"id": "{instance}"}, "warm_start": {"lookback": "1m"},
                "signals": [{"name": "up", "query": "up"}],
            },
        },
        "webhook": {
            "webConfig": {"existingSecret": "webhook-web", "key": "users.yml", "tlsConfig": CA, "basicAuth": USER},
            "config": {"policies": [], "api": {"users": {"alertmanager": ["operate"]}}},
        },
    }  # fmt: skip


def secrets(folder: Path) -> Secrets:
    """Return what is in the Secrets; `folder` gets files of an authority."""
    authority = Authority(folder, "127.0.0.1", *NAMES)
    server = {name: (folder / name).read_text() for name in ("ca.pem", "server.pem", "server.key")}
    cert, key = authority.client()
    word = bcrypt.hashpw(b"open sesame", bcrypt.gensalt(4)).decode()
    return {
        "exporter-web": {"web.yml": TLS + CLIENTS, **server},
        "webhook-web": {"users.yml": f"{TLS}basic_auth_users: {{prometheus: '{word}'}}\n", **server},
        "authority": {"ca.pem": server["ca.pem"]},
        "client": {"tls.crt": Path(cert).read_text(), "tls.key": Path(key).read_text()},
        "user": {"name": "prometheus", "word": "open sesame"},
    }


@pytest.fixture
def cluster(control_plane: ControlPlane, workdir: Path) -> Iterator[Cluster]:
    """A cluster with the Secrets."""
    made = prepared(control_plane, workdir / "helm")
    path = f"/api/v1/namespaces/{NAMESPACE}/secrets"
    (workdir / "authority").mkdir()
    wanted = secrets(workdir / "authority")
    for name, data in wanted.items():
        made.api.post(path, {"metadata": {"name": name}, "stringData": data})
    yield made
    for name in wanted:
        made.delete(f"{path}/{name}")


def stored(cluster: Cluster) -> Secrets:
    """Return all Secrets as the server has them."""
    found = cluster.api.get(f"/api/v1/namespaces/{NAMESPACE}/secrets")["items"]
    return {
        one["metadata"]["name"]: {key: b64decode(text).decode() for key, text in one.get("data", {}).items()}
        for one in found
    }


def scraping(monitor: Object, port: int, known: Secrets, folder: Path) -> dict[str, Any]:
    """Return what the operator makes of a monitor's endpoint."""
    [endpoint] = monitor["spec"]["endpoints"]
    folder.mkdir()

    def file(name: str, reference: Mapping[str, str]) -> str:
        (folder / name).write_text(known[reference["name"]][reference["key"]])
        return str(folder / name)

    tls = endpoint["tlsConfig"]
    made: dict[str, Any] = {"ca_file": file("ca", tls["ca"]["secret"]), "server_name": tls["serverName"]}
    if "cert" in tls:
        made |= {"cert_file": file("cert", tls["cert"]["secret"]), "key_file": file("key", tls["keySecret"])}
    options: dict[str, Any] = {"scheme": endpoint["scheme"], "tls_config": made}
    if user := endpoint.get("basicAuth"):
        word = file("word", user["password"])
        options["basic_auth"] = {
            "username": known[user["username"]["name"]][user["username"]["key"]],
            "password_file": word,
        }
    return scrape(monitor["metadata"]["name"], f"127.0.0.1:{port}", metrics_path=endpoint["path"], **options)


def test_probes_scrapes_and_the_self_test_work_with_tls_and_users(
    cluster: Cluster, prometheus_binary: Path, workdir: Path
) -> None:
    with ExitStack() as stack:
        prometheus = Prometheus(prometheus_binary, workdir / "prometheus")
        cluster.helm("install", RELEASE, CHART, **values(prometheus.url))
        stack.callback(gone, cluster)
        stack.callback(cluster.helm, "uninstall", RELEASE)
        objects, known = cluster.objects(), stored(cluster)
        pods = {
            component: Pod(objects, component, workdir / component, f"{component}-0", known)
            for component in ("exporter", "webhook")
        }
        jobs = [
            scraping(only(objects, "ServiceMonitor", component), pod.port, known, workdir / f"scrape-{component}")
            for component, pod in pods.items()
        ]
        prometheus.config["scrape_configs"] = jobs
        stack.enter_context(prometheus)
        for pod in pods.values():
            stack.enter_context(pod)
        for pod in pods.values():
            assert [pod.probe(name) for name in ("startup", "liveness", "readiness")] == [True] * 3
            # whoever shows nothing is not let in
            assert presagio("healthcheck", "--insecure", f"{pod.url}/-/healthy").returncode == 1
        prometheus.wait_for(f'count(up{{job=~"{RELEASE}-(exporter|webhook)"}} == 1) == 2')
        self_test(cluster, RELEASE, pods, known)
