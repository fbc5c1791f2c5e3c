"""The actions on pods, nodes and Jobs against a real control plane. The tests play kubelet: nothing really runs."""

import socket
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from controlplane import USER, USER_NAME, ControlPlane, deployment
from urllib3.exceptions import ReadTimeoutError

from presagio.actions.base import (
    Disruption,
    Evidence,
    NotAppliedError,
    OutcomeError,
    Permission,
    Plan,
    PlanError,
    Probe,
    Target,
    UnknownOutcomeError,
)
from presagio.actions.kubernetes import cluster as seam
from presagio.actions.kubernetes.drain import Drain, DrainParams
from presagio.actions.kubernetes.job import ATTEMPT_ID, JobParams, RunJob
from presagio.actions.kubernetes.nodes import Cordon, NodeParams
from presagio.actions.kubernetes.pods import DeletePod, EvictPod, PodParams

pytestmark = [
    pytest.mark.servers,
    # the test's API server signs its own certificate
    pytest.mark.filterwarnings("ignore:Unverified HTTPS request"),
]

CONTAINER = {"name": "main", "image": "registry.test/none"}
TOLERATE = [{"operator": "Exists"}]


class World:
    """A namespace `shop` and two nodes, `one` and `two`, as their kubelets would keep them."""

    def __init__(self, cluster: Any) -> None:
        self.core, self.apps, self.batch = cluster.core, cluster.apps, cluster.batch
        client = import_module("kubernetes.client")
        self.custom = client.CustomObjectsApi(self.core.api_client)

    def node(self, name: str, **labels: str) -> None:
        self.core.create_node({"metadata": {"name": name, "labels": labels}})
        self.ready(self.core.patch_node_status, name)

    def ready(self, patch: Callable[..., Any], *which: str) -> None:
        patch(*which, {"status": {"phase": None, "conditions": [{"type": "Ready", "status": "True"}]}})

    def run(self, name: str, replicas: int, node: str = "one") -> list[Any]:
        """Make a deployment whose pods are bound to a node and ready; return them."""
        document: Any = deployment(name, replicas)
        document["spec"]["template"]["spec"] |= {"nodeName": node, "tolerations": TOLERATE}
        self.apps.create_namespaced_deployment("shop", document)
        until(lambda: len(self.pods(name)) == replicas)
        for pod in self.pods(name):
            self.run_pod(pod.metadata.name)
        until(lambda: self.apps.read_namespaced_deployment(name, "shop").status.ready_replicas == replicas)
        return self.pods(name)

    def run_pod(self, name: str) -> None:
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        self.core.patch_namespaced_pod_status(name, "shop", {"status": status})

    def bare(self, name: str, node: str = "one", **metadata: Any) -> Any:
        spec = {"nodeName": node, "containers": [CONTAINER], "tolerations": TOLERATE}
        return self.core.create_namespaced_pod("shop", {"metadata": {"name": name, **metadata}, "spec": spec})

    def pods(self, app: str) -> list[Any]:
        found = self.core.list_namespaced_pod("shop", label_selector=f"app={app}").items
        return [pod for pod in found if pod.metadata.deletion_timestamp is None]

    def budget(self, app: str, min_available: int) -> Callable[[], object]:
        """Make a disruption budget in the version that the server knows, and return how to drop it once it counts."""
        version = import_module("kubernetes.client").PolicyApi(self.core.api_client).get_api_group().preferred_version
        spec = {"minAvailable": min_available, "selector": {"matchLabels": {"app": app}}}
        kind = {"apiVersion": version.group_version, "kind": "PodDisruptionBudget"}
        arguments = ("policy", version.version, "shop", "poddisruptionbudgets")
        self.custom.create_namespaced_custom_object(*arguments, {**kind, "metadata": {"name": app}, "spec": spec})
        read = self.custom.get_namespaced_custom_object
        until(lambda: read(*arguments, app).get("status", {}).get("currentHealthy", 0) > 0)
        return lambda: self.custom.delete_namespaced_custom_object(*arguments, app)


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.1)


def use(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    # the library reads the variable once, at its import
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(kubeconfig))
    seam.connect.cache_clear()


@pytest.fixture
def world(control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    use(control_plane.kubeconfig(namespace="shop"), monkeypatch)
    world = World(seam.connect())
    if "shop" not in [one.metadata.name for one in world.core.list_namespace().items]:
        world.core.create_namespace({"metadata": {"name": "shop"}})
    until(lambda: bool(world.core.list_namespaced_service_account("shop").items))
    world.node("one")
    world.node("two")
    yield world
    world.apps.delete_collection_namespaced_deployment("shop", propagation_policy="Foreground")
    world.batch.delete_collection_namespaced_job("shop", propagation_policy="Background")

    def empty() -> bool:
        world.core.delete_collection_namespaced_pod("shop", grace_period_seconds=0)
        return not (
            world.core.list_namespaced_pod("shop").items or world.apps.list_namespaced_deployment("shop").items
        )

    until(empty)
    world.core.delete_collection_node()
    seam.connect.cache_clear()


def target(**labels: str) -> Target:
    return Target("web", labels)


def planned(action: Any, params: Any, **labels: str) -> Plan:
    plan: Plan = action.plan(target(**labels), params)
    return plan


# Pods


@pytest.mark.parametrize("action", [DeletePod(), EvictPod()], ids=["delete", "evict"])
def test_a_pod_goes_and_its_controller_makes_another(world: World, action: DeletePod) -> None:
    pod = world.run("web", 2)[0]
    plan = planned(action, PodParams(), pod=pod.metadata.name)
    owner = pod.metadata.owner_references[0].name
    assert plan.summary == f"{action.verb} pod shop/{pod.metadata.name} of ReplicaSet {owner}"
    assert plan.disruption == Disruption(replicas=2, available=2, unavailable=1)
    assert (plan.prior_state, plan.desired_state) == ({"uid": pod.metadata.uid}, {"uid": None})
    assert action.probe(plan, "a-1") is Probe.NOT_APPLIED

    action.apply(plan, "a-1")
    assert action.probe(plan, "a-1") is Probe.APPLIED
    until(lambda: len(world.pods("web")) == 2)
    assert pod.metadata.uid not in [one.metadata.uid for one in world.pods("web")]
    with pytest.raises(NotAppliedError, match="no undo"):
        action.undo(plan)


@pytest.mark.parametrize("action", [DeletePod(), EvictPod()], ids=["delete", "evict"])
def test_the_same_name_with_a_new_uid_is_never_touched(world: World, action: DeletePod) -> None:
    world.bare("lone")
    plan = planned(action, PodParams(bare=True), pod="lone")
    world.core.delete_namespaced_pod("lone", "shop", grace_period_seconds=0)
    anew = world.bare("lone")
    with pytest.raises(NotAppliedError, match="made anew"):
        action.apply(plan, "a-1")
    with pytest.raises(OutcomeError, match=r"409|timed out"):
        action.way(action.cluster, plan.params)
    found = world.core.read_namespaced_pod("lone", "shop").metadata
    assert (found.uid, found.deletion_timestamp) == (anew.metadata.uid, None)
    assert action.probe(plan, "a-1") is Probe.APPLIED


def test_a_pod_that_is_gone(world: World) -> None:
    world.bare("lone")
    plan = planned(DeletePod(), PodParams(bare=True), pod="lone")
    world.core.delete_namespaced_pod("lone", "shop", grace_period_seconds=0)
    with pytest.raises(NotAppliedError, match="404"):
        DeletePod().apply(plan, "a-1")
    assert DeletePod().probe(plan, "a-1") is Probe.APPLIED
    with pytest.raises(NotAppliedError, match="404"):
        planned(DeletePod(), PodParams(bare=True), pod="lone")


def test_what_is_refused(world: World) -> None:
    world.bare("lone")
    with pytest.raises(PlanError, match=r"has no controller.*`bare: true`"):
        planned(DeletePod(), PodParams(), pod="lone")
    world.bare("file", annotations={"kubernetes.io/config.mirror": "x"})
    with pytest.raises(PlanError, match="from a file"):
        planned(DeletePod(), PodParams(bare=True), pod="file")
    with pytest.raises(PlanError, match="never acted upon"):
        planned(DeletePod(), PodParams(namespace="kube-system"), pod="lone")
    world.core.delete_namespaced_pod("lone", "shop")
    with pytest.raises(PlanError, match="is ending already"):
        planned(DeletePod(), PodParams(bare=True), pod="lone")


def test_a_disruption_budget_holds_an_eviction_back(world: World) -> None:
    pods = world.run("web", 2)
    plans = [planned(EvictPod(), PodParams(), pod=pod.metadata.name) for pod in pods]
    drop_budget = world.budget("web", 2)
    with pytest.raises(NotAppliedError, match="429"):
        EvictPod().apply(plans[0], "a-1")
    with pytest.raises(NotAppliedError, match="429"):
        planned(EvictPod(), PodParams(), pod=pods[0].metadata.name)
    assert EvictPod().probe(plans[0], "a-1") is Probe.NOT_APPLIED
    drop_budget()
    EvictPod().apply(plans[0], "a-1")
    assert EvictPod().probe(plans[0], "a-1") is Probe.APPLIED


def test_an_answer_lost_after_the_effect_is_found_by_the_uid(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    pod = world.run("web", 1)[0]
    plan = planned(DeletePod(), PodParams(), pod=pod.metadata.name)
    lose_answer(world.core, "delete_namespaced_pod", monkeypatch)
    with pytest.raises(UnknownOutcomeError, match="read timed out"):
        DeletePod().apply(plan, "a-1")
    assert DeletePod().probe(plan, "a-1") is Probe.APPLIED


def lose_answer(api: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    function = getattr(api, name)

    def then_silence(*arguments: Any, **keywords: Any) -> None:
        function(*arguments, **keywords)
        raise ReadTimeoutError(api.api_client.rest_client.pool_manager, "/", "read timed out")

    monkeypatch.setattr(api, name, then_silence)


# Nodes


def unschedulable(world: World, name: str = "one") -> bool:
    return bool(world.core.read_node(name).spec.unschedulable)


def test_cordons_and_uncordons(world: World) -> None:
    plan = planned(Cordon(), NodeParams(), node="one")
    assert plan.summary == "cordon node one"
    assert Cordon().probe(plan, "a-1") is Probe.NOT_APPLIED
    assert Cordon().apply(plan, "a-1").summary == "node one was cordoned"
    assert Cordon().apply(plan, "a-1").summary == "node one is cordoned already"
    assert Cordon().probe(plan, "a-1") is Probe.APPLIED
    assert Cordon().changed(plan) is None
    with pytest.raises(PlanError, match="cordoned already"):
        planned(Cordon(), NodeParams(), node="one")
    Cordon().undo(plan)
    assert not unschedulable(world)
    assert "presagio/cordoned" not in (world.core.read_node("one").metadata.annotations or {})


def test_a_cordon_of_someone_else_stays(world: World) -> None:
    plan = planned(Cordon(), NodeParams(), node="one")
    world.core.patch_node("one", {"spec": {"unschedulable": True}})
    with pytest.raises(NotAppliedError, match="cordoned by someone else"):
        Cordon().apply(plan, "a-1")
    assert Cordon().probe(plan, "a-1") is Probe.UNKNOWN
    assert "someone else changed it" in (Cordon().changed(plan) or "")
    with pytest.raises(NotAppliedError, match="not cordoned by us"):
        Cordon().undo(plan)
    assert unschedulable(world)


def test_a_node_made_anew_is_another_one(world: World) -> None:
    plan = planned(Cordon(), NodeParams(), node="one")
    world.core.delete_node("one")
    world.node("one")
    with pytest.raises(NotAppliedError, match="made anew"):
        Cordon().apply(plan, "a-1")
    assert not unschedulable(world)


def test_enough_nodes_are_left(world: World) -> None:
    with pytest.raises(PlanError, match="1 nodes would take pods, fewer than min_nodes: 2"):
        planned(Cordon(), NodeParams(min_nodes=2), node="one")
    world.core.patch_node("two", {"spec": {"unschedulable": True}})
    with pytest.raises(PlanError, match="0 nodes would take pods"):
        planned(Drain(), DrainParams(), node="one")


def test_the_control_plane_must_be_named(world: World) -> None:
    world.node("head", **{"node-role.kubernetes.io/control-plane": ""})
    with pytest.raises(PlanError, match="control plane"):
        planned(Cordon(), NodeParams(), node="head")
    plan = planned(Cordon(), NodeParams(control_plane=True), node="head")
    assert plan.summary == "cordon node head"


def test_a_node_is_drained(world: World) -> None:
    world.run("web", 2)
    world.run("other", 1, node="two")
    daemon = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "u", "controller": True}
    world.bare("daemon", ownerReferences=[daemon])
    world.bare("done")
    world.core.patch_namespaced_pod_status("done", "shop", {"status": {"phase": "Succeeded"}})
    plan = planned(Drain(), DrainParams(), node="one")
    assert plan.summary == "cordon node one and evict its 2 pods"
    assert plan.disruption == Disruption(replicas=2, available=2, unavailable=1, min_available=1)
    world.apps.patch_namespaced_deployment("web", "shop", {"spec": {"paused": True}})
    # what replaces them must not come to this node again, as the scheduler would see to
    world.apps.delete_namespaced_deployment("web", "shop", propagation_policy="Orphan")
    for replicas in world.apps.list_namespaced_replica_set("shop", label_selector="app=web").items:
        world.apps.delete_namespaced_replica_set(replicas.metadata.name, "shop", propagation_policy="Orphan")
    assert Drain().probe(plan, "a-1") is Probe.NOT_APPLIED
    assert Drain().apply(plan, "a-1").summary == "node one was drained"
    assert Drain().probe(plan, "a-1") is Probe.APPLIED
    assert not world.pods("web")
    assert len(world.pods("other")) == 1
    Drain().undo(plan)
    assert not unschedulable(world)


def test_a_drain_that_a_budget_holds_back_goes_on_later(world: World) -> None:
    pod = world.run("web", 1)[0]
    plan = planned(Drain(), DrainParams(timeout="1s"), node="one")
    drop_budget = world.budget("web", 1)
    with pytest.raises(UnknownOutcomeError, match=r"1 pods are left: .*429"):
        Drain(sleep=lambda _: time.sleep(0.3)).apply(plan, "a-1")
    assert Drain().probe(plan, "a-1") is Probe.NOT_APPLIED
    assert unschedulable(world)

    def budget_goes(_: float) -> None:
        drop_budget()
        world.apps.delete_namespaced_deployment("web", "shop", propagation_policy="Background")

    plan = Plan(**{**vars(plan), "params": {**plan.params, "timeout": 30.0}})
    assert Drain(sleep=budget_goes).apply(plan, "a-2").summary == "node one was drained"
    assert pod.metadata.uid not in [one.metadata.uid for one in world.pods("web")]


def test_what_would_be_lost_or_is_ourselves_is_not_drained(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.bare("lone")
    with pytest.raises(PlanError, match="shop/lone has no controller"):
        planned(Drain(), DrainParams(), node="one")
    monkeypatch.setattr(socket, "gethostname", lambda: "lone")
    with pytest.raises(PlanError, match="runs Presagio itself"):
        planned(Drain(), DrainParams(bare=True), node="one")
    monkeypatch.setattr(socket, "gethostname", lambda: "one")
    with pytest.raises(PlanError, match="runs Presagio itself"):
        planned(Drain(), DrainParams(bare=True), node="one")


# Jobs


def job(**params: Any) -> JobParams:
    return JobParams(image="registry.test/none", argv=("/clean", "--of=${pod}"), **params)


def playing_kubelet(world: World, phase: str) -> Callable[[float], None]:
    """End the Job's pod each time that the action waits for it."""

    def play(_: float) -> None:
        for pod in world.core.list_namespaced_pod("shop").items:
            world.core.patch_namespaced_pod_status(pod.metadata.name, "shop", {"status": {"phase": phase}})
        time.sleep(0.2)

    return play


def test_a_job_runs_once(world: World) -> None:
    plan = planned(RunJob(), job(environment={"WHO": "${pod}"}), pod="web-1")
    assert plan.summary == "run /clean --of=web-1 in a Job of registry.test/none in namespace shop"
    assert world.batch.list_namespaced_job("shop").items == []
    assert RunJob().probe(plan, "a-1") is Probe.NOT_APPLIED
    action = RunJob(sleep=playing_kubelet(world, "Succeeded"))
    for _ in range(2):
        assert action.apply(plan, "a-1").summary.endswith("has completed")
    (found,) = world.batch.list_namespaced_job("shop").items
    assert found.metadata.annotations[ATTEMPT_ID] == "a-1"
    assert found.spec.backoff_limit == 0
    container = found.spec.template.spec.containers[0]
    assert container.command == ["/clean", "--of=web-1"]
    assert [(one.name, one.value) for one in container.env] == [("WHO", "web-1")]
    assert RunJob().probe(plan, "a-1") is Probe.APPLIED
    assert RunJob().probe(plan, "a-2") is Probe.NOT_APPLIED


def test_a_job_that_fails_goes_to_a_person(world: World) -> None:
    plan = planned(RunJob(), job(), pod="web-1")
    with pytest.raises(UnknownOutcomeError, match="has failed"):
        RunJob(sleep=playing_kubelet(world, "Failed")).apply(plan, "a-1")
    assert RunJob().probe(plan, "a-1") is Probe.UNKNOWN


def test_a_job_whose_answer_was_lost_is_found_by_its_name(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = planned(RunJob(), job(), pod="web-1")
    with monkeypatch.context() as patch:
        lose_answer(world.batch, "create_namespaced_job", patch)
        with pytest.raises(UnknownOutcomeError, match="read timed out"):
            RunJob().apply(plan, "a-1")
    assert RunJob().probe(plan, "a-1") is Probe.APPLIED
    RunJob(sleep=playing_kubelet(world, "Succeeded")).apply(plan, "a-1")
    assert len(world.batch.list_namespaced_job("shop").items) == 1


def test_a_label_never_becomes_an_option(world: World) -> None:
    with pytest.raises(PlanError, match="would become the option"):
        planned(RunJob(), JobParams(image="x", argv=("/clean", "${pod}")), pod="-rf")


# Rights


def allow(world: World, permissions: tuple[Permission, ...]) -> None:
    """Give the user exactly these rights."""
    rbac = import_module("kubernetes.client").RbacAuthorizationV1Api(world.core.api_client)
    rules = [
        {"apiGroups": [group], "resources": [resource], "verbs": list(one.verbs)}
        for one in permissions
        for group, _, resource in [one.resource.partition("/")]
    ]
    group = {"apiGroup": "rbac.authorization.k8s.io"}
    metadata = {"name": "exactly"}
    rbac.delete_collection_cluster_role_binding(field_selector="metadata.name=exactly")
    rbac.delete_collection_cluster_role(field_selector="metadata.name=exactly")
    rbac.create_cluster_role({"metadata": metadata, "rules": rules})
    reference, subject = {**group, "kind": "ClusterRole", **metadata}, {**group, "kind": "User", "name": USER_NAME}
    rbac.create_cluster_role_binding({"metadata": metadata, "roleRef": reference, "subjects": [subject]})


RIGHTS = {
    "delete_pod": (DeletePod(), PodParams()),
    "evict_pod": (EvictPod(), PodParams()),
    "cordon": (Cordon(), NodeParams(node="one")),
    "drain": (Drain(), DrainParams(node="one", timeout="1s")),
    "run_job": (RunJob(sleep=lambda _: None), JobParams(image="x", argv=("/clean",), deadline="1s")),
}


@pytest.mark.parametrize(("action", "params"), RIGHTS.values(), ids=RIGHTS)
def test_the_permissions_that_it_names_suffice(
    world: World, control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch, action: Any, params: Any
) -> None:
    pod = world.run("web", 2)[0].metadata.name
    # the replacements stay on the node here, so that a drain is never done
    monkeypatch.setattr("presagio.actions.kubernetes.job._LATE", 0)
    use(control_plane.kubeconfig(USER, "shop"), monkeypatch)
    with pytest.raises(NotAppliedError, match="403 Forbidden"):
        planned(action, params, pod=pod)
    allow(world, action.permissions)
    until(lambda: not denied(action, params, pod))
    plan = planned(action, params, pod=pod)
    assert "403" not in outcome(lambda: action.apply(plan, "a-1"))
    assert "403" not in outcome(lambda: action.undo(plan))


def outcome(do: Callable[[], Evidence]) -> str:
    """Return how it ended, well or not."""
    try:
        return do().summary
    except OutcomeError as error:
        return str(error)


def denied(action: Any, params: Any, pod: str) -> bool:
    """Return whether the rights do not count yet: the API server takes a moment."""
    try:
        planned(action, params, pod=pod)
    except NotAppliedError as error:
        return "403" in str(error)
    return False
