"""A kubelet for tests: every pod of a real control plane is a real process of this machine.

No container, no node: the command of a pod's first container runs as it stands, `$(PORT)` in it is a free port of the
loopback. When a pod is gone, its process is ended. Prometheus is told of all that run by a file.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Self

from servers import LOOPBACK, Process, answers_http, free_port

NAMESPACE = "default"
READY = [{"type": kind, "status": "True"} for kind in ("Initialized", "ContainersReady", "Ready", "PodScheduled")]


class Kubelet:
    """A thread of its own: what it starts ends with it."""

    def __init__(self, core: Any, folder: Path) -> None:
        self.core = core
        self.folder = folder
        self.targets = folder / "targets.json"
        self.running: dict[str, Pod] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kubelet")

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.targets.write_text("[]")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def urls(self, app: str) -> list[str]:
        """Return where the ready pods of a deployment answer."""
        return [pod.url for pod in list(self.running.values()) if pod.app == app and pod.ready]

    def scrape(self, job: str) -> dict[str, Any]:
        """Return the scrape configuration of all pods."""
        return {"job_name": job, "file_sd_configs": [{"files": [str(self.targets)], "refresh_interval": "1s"}]}

    def _run(self) -> None:
        try:
            while not self._stop.wait(0.2):
                # the control plane may be busy; the next look is soon
                with contextlib.suppress(_api_error()):
                    self._sync()
        finally:
            for pod in self.running.values():
                pod.process.stop()

    def _sync(self) -> None:
        there = {pod.metadata.uid: pod for pod in self.core.list_namespaced_pod(NAMESPACE).items}
        for uid in self.running.keys() - there.keys():
            self.running.pop(uid).process.stop(grace=2)
        for uid, pod in there.items():
            if uid not in self.running:
                self.running[uid] = Pod(pod, self.folder)
            self.running[uid].report(self.core)
        self._tell_prometheus()

    def _tell_prometheus(self) -> None:
        groups = [
            {"targets": [pod.url.removeprefix("http://")], "labels": {"app": pod.app, "pod": pod.name}}
            for pod in self.running.values()
            if pod.ready
        ]
        text = json.dumps(groups)
        if text != self.targets.read_text():
            fresh = self.targets.with_suffix(".new")
            fresh.write_text(text)
            fresh.replace(self.targets)


class Pod:
    """A pod as a process, and whether the control plane was told that it is ready."""

    def __init__(self, pod: Any, folder: Path) -> None:
        port = free_port()
        self.name, self.app = pod.metadata.name, pod.metadata.labels["app"]
        self.url = f"http://{LOOPBACK}:{port}"
        self.ready = False
        command = [word.replace("$(PORT)", str(port)) for word in pod.spec.containers[0].command]
        self.answers: Callable[[Process], bool] = answers_http(f"{self.url}/metrics")
        self.process = Process(command, folder / self.name, name="pod")
        self.process.start()

    def report(self, core: Any) -> None:
        """Tell the control plane once it answers."""
        if self.ready or not self.answers(self.process):
            return
        status = {"phase": "Running", "conditions": READY, "podIP": LOOPBACK}
        core.patch_namespaced_pod_status(self.name, NAMESPACE, {"status": status})
        self.ready = True


def deployment(name: str, command: list[str]) -> dict[str, Any]:
    """Return a deployment of one pod that runs a command."""
    labels = {"app": name}
    pod = {"containers": [{"name": "main", "image": "registry.test/none", "command": command}]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    return {
        "metadata": {"name": name},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
    }


def _api_error() -> type[Exception]:
    kind: type[Exception] = import_module("kubernetes.client").ApiException
    return kind
