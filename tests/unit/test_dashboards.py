"""grafana/dashboards: what its generator writes, by the conventions, and of metrics that there are."""

from __future__ import annotations

import json
import re
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from dashboards import panels
from dashboards.__main__ import FOLDER, texts

ROOT = Path(__file__).parents[2]
BOARDS = {path.name: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
DOCUMENTED = (ROOT / "docs" / "metrics.md").read_text()
RULES = (ROOT / "rules" / "presagio.rules.yml").read_text()
BY_OTHERS = {
    "ALERTS",  # Prometheus
    "process_resident_memory_bytes", "process_cpu_seconds_total",  # every program with Prometheus' client
    "kube_replicaset_created", "kube_replicaset_owner",  # kube-state-metrics
}  # fmt: skip
GRAFANA = {
    "__from",
    "__range",
    "__rate_interval",
    "__interval_ms",
    "__interval",
    "__all",
    "__data",
    "__value",
    "__url_time_range",
}
WORDS = {
    "sum", "min", "max", "avg", "count", "by", "on", "and", "or", "group_left", "topk", "bottomk", "rate", "increase",
    "vector", "time", "label_replace", "histogram_quantile", "max_over_time", "end", "offset", "sort_desc", "Inf",
}  # fmt: skip


def everything() -> list[Any]:
    """Return each panel with data, as a parameter named by its dashboard and title."""
    return [
        pytest.param(panel, id=f"{name.removesuffix('.json')}: {panel['title']}")
        for name, board in BOARDS.items()
        for panel in board["panels"]
        if panel["type"] != "row"
    ]


def test_the_files_are_what_the_generator_writes() -> None:
    assert {path.name: path.read_text() for path in FOLDER.glob("*.json")} == texts(), "run: make dashboards"


def test_there_are_four_with_uids_of_their_own_that_are_their_names() -> None:
    assert sorted(BOARDS) == [
        "presagio-itself.json", "presagio-overview.json", "presagio-remediation.json", "presagio-service.json",
    ]  # fmt: skip
    assert [f"{board['uid']}.json" for board in BOARDS.values()] == list(BOARDS)
    assert len({board["title"] for board in BOARDS.values()}) == len(BOARDS)


@pytest.mark.parametrize("panel", everything())
class TestEveryPanel:
    def test_it_says_what_it_is(self, panel: dict[str, Any]) -> None:
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]

    def test_it_asks_the_chosen_data_source_only(self, panel: dict[str, Any]) -> None:
        assert panel["datasource"] == SOURCE
        assert panel["targets"]
        assert [target["datasource"] for target in panel["targets"]] == [SOURCE] * len(panel["targets"])

    def test_its_queries_have_letters_of_their_own_and_legends(self, panel: dict[str, Any]) -> None:
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters)
        assert all(target["legendFormat"] for target in panel["targets"])

    def test_a_band_ends_at_a_line_that_is_there(self, panel: dict[str, Any]) -> None:
        legends = {target["legendFormat"] for target in panel["targets"]}
        for override in panel["fieldConfig"].get("overrides", []):
            for one in override["properties"]:
                assert one["id"] != "custom.fillBelowTo" or one["value"] in legends

    def test_rates_heed_the_scrape_interval(self, panel: dict[str, Any]) -> None:
        """No window is written down where a graph chooses it."""
        windows = {one for target in panel["targets"] for one in re.findall(r"\[([^\]]+)\]", target["expr"])}
        assert windows <= {"$__rate_interval", "$__range"}


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
class TestEveryDashboard:
    def test_numbers_of_panels_are_unique(self, board: dict[str, Any]) -> None:
        numbers = [panel["id"] for panel in board["panels"]]
        assert len(set(numbers)) == len(numbers)

    def test_panels_stand_on_the_grid_and_on_no_other(self, board: dict[str, Any]) -> None:
        places = [panel["gridPos"] for panel in board["panels"]]
        assert all(one["x"] >= 0 and one["x"] + one["w"] <= 24 and one["h"] > 0 for one in places)
        for one, other in combinations(places, 2):
            beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
            below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
            assert beside or below, (one, other)

    def test_variables_that_are_used_are_there_and_those_there_are_used(self, board: dict[str, Any]) -> None:
        names = [variable["name"] for variable in board["templating"]["list"]]
        assert names[:3] == ["datasource", "job", "namespace"]
        assert len(set(names)) == len(names)
        used = set(re.findall(r"\$\{?([a-zA-Z_]\w*)", json.dumps(board)))
        assert used - GRAFANA == set(names)

    def test_no_data_source_is_named(self, board: dict[str, Any]) -> None:
        found = _values(board, "datasource")
        assert found
        assert all(one == SOURCE for one in found)

    def test_it_leads_to_the_others_and_is_found_by_them(self, board: dict[str, Any]) -> None:
        assert board["tags"] == ["presagio"]
        assert [link["tags"] for link in board["links"]] == [["presagio"]]

    def test_links_lead_to_dashboards_that_are_there(self, board: dict[str, Any]) -> None:
        uids = re.findall(r"/d/([\w-]+)/", json.dumps(board))
        assert {f"{uid}.json" for uid in uids} <= set(BOARDS)

    def test_its_metrics_are_there(self, board: dict[str, Any]) -> None:
        texts = [query for _, query in panels.queries(board)]
        names = {name for text in texts for name in _names(text)}
        assert names
        assert {name for name in names - BY_OTHERS if not _is_documented(name)} == set()

    def test_it_is_described_on_its_page(self, board: dict[str, Any]) -> None:
        page = (ROOT / "docs" / "dashboards.md").read_text()
        assert board["uid"] in page
        rows = [panel["title"] for panel in board["panels"] if panel["type"] == "row"]
        assert [row for row in rows if row.partition(" $")[0] not in page] == []

    def test_prometheus_takes_its_queries(self, board: dict[str, Any], promtool: Path, tmp_path: Path) -> None:
        told = [panels.substituted(query, panels.EXAMPLES) for _, query in panels.queries(board)]
        rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(told)]
        file = tmp_path / "rules.yml"
        file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
        answer = subprocess.run([promtool, "check", "rules", file], capture_output=True, text=True, check=False)
        assert answer.returncode == 0, answer.stdout + answer.stderr


def test_an_event_whose_value_is_its_moment_is_drawn_there() -> None:
    """Grafana takes values for moments in milliseconds, and only if it is told so."""
    events = BOARDS["presagio-service.json"]["annotations"]["list"]
    moments = {event["name"] for event in events if "_timestamp_seconds" in event["expr"]}
    assert moments == {"Remediations", "Outcomes of remediations"}
    assert {event["name"] for event in events if event["useValueForTime"]} == moments
    assert {event["name"] for event in events if "* 1000 >= $__from" in event["expr"]} == moments


def test_thresholds_are_read_from_rules_with_something_to_fall_back_on() -> None:
    text = json.dumps(list(BOARDS.values()))
    for name, value in (("anomaly_score", "0.6"), ("failure_probability", "0.5")):
        whole = f"(max(presagio:{name}:threshold) or vector({value}))"
        assert text.count(f"presagio:{name}:threshold") == text.count(whole) > 0


def _values(node: Any, key: str) -> list[Any]:
    """Return all values of a key, at any depth."""
    if isinstance(node, list):
        return [one for part in node for one in _values(part, key)]
    if not isinstance(node, dict):
        return []
    found = [node[key]] if key in node else []
    return found + [one for part in node.values() for one in _values(part, key)]


def _names(query: str) -> set[str]:
    """Return the names of metrics in a query: what is left without strings, matchers, labels and functions."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', "", query)
    bare = re.sub(r"\{[^{}]*\}|\[[^\]]*\]|\$\w+", "", bare)
    bare = re.sub(r"\b(by|on|ignoring|group_left)\s*\([^()]*\)", "", bare)
    return set(re.findall(r"[a-zA-Z_][\w:]*", bare)) - WORDS


def _is_documented(name: str) -> bool:
    if ":" in name:
        return f"record: {name}\n" in RULES
    return re.search(rf"`{re.sub('_(bucket|sum|count)$', '', name)}`", DOCUMENTED) is not None
