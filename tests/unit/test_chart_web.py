"""The chart's web configuration files, Ingresses and notifications: what is made of the values, what is refused."""

import argparse
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from helm_chart import (
    CHART,
    COMPONENTS,
    KEY,
    ROOT,
    arguments,
    container_of,
    keys_of,
    kinds,
    mounted,
    notes,
    of,
    only,
    pod_of,
    refused,
    render,
)

from presagio.toolkit.cli import _parser
from presagio.webhook.config import FILE as WEBHOOK

pytestmark = pytest.mark.servers

SECURED = CHART / "ci" / "secured-values.yaml"
CA = {"ca": {"secret": {"name": "ca", "key": "ca.crt"}}}
CLIENT = {"cert": {"secret": {"name": "c", "key": "tls.crt"}}, "keySecret": {"name": "c", "key": "tls.key"}}
USER = {"username": {"name": "u", "key": "name"}, "password": {"name": "u", "key": "word"}}
PORTS = {"exporter": 8000, "webhook": 3001}

both = pytest.mark.parametrize("component", COMPONENTS)


def web(component: str, **settings: Any) -> dict[str, Any]:
    return {**KEY, component: {"webConfig": {"existingSecret": "web", **settings}}}


def probes(values: dict[str, Any], component: str) -> dict[str, dict[str, Any]]:
    container = container_of(render(**values), component)
    return {name: container[f"{name}Probe"] for name in ("startup", "liveness", "readiness")}


# Web configuration files


@both
def test_the_file_and_its_certificates_are_one_folder(component: str) -> None:
    objects = render(**web(component, key="other.yml"))
    assert "--web.config.file=/etc/presagio-web/other.yml" in arguments(objects, component)
    mounts = {one["name"]: one["mountPath"] for one in container_of(objects, component)["volumeMounts"]}
    [volume] = [one for one in pod_of(objects, component)["volumes"] if one["name"] == "web"]
    assert mounts["web"] == "/etc/presagio-web"
    # the whole Secret: `items` would leave certificates out
    assert volume["secret"] == {"secretName": "web", "defaultMode": 0o440}


@both
def test_without_a_file_nothing_of_it_is_there(component: str) -> None:
    objects = render(**KEY)
    assert [word for word in arguments(objects, component) if "web.config" in word] == []
    assert {one["name"] for one in pod_of(objects, component)["volumes"]} & {"web", "client"} == set()
    [endpoint] = only(objects, "ServiceMonitor", component)["spec"]["endpoints"]
    assert set(endpoint) == {"port", "path", "honorLabels", "interval"}


@both
def test_the_kubelet_asks_by_the_scheme_of_the_file(component: str) -> None:
    for name, probe in probes(web(component, tlsConfig=CA), component).items():
        assert probe["httpGet"]["scheme"] == "HTTPS", name
    for name, probe in probes(web(component, scheme="http"), component).items():
        assert probe["httpGet"]["scheme"] == "HTTP", name


@both
@pytest.mark.parametrize("client", [CLIENT, {}], ids=["certificate", "user"])
def test_who_must_be_known_is_asked_from_within_the_pod(component: str, client: dict[str, Any]) -> None:
    values = web(component, tlsConfig={**CA, **client}, basicAuth={} if client else USER)
    found = probes(values, component)
    paths = {"startup": "/-/healthy", "liveness": "/-/healthy", "readiness": "/-/ready"}
    for name, probe in found.items():
        program, *words = probe["exec"]["command"]
        parsed = _parser().parse_args(words)
        assert program == "presagio"
        assert parsed.urls == [f"https://localhost:{PORTS[component]}{paths[name]}"]
        assert parsed.timeout < probe["timeoutSeconds"]
        assert parsed.insecure
        named = {str(path) for path in vars(parsed).values() if isinstance(path, Path)}
        assert named <= files(values, component)
        assert len(named) == 2


def files(values: dict[str, Any], component: str) -> set[str]:
    """Return the paths that a container sees of its client volume."""
    objects = render(**values)
    [folder] = [
        one["mountPath"] for one in container_of(objects, component)["volumeMounts"] if one["name"] == "client"
    ]
    [volume] = [one for one in pod_of(objects, component)["volumes"] if one["name"] == "client"]
    return {f"{folder}/{name}" for name in keys_of(volume)}


@both
def test_a_monitor_has_what_the_operator_takes(component: str) -> None:
    def endpoint(**settings: Any) -> Any:
        return only(render(**web(component, **settings)), "ServiceMonitor", component)["spec"]["endpoints"][0]

    made = endpoint(tlsConfig={**CA, **CLIENT}, basicAuth=USER)
    # Prometheus asks pods by address, which is in no certificate
    named = {"serverName": f"presagio-{component}.monitoring"}
    assert (made["scheme"], made["tlsConfig"], made["basicAuth"]) == ("https", {**CA, **CLIENT, **named}, USER)
    assert endpoint(tlsConfig={"serverName": "x.example.org"})["tlsConfig"] == {"serverName": "x.example.org"}
    assert endpoint(tlsConfig={"insecureSkipVerify": True})["tlsConfig"] == {"insecureSkipVerify": True}
    users = endpoint(scheme="http", basicAuth=USER)
    assert (users.get("scheme"), users.get("tlsConfig"), users["basicAuth"]) == (None, None, USER)


@both
def test_helm_test_asks_as_prometheus_does(component: str) -> None:
    def asking(**settings: Any) -> tuple[argparse.Namespace, dict[str, tuple[str, str]]]:
        pod = only(render(**web(component, **settings)), "Pod")["spec"]
        [container] = [one for one in pod["containers"] if one["name"] == f"{component}-answers"]
        volumes = [one for one in pod["volumes"] if one["name"] == f"{component}-client"]
        assert [one["name"] for one in container.get("volumeMounts", [])] == [one["name"] for one in volumes]
        return _parser().parse_args(container["args"]), {
            name: key for one in volumes for name, key in keys_of(one).items()
        }

    parsed, keys = asking(tlsConfig={**CA, **CLIENT}, basicAuth=USER)
    assert parsed.urls == [f"https://presagio-{component}.monitoring:{PORTS[component]}/metrics"]
    assert (parsed.insecure, parsed.server_name) == (False, f"presagio-{component}.monitoring")
    assert keys == {
        "ca.crt": ("ca", "ca.crt"), "tls.crt": ("c", "tls.crt"), "tls.key": ("c", "tls.key"),
        "username": ("u", "name"), "password": ("u", "word"),
    }  # fmt: skip
    told = {path.name for path in vars(parsed).values() if isinstance(path, Path)}
    assert told == set(keys)
    parsed, keys = asking(tlsConfig={"insecureSkipVerify": True})
    assert (parsed.insecure, parsed.server_name, parsed.ca_file, keys) == (True, None, None, {})
    parsed, keys = asking(scheme="http")
    assert parsed.urls[0].startswith("http://")


def test_notes_say_how_a_server_with_tls_and_users_is_asked() -> None:
    values = web("webhook", tlsConfig=CA, basicAuth=USER)
    told = notes(**{**values, "exporter": {"webConfig": {"existingSecret": "web"}}})
    assert "curl --insecure https://localhost:8000/metrics" in told
    assert "url: https://presagio-webhook.monitoring:3001/api/v1/alerts" in told
    assert "basic_auth: {username: alertmanager, " in told
    assert "tls_config: {ca_file: " in told
    assert "authorization" not in told
    assert "then open https://localhost:3001" in told


@both
@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"existingSecret": "", "basicAuth": USER}, r"{}.webConfig.existingSecret: expected a Secret with the file"),
        ({"scheme": "http", "tlsConfig": CA}, r"{}.webConfig.scheme: expected https beside webConfig.tlsConfig"),
        ({"scheme": "HTTPS"}, r"/{}/webConfig/scheme"),
        ({"tlsConfig": {"cert": CLIENT["cert"]}}, r"/{}/webConfig/tlsConfig.*keySecret"),
        ({"basicAuth": {"username": USER["username"]}}, r"/{}/webConfig/basicAuth.*password"),
    ],
    ids=["no file", "no TLS", "scheme", "no key", "no password"],
)
def test_what_does_not_go_together_is_refused(component: str, settings: dict[str, Any], told: str) -> None:
    refused(told.format(component), **web(component, **settings))


# Ingress


@both
def test_an_ingress_leads_to_the_service(component: str) -> None:
    hosts = [{"host": "a.example.org"}, {"host": "b.example.org", "paths": [{"path": "/docs", "pathType": "Exact"}]}]
    ingress = {"enabled": True, "hosts": hosts, "annotations": {"a": "b"}}
    values: dict[str, Any] = {**KEY, component: {"ingress": ingress}}
    objects = render(**values)
    made = only(objects, "Ingress", component)
    assert kinds(objects, "Ingress") == [made]
    assert made["metadata"]["annotations"] == {"a": "b"}
    assert set(made["spec"]) == {"rules"}
    rules = {rule["host"]: rule["http"]["paths"] for rule in made["spec"]["rules"]}
    [port] = only(objects, "Service", component)["spec"]["ports"]
    backend = {"service": {"name": f"presagio-{component}", "port": {"name": port["name"]}}}
    assert rules == {
        "a.example.org": [{"path": "/", "pathType": "Prefix", "backend": backend}],
        "b.example.org": [{"path": "/docs", "pathType": "Exact", "backend": backend}],
    }
    told = notes(**values)
    assert f"The {component} is at http://a.example.org http://b.example.org" in told
    assert "WARNING: this Ingress has no tls" in told


def test_there_is_none_unless_it_is_wanted() -> None:
    assert kinds(render(**KEY), "Ingress") == []


def test_alerts_link_to_the_ingress(tmp_path: Path) -> None:
    ingress = {"enabled": True, "hosts": [{"host": "p.example.org"}]}

    def link(tls: list[Any], **config: Any) -> str | None:
        values = {"ingress": {**ingress, "tls": tls}, "config": {"policies": [], **config}}
        objects = render(**KEY, webhook=values)
        return WEBHOOK.load(mounted(objects, "webhook", tmp_path) / "webhook.yml").external_url

    assert link([]) == "http://p.example.org"
    assert link([{"hosts": ["p.example.org"], "secretName": "s"}]) == "https://p.example.org"
    assert link([], external_url="https://elsewhere") == "https://elsewhere"


def test_an_ingress_that_cannot_work_is_refused() -> None:
    on = {"enabled": True}
    refused(r"webhook.ingress.hosts: expected a host such as", **KEY, webhook={"ingress": on})
    several = {"shards": 3, "ingress": {**on, "hosts": [{"host": "a"}]}}
    refused(r"exporter.ingress.enabled: expected false with 3 shards", **KEY, exporter=several)
    refused(r"/webhook/ingress/hosts/0.*host", **KEY, webhook={"ingress": {**on, "hosts": [{"paths": []}]}})


# Notifications


def test_the_templates_are_the_file_of_the_house_and_the_address_of_grafana(amtool: Path, tmp_path: Path) -> None:
    data = only(render("--values", SECURED), "ConfigMap", "notifications")["data"]
    assert data["presagio.tmpl"].encode() == (ROOT / "rules" / "presagio.tmpl").read_bytes()
    for name, text in data.items():
        (tmp_path / name).write_text(text)
    # sorted, as Alertmanager reads what a pattern matches: the last definition counts
    assert sorted(data) == ["presagio.tmpl", "site.tmpl"]
    argv: list[str | Path] = [
        amtool, "template", "render", f"--template.glob={tmp_path}/*.tmpl",
        '--template.text={{ template "presagio.grafana" . }}',
    ]  # fmt: skip
    answer = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert answer.stdout.strip() == of(SECURED)["notifications"]["grafana"].rstrip("/"), answer.stderr


def test_the_templates_are_where_alertmanager_is_and_only_if_wanted() -> None:
    assert [one for one in kinds(render(**KEY), "ConfigMap") if "notifications" in one["metadata"]["name"]] == []
    made = only(render(**KEY, notifications={"enabled": True, "namespace": "a"}), "ConfigMap", "notifications")
    assert (made["metadata"]["namespace"], set(made["data"])) == ("a", {"presagio.tmpl"})
    for address in ("grafana", 'https://g"', "https://g}}{{ x"):
        refused(r"/notifications/grafana", **KEY, notifications={"enabled": True, "grafana": address})


def test_notes_have_the_values_of_kube_prometheus_stack() -> None:
    told = notes(**KEY, notifications={"enabled": True, "namespace": "alerting"})
    block = re.search(r"namespace alerting:\n\n(     alertmanager:\n(?:       .*\n)+)", told)
    assert block, told
    made = yaml.safe_load(block[1])["alertmanager"]
    assert made["alertmanagerSpec"] == {"configMaps": ["presagio-notifications"]}
    assert made["config"] == {"templates": ["/etc/alertmanager/configmaps/presagio-notifications/*.tmpl"]}
