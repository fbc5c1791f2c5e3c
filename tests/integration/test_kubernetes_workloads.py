"""The actions on Deployments and StatefulSets, against a real control plane."""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from importlib import import_module
from typing import Any

import pytest
from controlplane import USER, USER_NAME, ControlPlane, deployment, make_ready, use
from servers import wait_until

from presagio.actions import base
from presagio.actions.base import Disruption, NotAppliedError, Plan, PlanError, Probe, Target
from presagio.actions.kubernetes import cluster as kubernetes
from presagio.actions.kubernetes import roles

pytestmark = [
    pytest.mark.servers,
    # the test's API server signs its own certificate
    pytest.mark.filterwarnings("ignore:Unverified HTTPS request"),
]

WEB = Target("web", {"deployment": "web"})


@pytest.fixture
def apps(control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """As the administrator; a deployment `web` of 4 replicas is there."""
    use(control_plane.kubeconfig(), monkeypatch)
    apps = kubernetes.connect().apps
    apps.create_namespaced_deployment("default", deployment("web", 4))
    wait_until(lambda: replica_sets(apps), "the replica set")
    yield apps
    apps.delete_namespaced_deployment("web", "default", propagation_policy="Foreground")
    wait_until(lambda: not apps.list_namespaced_deployment("default").items, "the end of web")
    kubernetes.connect.cache_clear()


def replica_sets(apps: Any) -> list[Any]:
    return list(apps.list_namespaced_replica_set("default").items)


def planned(name: str, **params: Any) -> Plan:
    action = base.load(name)
    plan = action.plan(WEB, action.Params.model_validate(params))
    return base.restored(json.loads(json.dumps(asdict(plan))))


def template(apps: Any) -> Any:
    return apps.read_namespaced_deployment("web", "default").spec.template


RESTART = "kubernetes.restart"


def test_a_restart_makes_new_pods_once(apps: Any) -> None:
    action, plan = base.load(RESTART), planned(RESTART)
    assert plan.summary == "restart the pods of deployment default/web, one after the other"
    assert action.probe(plan, "a-1") is Probe.NOT_APPLIED
    generation = apps.read_namespaced_deployment("web", "default").metadata.generation
    action.apply(plan, "a-1")
    assert action.probe(plan, "a-1") is Probe.APPLIED
    assert template(apps).metadata.annotations == {"presagio/attempt-id": "a-1"}
    wait_until(lambda: len(replica_sets(apps)) == 2, "a new replica set")
    action.apply(plan, "a-1")
    assert apps.read_namespaced_deployment("web", "default").metadata.generation == generation + 1
    with pytest.raises(NotAppliedError, match="no undo"):
        action.undo(plan)


def test_a_second_restart_is_another_attempt(apps: Any) -> None:
    action = base.load(RESTART)
    first = planned(RESTART)
    action.apply(first, "a-1")
    second = planned(RESTART)
    assert second.prior_state == {"restarted by": "a-1"}
    assert action.probe(second, "a-2") is Probe.NOT_APPLIED
    action.apply(second, "a-2")
    assert action.probe(first, "a-1") is Probe.UNKNOWN


def test_a_deployment_meanwhile_stops_the_restart(apps: Any) -> None:
    action, plan = base.load(RESTART), planned(RESTART)
    image = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "registry.test/new"}]
    apps.patch_namespaced_deployment("web", "default", image)
    with pytest.raises(NotAppliedError, match="someone else changed it"):
        action.apply(plan, "a-1")
    assert "someone else changed it" in (action.changed(plan) or "")
    assert template(apps).metadata.annotations is None


def test_scaling_meanwhile_does_not(apps: Any) -> None:
    action, plan = base.load(RESTART), planned(RESTART)
    apps.patch_namespaced_deployment_scale("web", "default", {"spec": {"replicas": 2}})
    action.apply(plan, "a-1")
    assert action.changed(plan) is None


@pytest.mark.parametrize(
    ("strategy", "unavailable"),
    [
        ({"rollingUpdate": {"maxUnavailable": "50%"}}, 2),
        ({"rollingUpdate": {"maxUnavailable": "49%"}}, 1),
        ({"rollingUpdate": {"maxUnavailable": 3}}, 3),
        ({"rollingUpdate": {"maxUnavailable": "10%"}}, 0),
        ({"type": "Recreate", "rollingUpdate": None}, 4),
    ],
)
def test_what_is_missing_meanwhile_is_of_the_strategy(apps: Any, strategy: dict[str, Any], unavailable: int) -> None:
    apps.patch_namespaced_deployment("web", "default", {"spec": {"strategy": strategy}})
    make_ready(apps, "web", 4)
    assert planned(RESTART).disruption == Disruption(4, 4, unavailable)


def test_what_would_restart_nothing_is_no_plan(apps: Any) -> None:
    apps.patch_namespaced_deployment("web", "default", {"spec": {"paused": True}})
    with pytest.raises(PlanError, match="is paused"):
        planned(RESTART)
    apps.patch_namespaced_deployment("web", "default", {"spec": {"paused": False, "replicas": 0}})
    with pytest.raises(PlanError, match="has no replicas"):
        planned(RESTART)
    with pytest.raises(NotAppliedError, match=r"deployment default/absent cannot be read: 404 .*not found"):
        planned(RESTART, deployment="absent")


def test_a_new_uid_is_another_deployment(apps: Any) -> None:
    action, plan = base.load(RESTART), planned(RESTART)
    apps.delete_namespaced_deployment("web", "default", propagation_policy="Foreground")
    wait_until(lambda: not apps.list_namespaced_deployment("default").items, "the end of web")
    apps.create_namespaced_deployment("default", deployment("web", 4))
    with pytest.raises(NotAppliedError, match="was deleted and made anew"):
        action.apply(plan, "a-1")
    assert action.probe(plan, "a-1") is Probe.UNKNOWN
    assert "was deleted" in (action.changed(plan) or "")


def stateful_set(name: str, image: str, strategy: str = "RollingUpdate") -> dict[str, Any]:
    labels = {"app": name}
    pod = {"containers": [{"name": "main", "image": image}]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    update = {"type": strategy}
    spec = {"replicas": 1, "serviceName": name, "selector": {"matchLabels": labels}, "template": template}
    return {"metadata": {"name": name}, "spec": {**spec, "updateStrategy": update}}


def revisions(apps: Any) -> list[Any]:
    return list(apps.list_namespaced_controller_revision("default").items)


@pytest.fixture
def database(apps: Any) -> Iterator[Any]:
    """A StatefulSet `db` in its second revision."""
    apps.create_namespaced_stateful_set("default", stateful_set("db", "registry.test/one"))
    wait_until(lambda: revisions(apps), "the first revision")
    apps.patch_namespaced_stateful_set("db", "default", image("registry.test/two"))
    wait_until(lambda: len(revisions(apps)) == 2, "the second revision")
    yield apps
    apps.delete_namespaced_stateful_set("db", "default", propagation_policy="Foreground")
    wait_until(lambda: not apps.list_namespaced_stateful_set("default").items, "the end of db")
    wait_until(lambda: not revisions(apps), "the end of its revisions")


def image(name: str) -> list[dict[str, str]]:
    return [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": name}]


def image_of(apps: Any, kind: str, name: str) -> str:
    found = getattr(apps, f"read_namespaced_{kind}")(name, "default")
    return str(found.spec.template.spec.containers[0].image)


def release(apps: Any, name: str) -> None:
    """Deploy another image, and wait for its replica set."""
    count = len(replica_sets(apps))
    apps.patch_namespaced_deployment("web", "default", image(name))
    wait_until(lambda: len(replica_sets(apps)) == count + 1, "the replica set")


ROLLBACK = "kubernetes.rollback"


def test_back_to_the_previous_revision_and_forth(apps: Any) -> None:
    action = base.load(ROLLBACK)
    # no pod here gets ready by itself: with less, a rollout would wait for that
    all_at_once = {"spec": {"strategy": {"rollingUpdate": {"maxUnavailable": "100%"}}}}
    apps.patch_namespaced_deployment("web", "default", all_at_once)
    release(apps, "registry.test/two")
    release(apps, "registry.test/three")
    plan = planned(ROLLBACK)
    back = "roll deployment default/web back to its previous revision (image of main: registry.test/two)"
    assert plan.summary == back
    assert plan.prior_state == {"image of main": "registry.test/three"}
    assert action.probe(plan, "1") is Probe.NOT_APPLIED
    for _ in range(2):
        action.apply(plan, "1")
        assert image_of(apps, "deployment", "web") == "registry.test/two"
    assert action.probe(plan, "1") is Probe.APPLIED
    assert action.changed(plan) is None
    # Kubernetes uses the old replica set again, and gives it a new number
    wait_until(lambda: not _pods_of(apps, "registry.test/three"), "the pods of before")
    action.undo(plan)
    assert image_of(apps, "deployment", "web") == "registry.test/three"
    assert action.probe(plan, "1") is Probe.NOT_APPLIED


def _pods_of(apps: Any, name: str) -> list[Any]:
    sets = [one for one in replica_sets(apps) if one.spec.template.spec.containers[0].image == name]
    return [one for one in sets if one.spec.replicas]


def test_after_a_roll_back_the_one_before_is_again_the_other(apps: Any) -> None:
    action = base.load(ROLLBACK)
    release(apps, "registry.test/two")
    action.apply(planned(ROLLBACK), "1")
    number = "deployment.kubernetes.io/revision"
    wait_until(
        lambda: any((one.metadata.annotations or {}).get(number) == "3" for one in replica_sets(apps)), "revision 3"
    )
    assert "registry.test/two" in planned(ROLLBACK).summary


def test_nothing_to_go_back_to(apps: Any) -> None:
    with pytest.raises(PlanError, match="has no revision before this one"):
        planned(ROLLBACK)


def test_a_roll_back_over_somebody_elses_deployment_is_not_done(apps: Any) -> None:
    action = base.load(ROLLBACK)
    release(apps, "registry.test/two")
    plan = planned(ROLLBACK)
    release(apps, "registry.test/three")
    with pytest.raises(NotAppliedError, match="someone else changed it"):
        action.apply(plan, "1")
    assert action.probe(plan, "1") is Probe.UNKNOWN


def test_a_stateful_set_goes_back_too(database: Any) -> None:
    action, plan = base.load(ROLLBACK), planned(ROLLBACK, statefulset="db")
    assert plan.prior_state == {"image of main": "registry.test/two"}
    action.apply(plan, "1")
    assert image_of(database, "stateful_set", "db") == "registry.test/one"
    assert action.probe(plan, "1") is Probe.APPLIED
    action.undo(plan)
    assert image_of(database, "stateful_set", "db") == "registry.test/two"


def test_a_stateful_set_restarts_and_is_scaled(database: Any) -> None:
    plan = planned(RESTART, statefulset="db")
    assert plan.disruption == Disruption(1, 0, 0)
    base.load(RESTART).apply(plan, "a-1")
    assert base.load(RESTART).probe(plan, "a-1") is Probe.APPLIED
    plan = planned("kubernetes.scale_to", statefulset="db", replicas=2)
    base.load("kubernetes.scale_to").apply(plan, "a-2")
    assert database.read_namespaced_stateful_set("db", "default").spec.replicas == 2
    database.patch_namespaced_stateful_set("db", "default", {"spec": {"updateStrategy": {"type": "OnDelete"}}})
    with pytest.raises(PlanError, match="OnDelete: its pods would stay"):
        planned(RESTART, statefulset="db")


SCALE_TO = "kubernetes.scale_to"


def test_to_so_many_and_back(apps: Any) -> None:
    action, plan = base.load(SCALE_TO), planned(SCALE_TO, replicas=7)
    assert plan.summary == "scale deployment default/web from 4 to 7 replicas"
    action.apply(plan, "1")
    assert apps.read_namespaced_deployment("web", "default").spec.replicas == 7
    with pytest.raises(PlanError, match="has 7 replicas already"):
        planned(SCALE_TO, replicas=7)
    action.undo(plan)
    assert apps.read_namespaced_deployment("web", "default").spec.replicas == 4


@pytest.mark.parametrize("name", ["kubernetes.scale_by", SCALE_TO])
def test_what_an_autoscaler_scales_is_left_to_it(apps: Any, name: str) -> None:
    autoscaling = kubernetes.connect().autoscaling
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    body = {"metadata": {"name": "web-hpa"}, "spec": {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 9}}
    autoscaling.create_namespaced_horizontal_pod_autoscaler("default", body)
    try:
        with pytest.raises(PlanError, match="is scaled by the HorizontalPodAutoscaler 'web-hpa'"):
            planned(name, **({"by": 1} if name.endswith("by") else {"replicas": 7}))
    finally:
        autoscaling.delete_namespaced_horizontal_pod_autoscaler("web-hpa", "default")


RESOURCES = "kubernetes.set_resources"


def resources_of(apps: Any) -> Any:
    return template(apps).spec.containers[0].resources.to_dict()


def test_resources_are_set_and_restored(apps: Any) -> None:
    action = base.load(RESOURCES)
    first = planned(RESOURCES, limits={"memory": "1024Mi"}, requests={"cpu": "0.5"})
    told = "set limit of memory to 1Gi, request of cpu to 500m of container main of deployment default/web"
    assert first.summary == told
    assert first.prior_state == {"limit of memory": None, "request of cpu": None}
    action.apply(first, "1")
    assert action.probe(first, "1") is Probe.APPLIED
    second = planned(RESOURCES, limits={"memory": "2Gi"})
    action.apply(second, "2")
    assert resources_of(apps)["limits"] == {"memory": "2Gi"}
    assert resources_of(apps)["requests"] == {"cpu": "500m"}
    assert "something else at /spec/template/spec/containers/0/resources" in (action.changed(first) or "")
    action.undo(second)
    assert resources_of(apps)["limits"] == {"memory": "1Gi"}
    action.undo(first)
    assert resources_of(apps)["limits"] is None
    with pytest.raises(NotAppliedError, match="someone else changed it"):
        action.undo(second)


def test_a_restart_of_somebody_elses_meanwhile_does_not_matter(apps: Any) -> None:
    action, plan = base.load(RESOURCES), planned(RESOURCES, limits={"memory": "1Gi"})
    base.load(RESTART).apply(planned(RESTART), "a-1")
    action.apply(plan, "1")
    apps.patch_namespaced_deployment_scale("web", "default", {"spec": {"replicas": 2}})
    action.undo(plan)
    assert resources_of(apps)["limits"] is None


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"limits": {"memory": "1Mi"}, "requests": {"memory": "1Gi"}}, "would be refused: 422 .*must be less than"),
        ({"limits": {"cpu": "1"}, "container": "side"}, "has no container 'side', but main"),
    ],
)
def test_what_kubernetes_would_not_take_is_no_plan(apps: Any, params: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        planned(RESOURCES, **params)


ENVIRONMENT = "kubernetes.set_environment"


def environment_of(apps: Any) -> dict[str, str]:
    return {one.name: one.value for one in template(apps).spec.containers[0].env or ()}


def test_variables_are_set_and_restored(apps: Any) -> None:
    action = base.load(ENVIRONMENT)
    first = planned(ENVIRONMENT, set={"CACHE": "off", "OF": "${deployment}"})
    assert first.summary == "set CACHE=off, OF=web in container main of deployment default/web"
    action.apply(first, "1")
    assert environment_of(apps) == {"CACHE": "off", "OF": "web"}
    second = planned(ENVIRONMENT, set={"CACHE": "on"})
    assert (second.prior_state, second.desired_state) == ({"CACHE": "off"}, {"CACHE": "on"})
    action.apply(second, "2")
    action.undo(second)
    assert environment_of(apps) == {"CACHE": "off", "OF": "web"}
    with pytest.raises(PlanError, match="is so already"):
        planned(ENVIRONMENT, set={"CACHE": "off"})
    action.undo(first)
    assert environment_of(apps) == {}


def test_a_variable_from_a_secret_is_left_alone(apps: Any) -> None:
    secret = {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "shop", "key": "token"}}}
    value = [{"op": "add", "path": "/spec/template/spec/containers/0/env", "value": [secret]}]
    apps.patch_namespaced_deployment("web", "default", value)
    with pytest.raises(PlanError, match="variable 'TOKEN' of deployment default/web comes from elsewhere"):
        planned(ENVIRONMENT, set={"TOKEN": "x"})
    base.load(ENVIRONMENT).apply(planned(ENVIRONMENT, set={"MORE": "x"}), "1")
    first, second = template(apps).spec.containers[0].env
    assert (first.value_from.secret_key_ref.name, second.value) == ("shop", "x")


def test_which_of_several_containers(apps: Any) -> None:
    side = [{"op": "add", "path": "/spec/template/spec/containers/-", "value": {"name": "side", "image": "x"}}]
    apps.patch_namespaced_deployment("web", "default", side)
    with pytest.raises(PlanError, match="has the containers main, side; say which: `container`"):
        planned(ENVIRONMENT, set={"A": "b"})
    plan = planned(ENVIRONMENT, set={"A": "b"}, container="side")
    moved = [{"op": "remove", "path": "/spec/template/spec/containers/0"}]
    apps.patch_namespaced_deployment("web", "default", moved)
    with pytest.raises(NotAppliedError):
        base.load(ENVIRONMENT).apply(plan, "1")


@pytest.mark.parametrize("name", [ROLLBACK, RESOURCES, ENVIRONMENT, SCALE_TO])
def test_what_a_repository_keeps_is_refused(apps: Any, name: str) -> None:
    release(apps, "registry.test/two")
    mark = {"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:default/web"}}}
    apps.patch_namespaced_deployment("web", "default", mark)
    params: dict[str, Any] = {RESOURCES: {"limits": {"cpu": "1"}}, ENVIRONMENT: {"set": {"A": "b"}}}.get(name, {})
    params = {"replicas": 5} if name == SCALE_TO else params
    with pytest.raises(PlanError, match="is kept by Argo CD"):
        planned(name, **params)
    planned(name, gitops="ignore", **params)


PARAMS: dict[str, dict[str, Any]] = {
    RESTART: {},
    ROLLBACK: {},
    SCALE_TO: {"replicas": 5},
    "kubernetes.scale_by": {"by": 1},
    RESOURCES: {"limits": {"cpu": "1"}},
    ENVIRONMENT: {"set": {"A": "b"}},
}


def bind(rbac: Any, rules: list[dict[str, Any]]) -> None:
    """Let our user do just this within the namespace."""
    rbac.create_namespaced_role("default", {"metadata": {"name": "presagio"}, "rules": rules})
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "presagio"}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": USER_NAME}
    body = {"metadata": {"name": "presagio"}, "roleRef": reference, "subjects": [subject]}
    rbac.create_namespaced_role_binding("default", body)


@pytest.mark.parametrize("name", PARAMS)
def test_the_role_of_an_action_is_enough_and_none_of_it_is_too_much(
    apps: Any, control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    release(apps, "registry.test/two")
    rbac = import_module("kubernetes.client").RbacAuthorizationV1Api(apps.api_client)
    action = base.load(name)
    params = action.Params.model_validate(PARAMS[name])
    rules = roles.rules(roles.narrowed(action.permissions, params))
    bind(rbac, rules)
    use(control_plane.kubeconfig(USER), monkeypatch)
    try:
        for rule in rules:
            for verb in rule["verbs"]:
                less = [
                    {**one, "verbs": [some for some in one["verbs"] if one is not rule or some != verb]}
                    for one in rules
                ]
                rbac.patch_namespaced_role("presagio", "default", {"rules": [one for one in less if one["verbs"]]})
                wait_until(lambda: _is_refused(name), f"a refusal without {verb} {rule['resources'][0]}")
        rbac.patch_namespaced_role("presagio", "default", {"rules": rules})
        plan = wait_until(lambda: _planned_if_allowed(name), "the plan")
        action.apply(plan, "a-1")
        assert action.probe(plan, "a-1") is Probe.APPLIED
        assert action.changed(plan) is None
        if plan.undo:
            action.undo(plan)
    finally:
        rbac.delete_namespaced_role_binding("presagio", "default")
        rbac.delete_namespaced_role("presagio", "default")


def _is_refused(name: str) -> bool:
    """A changed role takes a moment to be in force."""
    try:
        planned(name, **PARAMS[name])
    except (PlanError, NotAppliedError) as error:
        return bool(re.search("we may not .* bind a Role|403 Forbidden: .* is forbidden", str(error)))
    return False


def _planned_if_allowed(name: str) -> Plan | None:
    try:
        return planned(name, **PARAMS[name])
    except (PlanError, NotAppliedError):
        return None
