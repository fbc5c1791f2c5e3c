"""Write what the chart repeats of the code and of its own values: the rights of actions, the schema, the table.

    python helm/generate.py

files/permissions.json is the table of action and rights from which the chart makes its Roles; files/scalings.json has
the forms of a command of action_policies.json that the webhook takes for kubernetes.scale_by. In values.schema.json
the keys of exporter.yml and webhook.yml are those of the models, so that a misspelt one is refused before anything is
installed. The README's table is made of the comments in values.yaml. tests/unit/test_chart.py compares all four.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel

from presagio.actions.base import Permission
from presagio.actions.kubernetes import roles, workloads
from presagio.actions.kubernetes.workloads import WorkloadParams
from presagio.exporter.config import ExporterConfig
from presagio.toolkit import plugins
from presagio.webhook import kubectl
from presagio.webhook.config import WebhookConfig
from presagio.webhook.policy_file import Entry

CHART = Path(__file__).with_name("presagio")
PERMISSIONS = CHART / "files" / "permissions.json"
SCALINGS = CHART / "files" / "scalings.json"
SCHEMA = CHART / "values.schema.json"
README = CHART / "README.md"
VALUES = CHART / "values.yaml"

BEGIN, END = "<!-- values: made by helm/generate.py -->", "<!-- end of values -->"

_DOCUMENTED = re.compile(r"(?P<indent> *)(?P<key>[A-Za-z]+):(?P<value>.*)")
_DESCRIPTION = re.compile(r" *# -- (?P<text>.*)")

# Rights of an action: of systems, of resources, the verbs
Rights = dict[str, dict[str, list[str]]]


def permissions() -> dict[str, dict[str, Rights]]:
    """Return the rights of each action that needs Kubernetes, for each kind of workload that it differs by."""
    found = {name: _by_kind(plugins.load(plugins.ACTIONS, name)) for name in plugins.names(plugins.ACTIONS)}
    return {name: kinds for name, kinds in found.items() if any(kinds.values())}


def _by_kind(action: Any) -> dict[str, Rights]:
    if issubclass(action.Params, WorkloadParams):
        return {kind: _rights(workloads.of(kind, action.permissions)) for kind in ("deployment", "statefulset")}
    return {"any": _rights(action.permissions)}


def _rights(wanted: Iterable[Permission]) -> Rights:
    found = list(wanted)
    systems = {system: roles.rules(found, system) for system in (roles.NAMESPACED, roles.CLUSTER)}
    return {
        system: {f"{rule['apiGroups'][0]}/{rule['resources'][0]}": rule["verbs"] for rule in rules}
        for system, rules in systems.items()
        if rules
    }


def keys(model: type[BaseModel]) -> dict[str, Any]:
    """Return the schema of a configuration's keys; what stands in them is the server's own business."""
    properties = {field.alias or name: _inner(field.annotation) for name, field in model.model_fields.items()}
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _inner(annotation: Any) -> dict[str, Any]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return keys(annotation)
    if get_origin(annotation) in (list, tuple):
        item = _inner(get_args(annotation)[0])
        return {"type": "array", **({"items": item} if item else {})}
    found = [one for one in map(_inner, get_args(annotation)) if one.get("properties")]
    return found[0] if len(found) == 1 and get_origin(annotation) is not dict else {}


def schema() -> dict[str, Any]:
    """Return values.schema.json, with the keys that the models have now."""
    whole: dict[str, Any] = json.loads(SCHEMA.read_text())
    components = {component: whole["properties"][component]["properties"] for component in ("exporter", "webhook")}
    components["exporter"]["config"], components["webhook"]["config"] = keys(ExporterConfig), keys(WebhookConfig)
    action = components["webhook"]["actionPolicies"]["additionalProperties"]["properties"]["actions"]
    action["additionalProperties"] = {**keys(Entry), "required": ["command"]}
    action["additionalProperties"]["properties"]["command"] = {"type": "string"}
    return whole


def described() -> Iterator[tuple[str, str, str]]:
    """Yield path, default and meaning of each value that values.yaml describes."""
    defaults = yaml.safe_load(VALUES.read_text())
    path: list[tuple[int, str]] = []
    text = ""
    for line in VALUES.read_text().splitlines():
        if comment := _DESCRIPTION.fullmatch(line):
            text = comment["text"]
        elif entry := _DOCUMENTED.fullmatch(line):
            indent = len(entry["indent"])
            path = [*((before, key) for before, key in path if before < indent), (indent, entry["key"])]
            if text:
                names = [key for _, key in path]
                yield ".".join(names), _shown(_at(defaults, names)), text
            text = ""


def _at(values: Any, names: Iterable[str]) -> Any:
    for name in names:
        values = values[name]
    return values


def _shown(value: Any) -> str:
    return f"`{json.dumps(value)}`"


def table() -> str:
    """Return the README's table of all values."""
    rows = [f"| `{name}` | {default} | {text} |\n" for name, default, text in described()]
    return "".join(["| value | default | meaning |\n", "| --- | --- | --- |\n", *rows])


def readme() -> str:
    """Return the README with the table as it should be."""
    before, _, rest = README.read_text().partition(BEGIN)
    return f"{before}{BEGIN}\n\n{table()}\n{END}{rest.partition(END)[2]}"


def written() -> Mapping[Path, str]:
    """Return each file and what it should hold."""
    return {
        PERMISSIONS: json.dumps(permissions(), indent=2) + "\n",
        SCALINGS: json.dumps(kubectl.FORMS, indent=2) + "\n",
        SCHEMA: json.dumps(schema(), indent=2) + "\n",
        README: readme(),
    }


if __name__ == "__main__":
    for file, text in written().items():
        file.write_text(text)
