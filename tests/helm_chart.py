"""The chart as tests use it: rendered by the real helm, its objects read back."""

import os
import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from absence import absent
from helm_tools import locate

ROOT = Path(__file__).parents[1]
CHART = ROOT / "helm" / "presagio"
CI = sorted((CHART / "ci").glob("*-values.yaml"))
NAMESPACE = "monitoring"
COMPONENTS = ("exporter", "webhook")

KEY: Mapping[str, Any] = {"apiKey": {"existingSecret": "keys"}}
"""All that has no default."""

Object = dict[str, Any]


def tool(name: str) -> Path:
    """Return helm or kubectl; without it skip the running test, or fail it in CI."""
    found = locate(name)
    if found is not None:
        return found
    reason = f"{name} is not on this machine; `make servers` gets it"
    return absent(reason)


def helm(*words: str | Path, env: Mapping[str, str] | None = None, **values: Any) -> subprocess.CompletedProcess[str]:
    """Run helm; `values` are handed over as a file would be."""
    argv: list[str | Path] = [tool("helm"), *words]
    if values:
        argv += ["--values", "-"]
    return subprocess.run(
        argv, input=yaml.safe_dump(values), env={**os.environ, **(env or {})},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def render(*words: str | Path, chart: Path = CHART, **values: Any) -> list[Object]:
    """Return the objects that the chart makes of some values."""
    answer = helm("template", "presagio", chart, "--namespace", NAMESPACE, *words, **values)
    assert answer.returncode == 0, answer.stderr
    return [one for one in yaml.safe_load_all(answer.stdout) if one]


def refused(told: str, **values: Any) -> None:
    """Check that helm refuses values, and what it says."""
    answer = helm("template", "presagio", CHART, "--namespace", NAMESPACE, **values)
    assert answer.returncode != 0
    assert re.search(told, " ".join(answer.stderr.split())), answer.stderr


def notes(**values: Any) -> str:
    """Return what helm tells after an install."""
    answer = helm("install", "presagio", CHART, "--dry-run=client", "--namespace", NAMESPACE, **values)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.partition("\nNOTES:\n")[2]


def of(path: Path) -> Mapping[str, Any]:
    """Return the values of a file."""
    values: Mapping[str, Any] = yaml.safe_load(path.read_text())
    return values


def only(objects: Iterable[Object], kind: str, name: str = "") -> Object:
    """Return the one object of a kind whose name ends so."""
    [found] = [one for one in objects if one["kind"] == kind and one["metadata"]["name"].endswith(name)]
    return found


def kinds(objects: Iterable[Object], *wanted: str) -> list[Object]:
    """Return the objects of some kinds."""
    return [one for one in objects if one["kind"] in wanted]


def pods(objects: Iterable[Object]) -> list[Object]:
    """Return the spec of every pod that the objects make."""
    found = [one["spec"]["template"]["spec"] for one in kinds(objects, "StatefulSet", "Deployment")]
    return [*found, *(one["spec"] for one in kinds(objects, "Pod"))]


def mounted(objects: Iterable[Object], component: str, folder: Path) -> Path:
    """Write what a component's pod sees at /etc/presagio, each secret as `secret-of-FILE`; return the folder."""
    known = list(objects)
    [config] = [volume for volume in pod_of(known, component)["volumes"] if volume["name"] == "config"]
    for source in config["projected"]["sources"]:
        if "configMap" in source:
            data: Mapping[str, str] = only(known, "ConfigMap", source["configMap"]["name"])["data"]
        else:
            data = {item["path"]: f"secret-of-{item['path'].replace('/', '-')}" for item in source["secret"]["items"]}
        for name, text in data.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace("/etc/presagio/", f"{folder}/"))
    return folder


def pod_of(objects: Iterable[Object], component: str) -> Object:
    """Return the spec of a component's pod."""
    workload = {"exporter": "StatefulSet", "webhook": "Deployment"}[component]
    pod: Object = only(objects, workload, component)["spec"]["template"]["spec"]
    return pod


def container_of(objects: Iterable[Object], component: str) -> Object:
    """Return the one container of a component's pod."""
    [container] = pod_of(objects, component)["containers"]
    return dict(container)


def arguments(objects: Iterable[Object], component: str) -> list[str]:
    """Return the command line of a component's container."""
    return list(container_of(objects, component)["args"])


def keys_of(volume: Object) -> dict[str, tuple[str, str]]:
    """Return which key of which Secret or ConfigMap each file of a projected volume is."""
    sources = [one for source in volume["projected"]["sources"] for one in source.values()]
    return {item["path"]: (one["name"], item["key"]) for one in sources for item in one.get("items", ())}
