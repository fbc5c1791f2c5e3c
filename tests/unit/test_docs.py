"""README.md, CONTRIBUTING.md and docs/: examples load, references are those of the code, links lead somewhere."""

import importlib.util
import json
import re
import subprocess
from argparse import Namespace
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase
from pydantic import BaseModel

from presagio.exporter import config as exporter_config
from presagio.exporter import publish_forecasts, publish_predictions, publish_services, submitted
from presagio.exporter.api_models import Submission
from presagio.exporter.config import ExporterConfig
from presagio.exporter.presets import catalogue
from presagio.exporter.publish import FAMILIES
from presagio.exporter.registry import Service
from presagio.exporter.server import ExporterWing
from presagio.toolkit import plugins
from presagio.toolkit.clock import SystemClock
from presagio.toolkit.log import get_log
from presagio.toolkit.reloading import ReloadState
from presagio.toolkit.serve import Context, _Server
from presagio.webhook import config as webhook_config
from presagio.webhook.config import WebhookConfig
from presagio.webhook.server import WebhookWing

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("**/*.md")])
GUIDES = [
    ROOT / "README.md",
    ROOT / "README.es.md",
    *(DOCS / name for name in ("getting-started.md", "prometheus.md", "advanced.md")),
]
METRICS = (DOCS / "metrics.md").read_text()
IDENTITY = ("service_id", "signal", "identity")


def blocks(text: str, language: str) -> list[str]:
    """Return the blocks of code in a language; of those without one if it is empty."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [block for name, block in found if name == language]


def prose(text: str) -> str:
    """Return a page without its code."""
    return re.sub(r"^```.*?^```|`[^`\n]*`", "", text, flags=re.MULTILINE | re.DOTALL)


# The reference of the configuration


@cache
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", DOCS / "reference.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def models() -> Iterator[tuple[str, type[BaseModel]]]:
    roots: dict[str, type[BaseModel]] = {"exporter.yml": ExporterConfig, "webhook.yml": WebhookConfig}
    for name in plugins.names(plugins.DETECTORS):
        roots[f"detector {name}"] = plugins.load(plugins.DETECTORS, name).Params
    for name in plugins.names(plugins.COMBINERS):
        roots[f"combiner {name}"] = plugins.load(plugins.COMBINERS, name).Params
    for name in plugins.names(plugins.FORECASTERS):
        roots[f"forecaster {name}"] = plugins.load(plugins.FORECASTERS, name).Params
    for name in plugins.names(plugins.PREDICTORS):
        roots[f"predictor {name}"] = plugins.load(plugins.PREDICTORS, name).Params
    for name, root in roots.items():
        for path, model in reference().models(root):
            yield f"{name}: {path}", model


def test_the_configuration_reference_is_what_the_code_says() -> None:
    written = (DOCS / "configuration.md").read_text()
    assert written == reference().document(), "run: python docs/reference.py"


def test_every_key_has_a_description() -> None:
    fields = ((place, name, field) for place, model in models() for name, field in model.model_fields.items())
    assert [f"{place}.{name}" for place, name, field in fields if not field.description] == []


@pytest.mark.parametrize("name", catalogue.names())
def test_every_preset_loads(name: str, tmp_path: Path) -> None:
    path = tmp_path / "exporter.yml"
    path.write_text(yaml.safe_dump({"signals": catalogue.signals(name)}))
    assert exporter_config.FILE.load(path).signals


# Examples


def examples(kind: str) -> list[Any]:
    """Return the examples of one kind of file: the first line of each says what it is."""
    return [
        pytest.param(text, id=f"{page.name}-{number}")
        for page in GUIDES
        for number, text in enumerate(blocks(page.read_text(), "yaml"))
        if text.startswith(f"# {kind}\n")
    ]


def written(text: str, path: Path) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.name)
def test_every_example_says_what_it_is(page: Path) -> None:
    known = {"exporter.yml", "webhook.yml", "prometheus.yml", "alertmanager.yml"}
    firsts = {text.splitlines()[0].removeprefix("# ") for text in blocks(page.read_text(), "yaml")}
    assert firsts <= known
    assert firsts


@pytest.mark.parametrize("text", examples("exporter.yml"))
def test_the_examples_of_the_exporter_load(text: str, tmp_path: Path) -> None:
    exporter_config.FILE.load(written(text, tmp_path / "exporter.yml"))


@pytest.mark.parametrize("text", examples("webhook.yml"))
def test_the_examples_of_the_webhook_load(text: str, tmp_path: Path) -> None:
    webhook_config.FILE.load(written(text, tmp_path / "webhook.yml"))


@pytest.mark.parametrize("text", examples("prometheus.yml"))
def test_prometheus_takes_the_examples(text: str, tmp_path: Path, promtool: Path) -> None:
    (tmp_path / "rules").symlink_to(ROOT / "rules")
    checked(promtool, "check", "config", written(text, tmp_path / "prometheus.yml"))


@pytest.mark.parametrize("text", examples("alertmanager.yml"))
def test_alertmanager_takes_the_examples(text: str, tmp_path: Path, amtool: Path) -> None:
    checked(amtool, "check-config", written(text, tmp_path / "alertmanager.yml"))


def checked(tool: Path, *words: str | Path) -> None:
    answer = subprocess.run([tool, *words], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_the_bodies_of_the_api_are_right() -> None:
    bodies: dict[str, type[BaseModel]] = {"register-service": Service, "submit-metrics": Submission}
    text = (DOCS / "getting-started.md").read_text()
    found = re.findall(r"localhost:8000/(\S+) \\\n.*\\\n  -d '([^']*)'", text)
    assert {path for path, _ in found} == set(bodies)
    for path, body in found:
        bodies[path].model_validate(json.loads(body))


# Metrics


def row_of(line: str) -> tuple[str, str, list[str]] | None:
    cells = [cell.strip() for cell in line.split("|")]
    if len(cells) < 7 or not cells[1].startswith("`presagio_"):
        return None
    return cells[1].strip("`"), cells[2], [label for label in cells[3].split(", ") if label]


DOCUMENTED = {row[0]: row[1:] for row in map(row_of, METRICS.splitlines()) if row}


def own(registry: CollectorRegistry) -> Iterator[tuple[str, str, list[str]]]:
    """Yield name, type and labels of our metrics; without labels' values, most have no sample yet."""
    for collector in registry._collector_to_names:
        if isinstance(collector, MetricWrapperBase):
            kind = str(collector._type)
            yield f"{collector._name}{'_total' * (kind == 'counter')}", kind, list(collector._labelnames)
            continue
        for metric in collector.collect():
            if metric.name.startswith("presagio_"):
                name = f"{metric.name}{'_info' * (metric.type == 'info')}"
                labels = getattr(metric, "_labelnames", ()) or metric.samples[0].labels
                yield name, metric.type, list(labels)


def context(folder: Path) -> Context:
    """Return what toolkit.serve gives to a wing, with the registry that it really makes."""
    server = cast(_Server, SimpleNamespace(state=ReloadState()))
    arguments = Namespace(storage_path=folder)
    return Context(arguments, _Server._registry(server), SystemClock(), get_log("test"), lambda: None)


@pytest.fixture
def created(tmp_path: Path) -> dict[str, tuple[str, list[str]]]:
    """Return all metrics of both servers, put together as they are when they run."""
    found = [(family.name, "gauge", list(IDENTITY)) for family in FAMILIES]
    found.append((submitted.NAME, "gauge", ["service_id", "metric"]))
    by = {name: "threshold" if "threshold" in name else "horizon" for name in publish_forecasts.FAMILIES}
    found.extend((name, "gauge", [*IDENTITY, label]) for name, label in by.items())
    found.extend((name, "gauge", ["service_id", "failure", "horizon"]) for name in publish_predictions.FAMILIES)
    of_signals = {publish_services.CONTRIBUTION: ["service_id", "signal"]}
    found.extend((name, "gauge", of_signals.get(name, ["service_id"])) for name in publish_services.FAMILIES)
    open_api = {"authentication": "none"}
    of_exporter = context(tmp_path)
    ExporterWing().build(ExporterConfig.model_validate({"api": open_api}), of_exporter)
    found.extend(own(of_exporter.registry))
    of_webhook = context(tmp_path)
    webhook = WebhookWing().build(WebhookConfig.model_validate({"api": open_api}), of_webhook)
    found.extend(own(of_webhook.registry))
    webhook.parts.workers.shutdown()
    webhook.parts.engine.dispose()
    return {name: (kind, labels) for name, kind, labels in found}


def test_every_metric_is_documented_and_every_documented_one_exists(
    created: dict[str, tuple[str, list[str]]],
) -> None:
    assert sorted(DOCUMENTED) == sorted(created)


def test_type_and_labels_are_documented_as_they_are(created: dict[str, tuple[str, list[str]]]) -> None:
    assert created == DOCUMENTED


@pytest.mark.parametrize("name", DOCUMENTED)
def test_every_metric_has_a_query(name: str) -> None:
    assert re.search(rf"\b{name}(_bucket|_sum|_count)?\b", "".join(blocks(METRICS, "promql")))


def test_prometheus_takes_the_queries(promtool: Path, tmp_path: Path) -> None:
    lines = "".join(blocks(METRICS, "promql")).splitlines()
    queries = [line for line in lines if not line.startswith("#")]
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries)]
    text = yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]})
    checked(promtool, "check", "rules", written(text, tmp_path / "rules.yml"))


def test_every_recording_rule_is_documented() -> None:
    groups = yaml.safe_load((ROOT / "rules" / "presagio.rules.yml").read_text())["groups"]
    recorded = {rule["record"] for group in groups for rule in group["rules"]}
    section = METRICS.split("\n## Recording rules\n")[1]
    assert set(re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)) == recorded


# The house, and the links


def test_the_readme_has_a_line_for_every_room() -> None:
    tree = next(text for text in blocks((ROOT / "README.md").read_text(), "") if text.startswith("toolkit/"))
    named = {line.split()[0].rstrip("/") for line in tree.splitlines()}
    packages = {str(init.parent.relative_to(ROOT)) for init in ROOT.glob("[a-z]*/**/__init__.py")}
    packages = {name for name in packages if name.split("/")[0] not in ("build", "tests", "dist")}
    assert packages <= named
    assert {name for name in named if not (ROOT / name).is_dir()} == set()


def links(page: Path) -> set[str]:
    found = set(re.findall(r"\]\(([^()\s]+)\)", prose(page.read_text())))
    return {link for link in found if not re.match(r"[a-z]+:", link)}


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)", re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S), re.MULTILINE)
    return {reference().slug(heading.replace("`", "")) for heading in headings}


def leads_nowhere(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    return not target.exists() or bool(anchor and anchor not in anchors(target))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert {link for link in links(page) if leads_nowhere(page, link)} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_index_lists_every_page(page: Path) -> None:
    index = (DOCS / "README.md").read_text()
    if page.parent == DOCS and page.name != "README.md":
        assert f"({page.name})" in index
