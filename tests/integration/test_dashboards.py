"""Every query of every dashboard, asked of a real Prometheus with real data of Presagio, gives series.

The servers are recorded once, by the older generation; then each generation answers from what was recorded.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import binary
from dashboards import answers, panels
from dashboards.__main__ import FOLDER
from dashboards.recording import Recording, record
from servers import Prometheus

BOARDS = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
VALUES = {**answers.LOOKED_AT, "horizon": "30s"}
EVENTS = BOARDS["presagio-service"]["annotations"]["list"]
ACTED_UPON = {"Remediations": "shop/search", "Outcomes of remediations": "shop/search"}
"""The service whose annotations are looked for, where it is not that which fails."""
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="session")  # pytest goes through the modules once for each generation
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    found = [binary(name, "system") for name in ("prometheus", "promtool", "alertmanager")]
    return record((found[0], found[1], found[2]), tmp_path_factory.mktemp("dashboards"), seconds=30, days=2)


@pytest.fixture(scope="module")
def prometheus(
    recording: Recording, prometheus_binary: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """Return a Prometheus that holds a copy of what was recorded, and neither scrapes nor evaluates any more."""
    folder = tmp_path_factory.mktemp("prometheus")
    shutil.copytree(recording.data, folder / "data")
    with Prometheus(prometheus_binary, folder) as running:
        yield running


@pytest.fixture
def window(recording: Recording) -> answers.Window:
    return answers.Window(recording.begin, recording.end)


def targets() -> list[Any]:
    return [
        pytest.param(target, id=f"{uid}: {panel['title']}, {target['refId']}")
        for uid, board in BOARDS.items()
        for panel in board["panels"]
        for target in panel.get("targets", ())
    ]


@pytest.mark.parametrize("target", targets())
def test_every_query_of_every_panel_gives_series(
    prometheus: Prometheus, window: answers.Window, target: dict[str, Any]
) -> None:
    found = answers.answer(prometheus, target, window, VALUES)
    assert found, panels.substituted(target["expr"], {**window.built_in(), **VALUES})
    assert any(_numbers(one) for one in found)


def _numbers(series: dict[str, Any]) -> list[str]:
    points = series["values"] if "values" in series else [series["value"]]
    return [value for _, value in points if value != "NaN"]


@pytest.mark.parametrize(
    "variable",
    [
        pytest.param(variable, id=f"{uid}: {variable['name']}")
        for uid, board in BOARDS.items()
        for variable in board["templating"]["list"]
        if variable["type"] == "query"
    ],
)
def test_every_variable_offers_values(
    prometheus: Prometheus, window: answers.Window, variable: dict[str, Any]
) -> None:
    assert answers.options(prometheus, variable, window, VALUES)


def happened(prometheus: Prometheus, window: answers.Window, name: str, service: str) -> list[dict[str, Any]]:
    """Return the series of an annotation of the Service dashboard."""
    [event] = [one for one in EVENTS if one["name"] == name]
    return answers.events(prometheus, event, window, {**VALUES, "service_id": service})


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event["name"])
def test_every_annotation_has_events(prometheus: Prometheus, window: answers.Window, event: dict[str, Any]) -> None:
    service = ACTED_UPON.get(event["name"], VALUES["service_id"])
    found = happened(prometheus, window, event["name"], service)
    assert found
    moments = [moment for one in found for moment in answers.moments(event, one)]
    millisecond = 0.001  # of which Prometheus tells whole ones: what fires from the begin on is told a little earlier
    assert all(window.begin - millisecond <= moment <= window.end for moment in moments)


def test_a_deploy_is_one_event_and_of_its_service_only(prometheus: Prometheus, window: answers.Window) -> None:
    [deploy] = happened(prometheus, window, "Deploys", "shop/checkout")
    assert deploy["metric"]["deployment"] == "checkout"
    assert len(deploy["values"]) == 1
    assert not happened(prometheus, window, "Deploys", "shop/catalog")


def test_a_remediation_is_an_event_of_its_service_only_and_a_dry_run_is_none(
    prometheus: Prometheus, window: answers.Window
) -> None:
    [search] = happened(prometheus, window, "Remediations", "shop/search")
    [login] = happened(prometheus, window, "Remediations", "back/login")
    assert (search["metric"]["policy"], login["metric"]["policy"]) == ("restart", "clear-cache")
    assert not happened(prometheus, window, "Remediations", "back/stock")


def test_what_came_of_a_remediation_is_an_event_of_its_own(prometheus: Prometheus, window: answers.Window) -> None:
    for service, outcomes in {"shop/search": ["verified"], "back/login": ["escalated"], "back/stock": []}.items():
        found = happened(prometheus, window, "Outcomes of remediations", service)
        assert [one["metric"]["outcome"] for one in found] == outcomes


def test_a_service_that_is_not_chosen_is_not_counted(prometheus: Prometheus, window: answers.Window) -> None:
    [watched] = [one for one in BOARDS["presagio-overview"]["panels"] if one["title"] == "Services watched"]
    choices = {
        "8": {"service_id": ".*"},
        "2": {"service_id": "shop/search|back/mail"},
        "4": {"service_id": ".*", "namespace": "back"},
    }
    for count, chosen in choices.items():
        [found] = answers.answer(prometheus, watched["targets"][0], window, {**VALUES, **chosen})
        assert found["value"][1] == count
