"""scale_by without a cluster: what each answer of the library means. tests/integration has the real control plane."""

import json
import subprocess
import sys
from typing import Any

import pytest
from fake_kubernetes import FakeApiError, FakeApps, fake_cluster
from pydantic import ValidationError
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection
from urllib3.exceptions import MaxRetryError, NewConnectionError, ProtocolError, ReadTimeoutError

from presagio.actions.base import NotAppliedError, Plan, PlanError, Probe, Target, UnknownOutcomeError, restored
from presagio.actions.kubernetes import cluster as kubernetes
from presagio.actions.kubernetes.scale import ScaleBy, ScaleByParams

TARGET = Target("web", {"deployment": "web", "namespace": "shop", "evil": "web/scale?dryRun=All"})


def scale_by(apps: FakeApps) -> ScaleBy:
    return ScaleBy(fake_cluster(apps))


def planned(apps: FakeApps, **params: Any) -> Plan:
    return scale_by(apps).plan(TARGET, ScaleByParams.model_validate({"by": 1, **params}))


def test_the_plan_is_the_state_before_and_after() -> None:
    plan = planned(FakeApps(3), namespace="${namespace}")
    assert plan.summary == "scale deployment shop/web from 3 to 4 replicas"
    workload = {"kind": "deployment", "namespace": "shop", "name": "web", "uid": "uid-1"}
    assert plan.params == {**workload, "replicas": 4}
    assert plan.prior_state == {"replicas": 3}
    assert plan.undo == {"replicas": 3}
    assert restored(json.loads(json.dumps(plan.__dict__))) == plan


def test_labels_never_become_a_path() -> None:
    with pytest.raises(PlanError, match="label 'evil' is no name of a Kubernetes object"):
        planned(FakeApps(3), deployment="${evil}")
    with pytest.raises(PlanError, match="label 'evil' is no name of a Kubernetes object"):
        planned(FakeApps(3), namespace="${evil}")


@pytest.mark.parametrize("missing", ["get deployments/", "get deployments/scale", "update deployments/scale"])
def test_what_we_may_not_do_is_told_before(missing: str) -> None:
    verb, _, resource = missing.rstrip("/").partition(" ")
    with pytest.raises(PlanError, match=f"we may not {verb} {resource} of apps in namespace 'default'; bind a Role"):
        ScaleBy(fake_cluster(FakeApps(3), missing)).plan(TARGET, ScaleByParams(by=1))


@pytest.mark.parametrize("kind", ["labels", "annotations"])
def test_what_a_repository_keeps_is_refused(kind: str) -> None:
    apps = FakeApps(3)
    apps.metadata = {kind: {"argocd.argoproj.io/instance": "shop"}}
    with pytest.raises(PlanError, match=r"is kept by Argo CD as its repository says .*or say `gitops: ignore`"):
        planned(apps)
    assert planned(apps, gitops="ignore").params["replicas"] == 4


@pytest.mark.parametrize("status", [400, 403, 422])
def test_what_the_server_would_never_take_is_no_plan(status: int) -> None:
    apps = FakeApps(3)
    apps.fail_write = FakeApiError(status, "No")
    with pytest.raises(PlanError, match=f"deployment default/web would be refused: {status} No"):
        planned(apps)


@pytest.mark.parametrize("status", [409, 429, 500])
def test_what_the_server_does_not_take_now_is_planned_later(status: int) -> None:
    apps = FakeApps(3)
    apps.fail_write = FakeApiError(status, "No")
    with pytest.raises(NotAppliedError, match=f"{status} No"):
        planned(apps)


def test_a_bare_number_is_by() -> None:
    assert ScaleByParams.model_validate(2) == ScaleByParams(by=2)


@pytest.mark.parametrize("namespace", ["kube-system", "kube-public", "kube-node-lease"])
def test_what_belongs_to_kubernetes_is_left_alone(namespace: str) -> None:
    with pytest.raises(PlanError, match=f"namespace '{namespace}' belongs to Kubernetes itself"):
        planned(FakeApps(3), namespace=namespace)


@pytest.mark.parametrize(
    ("replicas", "params", "wanted"),
    [
        (3, {"by": 2}, 5), (3, {"by": -2}, 1), (19, {"by": 1}, 20), (0, {"by": 1}, 1),
        (30, {"by": -1}, 29), (1, {"by": -1, "min": 0}, 0), (20, {"by": 5, "max": 25}, 25),
    ],
)  # fmt: skip
def test_within_the_bounds(replicas: int, params: dict[str, int], wanted: int) -> None:
    assert planned(FakeApps(replicas), **params).params["replicas"] == wanted


@pytest.mark.parametrize(
    ("replicas", "params", "message"),
    [
        (20, {"by": 1}, "has 20 replicas; 21 would be more than max: 20"),
        (30, {"by": 1}, "has 30 replicas; 31 would be more than max: 20"),
        (1, {"by": -1}, "has 1 replicas; 0 would be fewer than min: 1"),
        (3, {"by": -5, "min": 0}, "has 3 replicas; -2 would be fewer than min: 0"),
    ],
)
def test_beyond_the_bounds_nothing_is_planned(replicas: int, params: dict[str, int], message: str) -> None:
    with pytest.raises(PlanError, match=f"deployment default/web {message}"):
        planned(FakeApps(replicas), **params)


def test_a_deployment_without_replicas_in_its_answer_has_none() -> None:
    apps = FakeApps(0)
    apps.scale.spec.replicas = None
    assert planned(apps).prior_state["replicas"] == 0


def test_a_conflict_that_changed_nothing_of_ours_is_tried_again() -> None:
    apps = FakeApps(3)
    plan = planned(apps)
    read = apps.read_namespaced_deployment_scale
    versions = iter(["stale", "stale too"])

    def often_stale(name: str, namespace: str, **keywords: Any) -> Any:
        scale = read(name, namespace, **keywords)
        scale.metadata.resource_version = next(versions, scale.metadata.resource_version)
        return scale

    apps.read_namespaced_deployment_scale = often_stale  # type: ignore[method-assign] # a busy cluster
    assert scale_by(apps).apply(plan, "a-1").facts["replicas"] == 4
    assert apps.writes == [4]


def test_a_conflict_that_does_not_end_is_not_applied() -> None:
    apps = FakeApps(3)
    plan = planned(apps)
    apps.fail_write = FakeApiError(409, "Conflict")
    with pytest.raises(NotAppliedError, match="deployment default/web was not changed: 409 Conflict"):
        scale_by(apps).apply(plan, "a-1")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 429])
def test_what_the_server_refuses_was_not_applied(status: int) -> None:
    apps = FakeApps(3)
    plan = planned(apps)
    apps.fail_write = FakeApiError(status, "No")
    with pytest.raises(NotAppliedError, match=f"was not changed: {status} No"):
        scale_by(apps).apply(plan, "a-1")


def _silences() -> list[Exception]:
    pool = HTTPConnectionPool("server")
    return [
        FakeApiError(500, "Internal Server Error"),
        FakeApiError(503, "Service Unavailable"),
        FakeApiError(504, "Gateway Timeout"),
        MaxRetryError(pool, "/", ReadTimeoutError(pool, "/", "read timed out")),
        MaxRetryError(pool, "/", ProtocolError("Connection aborted.")),
        ConnectionResetError("reset"),
    ]


@pytest.mark.parametrize("error", _silences(), ids=lambda error: str(error)[-30:])
def test_anything_else_is_unknown(error: Exception) -> None:
    apps = FakeApps(3)
    plan = planned(apps)
    apps.fail_write = error
    with pytest.raises(UnknownOutcomeError, match="deployment default/web may have been changed or not: "):
        scale_by(apps).apply(plan, "a-1")


def test_a_connection_that_was_never_made_was_not_applied() -> None:
    apps = FakeApps(3)
    plan = planned(apps)
    refused = NewConnectionError(HTTPConnection("server"), "Connection refused")
    apps.fail_write = MaxRetryError(HTTPConnectionPool("server"), "/", refused)
    with pytest.raises(NotAppliedError, match="Connection refused"):
        scale_by(apps).apply(plan, "a-1")


@pytest.mark.parametrize(("replicas", "told"), [(3, Probe.NOT_APPLIED), (4, Probe.APPLIED), (9, Probe.UNKNOWN)])
def test_the_probe_compares(replicas: int, told: Probe) -> None:
    apps = FakeApps(3)
    plan = planned(apps)
    apps.scale.spec.replicas = replicas
    assert scale_by(apps).probe(plan, "a-1") is told


def test_a_probe_without_an_answer_does_not_know() -> None:
    apps = FakeApps(3)
    plan = planned(apps)
    apps.fail_read = FakeApiError(503, "Service Unavailable")
    assert scale_by(apps).probe(plan, "a-1") is Probe.UNKNOWN


def test_reading_that_fails_changes_nothing() -> None:
    apps = FakeApps(3)
    apps.fail_read = FakeApiError(503, "Service Unavailable")
    with pytest.raises(NotAppliedError, match="deployment default/web cannot be read: 503 Service Unavailable"):
        planned(apps)


def test_without_credentials_nothing_is_done(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    pytest.importorskip("kubernetes")
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "absent"))
    kubernetes.connect.cache_clear()
    with pytest.raises(
        NotAppliedError, match=r"no credentials for Kubernetes: .*; run in a pod with a service account"
    ):
        ScaleBy().plan(TARGET, ScaleByParams(by=1))


def test_the_library_is_not_loaded_with_the_module() -> None:
    code = "import sys, presagio.actions.kubernetes.scale; print('kubernetes' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "Field required"),
        ({"by": 0}, "a number of replicas other than 0, got 0"),
        ({"by": 1, "min": 5, "max": 4}, r"min that is at most max \(4\), got 5"),
        ({"by": 1000}, "less than or equal to 100"),
        ({"by": 1, "deployment": "${1}"}, "letters, digits and underscores"),
        ({"by": 1, "replicas": 3}, "Extra inputs are not permitted"),
    ],
)
def test_mistakes_of_a_policy(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ScaleByParams.model_validate(params)
