"""One deployment's scale as the kubernetes library shows it, without the library: for tests of what we make of it."""

from copy import deepcopy
from types import SimpleNamespace
from typing import Any


class FakeApiError(Exception):
    """As the library's ApiException: a status and a reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"({status}) {reason}")
        self.status = status
        self.reason = reason


class FakeApps:
    """Answers like AppsV1Api for one deployment; `fail_read` and `fail_write` are raised instead, once set."""

    def __init__(self, replicas: int, uid: str = "uid-1") -> None:
        self.scale = SimpleNamespace(
            metadata=SimpleNamespace(uid=uid, resource_version="100"),
            spec=SimpleNamespace(replicas=replicas),
            status=SimpleNamespace(replicas=replicas),
        )
        self.writes: list[int] = []
        self.fail_read: Exception | None = None
        self.fail_write: Exception | None = None

    def read_namespaced_deployment_scale(self, name: str, namespace: str, **_: Any) -> Any:
        if self.fail_read:
            raise self.fail_read
        return deepcopy(self.scale)

    def replace_namespaced_deployment_scale(self, name: str, namespace: str, body: Any, **_: Any) -> Any:
        if self.fail_write:
            raise self.fail_write
        if body.metadata.resource_version != self.scale.metadata.resource_version:
            raise FakeApiError(409, "Conflict")
        self.writes.append(body.spec.replicas)
        self.scale.spec.replicas = body.spec.replicas
        self.scale.metadata.resource_version = str(int(body.metadata.resource_version) + 1)
        return deepcopy(self.scale)
