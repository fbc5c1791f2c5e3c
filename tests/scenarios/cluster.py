"""A Kubernetes cluster whose pods are processes of this machine: where the leak and the latency take place."""

from __future__ import annotations

import contextlib
import random
import sys
import threading
import urllib.request
from importlib import import_module
from pathlib import Path
from typing import Any

from controlplane import ControlPlane, assets
from kubelet import NAMESPACE, Kubelet, deployment

POD = Path(__file__).with_name("pod.py")

_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Cluster:
    """A control plane and its kubelet."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self.folder = folder
        self.plane = stack.enter_context(ControlPlane(assets(), folder / "controlplane"))
        config: Any = import_module("kubernetes.config")
        api = config.new_client_from_config(str(self.plane.kubeconfig()))
        client: Any = import_module("kubernetes.client")
        self.apps = client.AppsV1Api(api)
        self.kubelet = stack.enter_context(Kubelet(client.CoreV1Api(api), folder / "pods"))

    def deploy(self, *names: str) -> None:
        """Make deployments of one pod each."""
        for name in names:
            command = [sys.executable, str(POD), "$(PORT)", str(self.slow(name))]
            self.apps.create_namespaced_deployment(NAMESPACE, deployment(name, command))

    def slow(self, name: str) -> Path:
        """Return the file that makes the requests of a deployment slow while it is there."""
        return self.folder / f"slow-{name}"

    def replicas(self, name: str) -> int:
        """Return how many pods a deployment shall have."""
        return int(self.apps.read_namespaced_deployment(name, NAMESPACE).spec.replicas)


class Customers:
    """Each asks one of the pods, waits for the answer, pauses for a tenth of a second, and asks again."""

    def __init__(self, kubelet: Kubelet, app: str) -> None:
        self.kubelet, self.app = kubelet, app
        self._gone = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Customers:
        return self

    def __exit__(self, *_: object) -> None:
        self._gone.set()
        for thread in self._threads:
            thread.join()

    def come(self, count: int) -> None:
        """Let so many more come."""
        for _ in range(count):
            self._threads.append(threading.Thread(target=self._buy))
            self._threads[-1].start()

    def _buy(self) -> None:
        while not self._gone.wait(0.1):
            pods = self.kubelet.urls(self.app)
            if not pods:
                continue
            # a pod that was just ended answers nobody
            with contextlib.suppress(OSError), _opener.open(f"{random.choice(pods)}/work", timeout=10) as answer:
                answer.read()
