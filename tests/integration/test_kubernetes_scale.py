"""kubernetes.scale_by against a real control plane."""

import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from controlplane import ControlPlane, deployment, use
from urllib3.exceptions import ReadTimeoutError

from presagio.actions.base import NotAppliedError, Plan, PlanError, Probe, Target, UnknownOutcomeError
from presagio.actions.kubernetes import cluster as kubernetes
from presagio.actions.kubernetes.scale import ScaleBy, ScaleByParams, read, write
from presagio.actions.kubernetes.workloads import Workload

pytestmark = [
    pytest.mark.servers,
    # the test's API server signs its own certificate
    pytest.mark.filterwarnings("ignore:Unverified HTTPS request"),
]

THIS = Workload(kind="deployment", namespace="default", name="web", uid="any")
TARGET = Target("web", {"deployment": "web"})


@pytest.fixture
def apps(control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """As the administrator; a deployment `web` of 3 replicas is there."""
    use(control_plane.kubeconfig(), monkeypatch)
    apps = kubernetes.connect().apps
    apps.create_namespaced_deployment("default", deployment("web", 3))
    yield apps
    apps.delete_namespaced_deployment("web", "default", propagation_policy="Background")
    kubernetes.connect.cache_clear()


def client() -> Any:
    return import_module("kubernetes.client")


def pods(apps: Any) -> int:
    core = client().CoreV1Api(apps.api_client)
    found = core.list_namespaced_pod("default", label_selector="app=web")
    return sum(pod.metadata.deletion_timestamp is None for pod in found.items)


def wait_for_pods(apps: Any, wanted: int) -> None:
    end = time.monotonic() + 30
    while pods(apps) != wanted:
        assert time.monotonic() < end, f"{pods(apps)} pods, not {wanted}"
        time.sleep(0.2)


def replicas(apps: Any) -> int:
    return int(apps.read_namespaced_deployment("web", "default").spec.replicas)


def planned(by: int = 2, **params: Any) -> Plan:
    return ScaleBy().plan(TARGET, ScaleByParams(by=by, **params))


def test_scales_up_and_back(apps: Any) -> None:
    wait_for_pods(apps, 3)
    plan = planned(by=2)
    assert plan.summary == "scale deployment default/web from 3 to 5 replicas"
    assert ScaleBy().probe(plan, "a-1") is Probe.NOT_APPLIED

    evidence = ScaleBy().apply(plan, "a-1")
    assert evidence.summary == "deployment default/web was set to 5 replicas"
    assert ScaleBy().probe(plan, "a-1") is Probe.APPLIED
    wait_for_pods(apps, 5)

    assert ScaleBy().undo(plan).summary == "deployment default/web was set to 3 replicas"
    wait_for_pods(apps, 3)


def test_applying_twice_scales_once(apps: Any) -> None:
    plan = planned(by=1)
    ScaleBy().apply(plan, "a-1")
    assert ScaleBy().apply(plan, "a-1").summary == "deployment default/web already has 4 replicas"
    assert replicas(apps) == 4


def test_a_change_by_someone_else_is_respected(apps: Any) -> None:
    plan = planned(by=1)
    apps.patch_namespaced_deployment_scale("web", "default", {"spec": {"replicas": 7}})
    with pytest.raises(NotAppliedError, match="has 7 replicas, not 3: someone else changed it"):
        ScaleBy().apply(plan, "a-1")
    assert ScaleBy().probe(plan, "a-1") is Probe.UNKNOWN
    with pytest.raises(NotAppliedError, match="has 7 replicas, not 4"):
        ScaleBy().undo(plan)
    assert replicas(apps) == 7


def test_a_stale_resource_version_is_a_conflict(apps: Any) -> None:
    cluster = kubernetes.connect()
    stale = read(cluster, THIS)
    apps.patch_namespaced_deployment_scale("web", "default", {"spec": {"replicas": 6}})
    stale.spec.replicas = 4
    with pytest.raises(NotAppliedError, match="409 Conflict"):
        write(cluster, THIS, stale)
    assert replicas(apps) == 6


def test_the_same_name_with_a_new_uid_is_another_deployment(apps: Any) -> None:
    plan = planned(by=1)
    apps.delete_namespaced_deployment("web", "default", propagation_policy="Background")
    apps.create_namespaced_deployment("default", deployment("web", 3))
    with pytest.raises(NotAppliedError, match="was deleted and made anew"):
        ScaleBy().apply(plan, "a-1")
    assert ScaleBy().probe(plan, "a-1") is Probe.UNKNOWN
    assert replicas(apps) == 3


def test_bounds(apps: Any) -> None:
    with pytest.raises(PlanError, match="has 3 replicas; 5 would be more than max: 4"):
        planned(by=2, max=4)
    with pytest.raises(PlanError, match="has 3 replicas; 0 would be fewer than min: 1"):
        planned(by=-3)


def test_no_such_deployment(apps: Any) -> None:
    with pytest.raises(NotAppliedError, match="deployment default/absent cannot be read: 404 Not Found"):
        planned(deployment="absent")


def test_the_namespace_is_the_contexts_own(
    apps: Any, control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(control_plane.kubeconfig(namespace="elsewhere"), monkeypatch)
    with pytest.raises(NotAppliedError, match="deployment elsewhere/web cannot be read: 404"):
        planned()


def test_an_api_server_that_is_gone(
    apps: Any, control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plan = planned(by=1)
    found = read(kubernetes.connect(), THIS)
    gone = tmp_path / "kubeconfig"
    gone.write_text(control_plane.kubeconfig().read_text().replace(control_plane.url, "https://127.0.0.1:1"))
    use(gone, monkeypatch)
    with pytest.raises(NotAppliedError, match=r"was not changed: .*Connection refused"):
        write(kubernetes.connect(), THIS, found)
    assert ScaleBy().probe(plan, "a-1") is Probe.UNKNOWN


def test_an_answer_lost_after_the_effect_is_found_by_the_probe(apps: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    write = apps.replace_namespaced_deployment_scale

    def then_silence(*arguments: Any, **keywords: Any) -> None:
        write(*arguments, **keywords)
        raise ReadTimeoutError(apps.api_client.rest_client.pool_manager, "/scale", "read timed out")

    plan = planned(by=1)
    monkeypatch.setattr(apps, "replace_namespaced_deployment_scale", then_silence)
    with pytest.raises(
        UnknownOutcomeError, match=r"deployment default/web may have been changed or not: .*read timed out"
    ):
        ScaleBy().apply(plan, "a-1")
    assert ScaleBy().probe(plan, "a-1") is Probe.APPLIED
