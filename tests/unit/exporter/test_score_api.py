"""The score of a service through the REST API, on the exporter as it is put together."""

import math
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from presagio.exporter.config import ExporterConfig
from presagio.exporter.server import Exporter, ExporterWing
from presagio.exporter.together import ServiceScores
from presagio.toolkit.clock import ManualClock
from presagio.toolkit.log import get_log
from presagio.toolkit.reloading import ReloadState
from presagio.toolkit.serve import Context, _Server

KEY = {"X-API-Key": "secret"}
SCORES = ServiceScores(
    1000.0, ["shop/checkout", "gone"], ["cpu", "load", "disk"], np.array([0.75, math.nan]),
    np.array([[0.25, 0.75, math.nan], [math.nan] * 3]), np.array([0.5, 0.0]),
)  # fmt: skip


class House:
    def __init__(self, folder: Path, **beside: object) -> None:
        self.clock = ManualClock(1005.0)
        server = cast(_Server, SimpleNamespace(state=ReloadState()))
        arguments = Namespace(storage_path=folder)
        context = Context(arguments, _Server._registry(server), self.clock, get_log("test"), lambda: None)
        config = ExporterConfig.model_validate({"api": {"api_key": "secret"}, **beside})
        self.exporter: Exporter = ExporterWing().build(config, context)

    def get(self, path: str, **headers: str) -> tuple[int, object]:
        answer = self.exporter.app.test_client().get(path, headers=headers or KEY)
        return answer.status_code, answer.get_json(silent=True)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_the_score_and_its_signals_the_highest_first(house: House) -> None:
    house.exporter.loop.services = SCORES
    code, body = house.get("/api/v1/scores/shop/checkout")
    assert (code, body) == (
        200,
        {
            "service_id": "shop/checkout", "time": 1000.0, "score": 0.75, "confidence": 0.5,
            "contributions": {"load": 0.75, "cpu": 0.25},
        },
    )  # fmt: skip
    assert isinstance(body, dict)
    assert list(body["contributions"]) == ["load", "cpu"]


def test_a_service_without_a_score_is_not_found(house: House) -> None:
    assert house.get("/api/v1/scores/shop")[0] == 404
    house.exporter.loop.services = SCORES
    error = "service 'shop' has no score now; presagio_service_anomaly_score shows those that have one"
    assert house.get("/api/v1/scores/shop") == (404, {"error": error})
    error = "service 'gone' has no score now: none of its signals has one"
    assert house.get("/api/v1/scores/gone") == (404, {"error": error})


def test_an_old_score_is_none(house: House) -> None:
    house.exporter.loop.services = SCORES
    house.clock.now = 1300.0
    assert house.get("/api/v1/scores/shop/checkout")[0] == 200
    house.clock.now = 1300.5
    assert house.get("/api/v1/scores/shop/checkout")[0] == 404


def test_it_needs_a_key(house: House) -> None:
    house.exporter.loop.services = SCORES
    assert house.get("/api/v1/scores/shop/checkout", **{"X-API-Key": "wrong"})[0] == 401


def test_where_services_are_not_scored_there_is_no_such_path(tmp_path: Path) -> None:
    house = House(tmp_path, outputs={"service": False})
    assert house.get("/api/v1/scores/shop/checkout")[0] == 404
    assert (
        "/api/v1/scores/{service_id}" not in house.exporter.app.test_client().get("/openapi.json").get_json()["paths"]
    )
