"""One deployment's scale as the kubernetes library shows it, without the library: for tests of what we make of it."""

import json
from copy import deepcopy
from types import SimpleNamespace
from typing import Any

from presagio.actions.kubernetes.cluster import Cluster


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
        self.metadata: dict[str, Any] = {}
        self.writes: list[int] = []
        self.fail_read: Exception | None = None
        self.fail_write: Exception | None = None

    def read_namespaced_deployment(self, name: str, namespace: str, **_: Any) -> Any:
        if self.fail_read:
            raise self.fail_read
        metadata = {"name": name, "namespace": namespace, "uid": self.scale.metadata.uid, **self.metadata}
        return SimpleNamespace(data=json.dumps({"metadata": metadata, "spec": {}}))

    def read_namespaced_deployment_scale(self, name: str, namespace: str, **_: Any) -> Any:
        if self.fail_read:
            raise self.fail_read
        return deepcopy(self.scale)

    def replace_namespaced_deployment_scale(
        self, name: str, namespace: str, body: Any, *, dry_run: str | None = None, **_: Any
    ) -> Any:
        if self.fail_write:
            raise self.fail_write
        if dry_run:
            return None
        if body.metadata.resource_version != self.scale.metadata.resource_version:
            raise FakeApiError(409, "Conflict")
        self.writes.append(body.spec.replicas)
        self.scale.spec.replicas = body.spec.replicas
        self.scale.metadata.resource_version = str(int(body.metadata.resource_version) + 1)
        return deepcopy(self.scale)


class FakeAutoscaling:
    """Answers like AutoscalingV1Api: nobody scales anything."""

    def list_namespaced_horizontal_pod_autoscaler(self, namespace: str, **_: Any) -> Any:
        return SimpleNamespace(items=[])


class FakeAuthorization:
    """Answers like AuthorizationV1Api: everything is allowed but what stands in `forbidden`."""

    def __init__(self, *forbidden: str) -> None:
        self.forbidden = forbidden

    def create_self_subject_access_review(self, body: Any, **_: Any) -> Any:
        asked = body["spec"]["resourceAttributes"]
        allowed = f"{asked['verb']} {asked['resource']}/{asked['subresource']}" not in self.forbidden
        return SimpleNamespace(status=SimpleNamespace(allowed=allowed))


def fake_cluster(apps: FakeApps, *forbidden: str) -> Cluster:
    """Return a cluster of these."""
    return Cluster(apps, "default", autoscaling=FakeAutoscaling(), authorization=FakeAuthorization(*forbidden))
