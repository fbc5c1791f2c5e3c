"""A metric that is named anywhere is one that is made: in rules, dashboards, presets, pages and policies."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from presagio.exporter.presets import catalogue

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

ROW = re.compile(r"^\| `(presagio_\w+)` \|", re.MULTILINE)
RULE = re.compile(r"^\| `([\w:]+:[\w:]+)` \|", re.MULTILINE)
NAME = re.compile(r"(?<![\w:/.$-])((?:[a-z_]+:)?presagio_[a-z_0-9]+(?::[a-z_0-9]+)*)(?![\w:(*<-])")

DOCUMENTED = set(ROW.findall((DOCS / "metrics.md").read_text()))
"""tests/unit/test_docs.py holds that these are the metrics on the pages of both servers."""

RECORDED = set(RULE.findall((DOCS / "metrics.md").read_text()))

# rows of the benchmarks, and signals
NOT_METRICS = frozenset({"presagio_dropped", "presagio_restarted"}) | {
    signal["name"] for name in catalogue.names() for signal in catalogue.signals(name)
}


def known(name: str) -> bool:
    """Return whether a name is a metric's, one of its series', or the beginning of several (`presagio_model_`)."""
    base = re.sub(r"_(bucket|sum|count|created)$", "", name)
    return bool({name, base} & (DOCUMENTED | RECORDED | NOT_METRICS)) or (
        name.endswith("_") and any(metric.startswith(name) for metric in DOCUMENTED)
    )


def texts() -> Iterator[tuple[str, str]]:
    """Yield all that names metrics: what Prometheus and Grafana read, and what people read."""
    for file in [*(ROOT / "rules").glob("*.yml"), *(ROOT / "exporter" / "presets").glob("*.yml")]:
        yield str(file.relative_to(ROOT)), file.read_text()
    for file in (ROOT / "grafana").rglob("*.json"):
        yield str(file.relative_to(ROOT)), "\n".join(expressions(json.loads(file.read_text())))
    for file in [*ROOT.glob("README*.md"), *DOCS.rglob("*.md")]:
        yield str(file.relative_to(ROOT)), file.read_text()


def expressions(found: object) -> Iterator[str]:
    """Yield every query of a dashboard."""
    if isinstance(found, dict):
        yield from (
            value for key, value in found.items() if key in ("expr", "query", "definition") and isinstance(value, str)
        )
        for value in found.values():
            yield from expressions(value)
    elif isinstance(found, list):
        for value in found:
            yield from expressions(value)


TEXTS = list(texts())


def test_there_are_metrics() -> None:
    assert len(DOCUMENTED) > 40
    assert len(RECORDED) > 5


@pytest.mark.parametrize(("file", "text"), TEXTS, ids=[file for file, _ in TEXTS])
def test_every_metric_that_is_named_exists(file: str, text: str) -> None:
    del file
    assert {name for name in NAME.findall(text) if not known(name)} == set()


def test_a_name_that_nobody_makes_is_found() -> None:
    assert not known("presagio_anomaly_scores")
    assert NAME.findall("max(presagio_anomaly_scores{a='b'}) by (x)") == ["presagio_anomaly_scores"]
    assert known("presagio_remediation_duration_seconds_bucket")


def test_every_alert_and_rule_of_ours_reads_only_what_is_made() -> None:
    groups = [yaml.safe_load(file.read_text())["groups"] for file in (ROOT / "rules").glob("presagio.*.yml")]
    rules = [rule for each in groups for group in each for rule in group["rules"]]
    assert [rule for rule in rules if "record" in rule and rule["record"] not in RECORDED] == []
