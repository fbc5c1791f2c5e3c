"""Pods, nodes and Jobs as the kubernetes library shows them, without the library. Whatever is asked for is there."""

from types import SimpleNamespace as Thing
from typing import Any

from fake_kubernetes import FakeApiError

READY = Thing(conditions=[Thing(type="Ready", status="True")])


def _meta(name: str, namespace: str | None = None) -> Thing:
    owners = [Thing(kind="Owner", name="owner", controller=True)]
    return Thing(
        name=name, namespace=namespace, uid=f"uid-{name}", resource_version="100", labels={}, annotations={},
        owner_references=owners, deletion_timestamp=None,
    )  # fmt: skip


class FakeCore:
    """Answers like CoreV1Api; `fail` is raised instead, once set. `asked` are the names in the last call."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.gone: list[str] = []
        self.cordons: dict[str, str] = {}
        self.fail: Exception | None = None

    def _ask(self, *names: str) -> None:
        self.asked = list(names)
        if self.fail:
            raise self.fail

    def read_namespaced_pod(self, name: str, namespace: str, **_: Any) -> Any:
        self._ask(name, namespace)
        if name in self.gone:
            raise FakeApiError(404, "Not Found")
        return Thing(metadata=_meta(name, namespace), status=READY)

    def delete_namespaced_pod(self, name: str, namespace: str, *, body: Any, **_: Any) -> None:
        self._ask(name, namespace)
        if "dryRun" not in body:
            self.gone.append(name)

    def create_namespaced_pod_eviction(self, name: str, namespace: str, body: Any, **_: Any) -> None:
        self.delete_namespaced_pod(name, namespace, body=body["deleteOptions"])

    def get_api_resources(self, **_: Any) -> Any:
        return Thing(resources=[Thing(name="pods/eviction", version="v1")])

    def read_node(self, name: str, **_: Any) -> Any:
        self._ask(name)
        meta = _meta(name)
        meta.annotations = {"presagio/cordoned": self.cordons.get(name)}
        return Thing(metadata=meta, spec=Thing(unschedulable=name in self.cordons), status=READY)

    def list_node(self, **_: Any) -> Any:
        return Thing(items=[self.read_node(name) for name in ("first", "second")])

    def patch_node(self, name: str, body: Any, **_: Any) -> None:
        self._ask(name)
        mark = body["metadata"]["annotations"]["presagio/cordoned"]
        self.cordons.pop(name, None)
        if body["spec"]["unschedulable"]:
            self.cordons[name] = mark

    def list_pod_for_all_namespaces(self, *, field_selector: str, **_: Any) -> Any:
        self._ask(field_selector.removeprefix("spec.nodeName="))
        return Thing(items=[])


class FakeBatch:
    """Answers like BatchV1Api; each Job completes at once."""

    def __init__(self) -> None:
        self.jobs: dict[str, Any] = {}
        self.fail: Exception | None = None

    def create_namespaced_job(self, namespace: str, body: Any, *, dry_run: str | None = None, **_: Any) -> None:
        if self.fail:
            raise self.fail
        if dry_run is None:
            self.jobs[body["metadata"]["name"]] = {**body, "namespace": namespace}

    def read_namespaced_job(self, name: str, namespace: str, **_: Any) -> Any:
        if self.fail or name not in self.jobs:
            raise self.fail or FakeApiError(404, "Not Found")
        return Thing(status=Thing(conditions=[Thing(type="Complete", status="True")]))
