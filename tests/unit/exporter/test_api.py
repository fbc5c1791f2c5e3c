import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from werkzeug.test import TestResponse

from presagio.exporter import api
from presagio.exporter.api_config import ApiConfig
from presagio.exporter.registry import Registry
from presagio.toolkit import web
from presagio.toolkit.clock import ManualClock
from presagio.toolkit.log import get_log
from presagio.toolkit.webconfig import Guard

KEY = {"X-API-Key": "secret"}
SHOP = {
    "service_id": "shop/checkout", "service_name": "Checkout", "service_type": "web", "description": "payments",
}  # fmt: skip
CALLS = [
    ("POST", "/register-service"),
    ("POST", "/submit-metrics"),
    ("GET", "/services"),
    ("GET", "/services/shop/checkout"),
    ("DELETE", "/services/shop/checkout"),
]


class Api:
    """The API on a registry of its own."""

    def __init__(self, folder: Path, **limits: Any) -> None:
        config = ApiConfig(api_key=SecretStr("secret"), **limits)
        log = get_log("test")
        self.clock = ManualClock(1000.0)
        self.registry = Registry(folder, config, self.clock, log)
        site = web.Site(
            title="Presagio test",
            description="",
            metrics=lambda: self.registry.page(self.clock.time()),
            ready=lambda: None,
            reload=lambda: None,
        )
        self.app = web.create(site, CollectorRegistry(), log)
        self.app.register_api(api.create(self.registry, Guard(config, log)))
        self.client: FlaskClient = self.app.test_client()

    def call(self, method: str, path: str, body: object = None) -> tuple[int, object]:
        return told(self.client.open(path, method=method, json=body, headers=KEY))


def told(answer: TestResponse) -> tuple[int, object]:
    return answer.status_code, answer.get_json(silent=True)


def refused(field: str, expected: str, got: str) -> tuple[int, object]:
    error = f"{field}: expected {expected}, got {got}"
    return 422, {"error": error, "fields": [{"field": field, "expected": expected, "got": got}]}


@pytest.fixture
def served(tmp_path: Path) -> Api:
    return Api(tmp_path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Api:
    served = Api(tmp_path_factory.mktemp("api"))
    served.call("POST", "/register-service", SHOP)
    return served


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_every_call_needs_a_key(served: Api, method: str, path: str) -> None:
    none = served.client.open(path, method=method, json=SHOP)
    assert told(none) == (401, {"error": "no API key; send it in the header X-API-Key or as Authorization: Bearer"})
    wrong = served.client.open(path, method=method, json=SHOP, headers={"X-API-Key": "wrong"})
    assert told(wrong) == (401, {"error": "wrong API key; ask whoever runs this server for a valid one"})
    assert served.registry.services() == []


def test_a_body_is_not_even_looked_at_without_a_key(served: Api) -> None:
    assert served.client.post("/register-service", data="{").status_code == 401


def test_the_rest_of_the_site_needs_none(served: Api) -> None:
    for path in ("/", "/metrics", "/-/healthy", "/-/ready", "/openapi.json"):
        assert served.client.get(path).status_code == 200


def test_register_and_register_again(served: Api) -> None:
    assert served.call("POST", "/register-service", SHOP) == (
        201, {"status": "registered", "service_id": "shop/checkout"},
    )  # fmt: skip
    assert served.call("POST", "/register-service", SHOP) == (
        200, {"status": "updated", "service_id": "shop/checkout"},
    )  # fmt: skip
    assert served.call("GET", "/services") == (200, {"services": [SHOP]})


def test_only_the_id_is_needed(served: Api) -> None:
    served.call("POST", "/register-service", {"service_id": "blog"})
    blog = {"service_id": "blog", "service_name": "", "service_type": "", "description": ""}
    assert served.call("GET", "/services/blog") == (200, blog | {"metrics": {}})


def test_submit_and_see(served: Api) -> None:
    served.call("POST", "/register-service", SHOP)
    body = {"service_id": "shop/checkout", "metrics": {"cpu": 1.5, "queue": 7}}
    assert served.call("POST", "/submit-metrics", body) == (
        202, {"status": "accepted", "service_id": "shop/checkout", "metrics": 2},
    )  # fmt: skip
    assert 'presagio_submitted_value{service_id="shop/checkout",metric="queue"} 7.0' in (
        served.client.get("/metrics").text
    )
    served.clock.advance(3.25)
    values = {"cpu": {"value": 1.5, "age_seconds": 3.25}, "queue": {"value": 7.0, "age_seconds": 3.25}}
    for path in ("/services/shop/checkout", "/services/shop%2Fcheckout"):
        assert served.call("GET", path) == (200, SHOP | {"metrics": values})


def test_delete(served: Api) -> None:
    served.call("POST", "/register-service", SHOP)
    assert served.call("DELETE", "/services/shop/checkout") == (204, None)
    unknown = (404, {"error": "service 'shop/checkout' is not registered; POST /register-service first"})
    assert served.call("DELETE", "/services/shop/checkout") == unknown
    assert served.call("GET", "/services/shop/checkout") == unknown
    assert served.call("POST", "/submit-metrics", {"service_id": "shop/checkout", "metrics": {"cpu": 1}}) == unknown


def test_too_many_services(tmp_path: Path) -> None:
    served = Api(tmp_path, max_services=1)
    served.call("POST", "/register-service", SHOP)
    assert served.call("POST", "/register-service", {"service_id": "blog"}) == (
        409, {"error": "1 services are registered, which is the limit; delete one, or raise api.max_services"},
    )  # fmt: skip


def test_too_many_metrics(tmp_path: Path) -> None:
    served = Api(tmp_path, max_metrics_per_service=1)
    served.call("POST", "/register-service", SHOP)
    code, body = served.call("POST", "/submit-metrics", {"service_id": "shop/checkout", "metrics": {"a": 1, "b": 2}})
    assert (code, body) == (
        409,
        {
            "error": "service 'shop/checkout' would have 2 metrics and the limit is 1; "
            "submit fewer, or raise api.max_metrics_per_service"
        },
    )


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ({"service_id": None}, refused("service_id", "a valid string", "null")),
        ({"service_id": 5}, refused("service_id", "a valid string", "5")),
        ({"service_id": ""}, refused("service_id", "at least 1 character", '""')),
        ({"service_id": "x" * 201}, refused("service_id", "at most 200 characters", '"' + "x" * 76 + "...")),
        ({"service_id": "a\tb"}, refused("service_id", "text without control characters", "'a\\tb'")),
        (
            {"service_id": "a//b"},
            refused("service_id", "an id whose parts between slashes are neither empty nor dots", "'a//b'"),
        ),
        ({"service_name": 1}, refused("service_name", "a valid string", "1")),
        ({"description": "\x00"}, refused("description", "text without control characters", "'\\x00'")),
        ({"servicename": "x"}, refused("servicename", "no such field", '"x"')),
    ],
)
def test_bad_registrations(shared: Api, change: dict[str, object], answer: tuple[int, object]) -> None:
    assert shared.call("POST", "/register-service", SHOP | change) == answer


@pytest.mark.parametrize(
    ("metrics", "field", "expected", "got"),
    [
        ({}, "metrics", "at least 1 item", "{}"),
        ([], "metrics", "a valid dictionary", "[]"),
        ({"cpu": True}, "metrics.cpu", "a valid number", "true"),
        ({"cpu": "1"}, "metrics.cpu", "a valid number", '"1"'),
        ({"cpu": None}, "metrics.cpu", "a valid number", "null"),
        ({"cpu": float("nan")}, "metrics.cpu", "a finite number", "NaN"),
        ({"cpu": float("inf")}, "metrics.cpu", "a finite number", "Infinity"),
        ({"cpu": -float("inf")}, "metrics.cpu", "a finite number", "-Infinity"),
        ({"c pu": 1}, "metrics.c pu", "letters, digits and underscores, not beginning with a digit", "'c pu'"),
        ({"1st": 1}, "metrics.1st", "letters, digits and underscores, not beginning with a digit", "'1st'"),
        ({"": 1}, "metrics.", "letters, digits and underscores, not beginning with a digit", "''"),
        ({"cpu\n": 1}, "metrics.cpu\n", "letters, digits and underscores, not beginning with a digit", "'cpu\\n'"),
    ],
)
def test_bad_metrics(shared: Api, metrics: object, field: str, expected: str, got: str) -> None:
    body = {"service_id": "shop/checkout", "metrics": metrics}
    assert shared.call("POST", "/submit-metrics", body) == refused(field, expected, got)


def test_a_number_beyond_all_floats_is_refused(shared: Api) -> None:
    for number in ("1e999", "1" + "0" * 400):
        data = '{"service_id": "shop/checkout", "metrics": {"cpu": NUMBER}}'.replace("NUMBER", number)
        code, body = told(shared.client.post("/submit-metrics", data=data, headers=KEY))
        assert code == 422
        assert isinstance(body, dict)
        assert body["fields"][0]["field"] == "metrics.cpu"


def test_one_bad_value_keeps_all_of_a_body_out(shared: Api) -> None:
    body = {"service_id": "shop/checkout", "metrics": {"good": 1, "bad": None}}
    assert shared.call("POST", "/submit-metrics", body)[0] == 422
    assert "good" not in shared.client.get("/metrics").text


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec="utf-16"), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)
registrations = st.fixed_dictionaries(
    {}, optional={"service_id": anything, "service_name": anything, "service_type": anything, "description": anything}
)
submissions = st.fixed_dictionaries(
    {}, optional={"service_id": st.just("shop/checkout") | anything, "metrics": anything, "more": anything}
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(body=anything | registrations | submissions)
def test_no_body_whatever_is_an_internal_error(shared: Api, body: object) -> None:
    for path in ("/register-service", "/submit-metrics"):
        code, answer = told(shared.client.post(path, data=json.dumps(body), headers=KEY))
        assert code in (200, 201, 202, 404, 422), (path, answer)
        if code == 422:
            assert isinstance(answer, dict)
            assert answer.keys() == {"error", "fields"}
            assert all(field.keys() == {"field", "expected", "got"} for field in answer["fields"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.binary(max_size=200))
def test_nor_are_any_bytes(shared: Api, data: bytes) -> None:
    assert shared.client.post("/submit-metrics", data=data, headers=KEY).status_code in (400, 404, 422)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(service_id=st.text(min_size=1, max_size=30))
def test_whatever_is_registered_is_found_by_its_path(shared: Api, service_id: str) -> None:
    if shared.call("POST", "/register-service", {"service_id": service_id})[0] != 422:
        for path in (quote(service_id), quote(service_id, safe="")):
            assert shared.call("GET", f"/services/{path}")[0] == 200
        assert shared.call("DELETE", f"/services/{quote(service_id)}") == (204, None)


def test_the_document_tells_all(served: Api) -> None:
    document = served.client.get("/openapi.json").get_json()
    operations = {
        (method.upper(), path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert {(method, path.replace("shop/checkout", "{service_id}")) for method, path in CALLS} == set(operations)
    for operation in operations.values():
        assert operation["security"] == [{"api_key": []}, {"bearer": []}]
        assert {"400", "401", "413", "422"} < set(operation["responses"])
        for answer in operation["responses"].values():
            for content in answer.get("content", {}).values():
                name = content["schema"]["$ref"].removeprefix("#/components/schemas/")
                assert name in document["components"]["schemas"]
    assert operations["POST", "/register-service"]["operationId"] == "register_service"


def test_the_examples_of_the_document_work(served: Api) -> None:
    schemas = served.client.get("/openapi.json").get_json()["components"]["schemas"]
    assert served.call("POST", "/register-service", schemas["Service"]["example"])[0] == 201
    code, body = served.call("POST", "/submit-metrics", schemas["Submission"]["example"])
    assert (code, body) == (202, schemas["Accepted"]["example"])
