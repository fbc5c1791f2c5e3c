"""A real Kubernetes control plane without nodes: etcd, kube-apiserver, kube-controller-manager.

Deployments make ReplicaSets make Pods, and RBAC decides; no kubelet runs the pods. The binaries are in the folder
that KUBEBUILDER_ASSETS names; `.ci/control-plane` unpacks them and prints it.
"""

import contextlib
import os
import ssl
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest
import yaml
from absence import absent
from servers import LOOPBACK, Process, Ready, answers_http, free_port, wait_until

from presagio.actions.kubernetes import cluster

ADMIN = "admin-token"
USER = "presagio-token"
USER_NAME = "presagio"

_PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager")


def assets() -> Path:
    """Return the folder of the binaries; without it skip the running test, or fail it in CI."""
    folder = Path(os.environ.get("KUBEBUILDER_ASSETS", ""))
    if os.environ.get("KUBEBUILDER_ASSETS") and all((folder / name).is_file() for name in _PROGRAMS):
        return folder
    reason = f"no {', '.join(_PROGRAMS)}; export KUBEBUILDER_ASSETS=$(.ci/control-plane)"
    return absent(reason)


class ControlPlane:
    """Three processes on free loopback ports, started in order and ended in reverse."""

    def __init__(self, folder: Path, workdir: Path) -> None:
        self.folder = folder
        self.workdir = workdir
        self.url = f"https://{LOOPBACK}:{free_port()}"
        self._etcd_url = f"http://{LOOPBACK}:{free_port()}"
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self.workdir.mkdir(parents=True, exist_ok=True)
        with self._stack:
            for process in self._processes():
                self._stack.enter_context(process)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def kubeconfig(self, token: str = ADMIN, namespace: str = "default") -> Path:
        """Write a kubeconfig file for one of the tokens and return its path."""
        path = self.workdir / f"{token}-{namespace}.kubeconfig"
        cluster = {"server": self.url, "insecure-skip-tls-verify": True}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": namespace}}],
            "current-context": "test",
        }
        path.write_text(yaml.safe_dump(document))
        return path

    def _processes(self) -> Iterator[Process]:
        yield self._etcd()
        yield self._apiserver()
        yield self._controllers()

    def _etcd(self) -> Process:
        # The peer port speaks TLS only so that etcd makes a key: it signs service accounts, and nobody needs openssl.
        peer = f"https://{LOOPBACK}:{free_port()}"
        argv: list[str | Path] = [
            self.folder / "etcd", "--data-dir", self._etcd_data, "--peer-auto-tls", "--unsafe-no-fsync",
            f"--listen-client-urls={self._etcd_url}", f"--advertise-client-urls={self._etcd_url}",
            f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
        ]  # fmt: skip
        return Process(argv, self.workdir, ready=answers_http(f"{self._etcd_url}/health"))

    def _apiserver(self) -> Process:
        tokens = self.workdir / "tokens.csv"
        tokens.write_text(f"{ADMIN},admin,1,system:masters\n{USER},{USER_NAME},2\n")
        argv: list[str | Path] = [
            self.folder / "kube-apiserver", f"--etcd-servers={self._etcd_url}",
            f"--bind-address={LOOPBACK}", f"--secure-port={self.url.rpartition(':')[2]}",
            f"--cert-dir={self.workdir / 'certificates'}", f"--service-account-key-file={self._key}",
            f"--service-account-signing-key-file={self._key}", "--service-account-issuer=https://kubernetes.test",
            "--service-cluster-ip-range=10.0.0.0/24", f"--token-auth-file={tokens}", "--authorization-mode=RBAC",
        ]  # fmt: skip
        return Process(argv, self.workdir, ready=_answers(f"{self.url}/readyz"), deadline=60.0)

    def _controllers(self) -> Process:
        argv: list[str | Path] = [
            self.folder / "kube-controller-manager", f"--kubeconfig={self.kubeconfig()}", "--leader-elect=false",
            f"--service-account-private-key-file={self._key}", "--controllers=*,-nodeipam", "--secure-port=0",
            "--port=0",
        ]  # fmt: skip
        return Process(argv, self.workdir)

    @property
    def _etcd_data(self) -> Path:
        return self.workdir.absolute() / "etcd"

    @property
    def _key(self) -> Path:
        return self._etcd_data / "fixtures" / "peer" / "key.pem"


def _answers(url: str) -> Ready:
    """Ready when `url` answers 200 to the administrator, whatever its certificate."""
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {ADMIN}"})
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trusting)
    )

    def ready(_: Process) -> bool:
        with contextlib.suppress(OSError), opener.open(request, timeout=2.0) as answer:
            return bool(answer.status == 200)
        return False

    return ready


def use(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the actions of this test speak to the cluster that a kubeconfig names."""
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    # the library reads the variable once, at its import
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(kubeconfig))
    cluster.connect.cache_clear()


def deployment(name: str, replicas: int) -> dict[str, object]:
    """Return a deployment of a container that no kubelet will ever run."""
    labels = {"app": name}
    pod = {"containers": [{"name": "main", "image": "registry.test/none"}]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"metadata": {"name": name}, "spec": spec}


def make_ready(apps: Any, name: str, replicas: int) -> None:
    """Do what a kubelet would: say of each pod that it is ready, until the deployment has so many."""
    from kubernetes.client import CoreV1Api

    core: Any = CoreV1Api(apps.api_client)
    conditions = [{"type": "Ready", "status": "True"}]

    def all_ready() -> bool:
        pods: list[Any] = core.list_namespaced_pod("default", label_selector=f"app={name}").items
        for pod in pods:
            status = {"status": {"phase": "Running", "conditions": conditions}}
            core.patch_namespaced_pod_status(pod.metadata.name, "default", status)
        return bool(apps.read_namespaced_deployment(name, "default").status.ready_replicas == replicas)

    wait_until(all_ready, f"{replicas} pods of {name}")
