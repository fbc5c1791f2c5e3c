import gzip
import logging
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import abort, jsonify
from flask.testing import FlaskClient
from flask_openapi3.openapi import OpenAPI
from prometheus_client import CollectorRegistry, generate_latest
from pydantic import BaseModel, Field
from werkzeug.test import TestResponse

from presagio.toolkit import web
from presagio.toolkit.errors import ConfigError, LimitError
from presagio.toolkit.log import get_log
from presagio.toolkit.schema import Mistake

PAGE = b"# TYPE up gauge\nup 1\n" * 50


class Body(BaseModel):
    name: str = Field(max_length=5)
    sizes: list[int] = Field(default_factory=list)
    weights: dict[str, float] = Field(default_factory=dict)


def site(**changes: Any) -> web.Site:
    common: dict[str, Any] = {
        "title": "Presagio test",
        "description": "A site for tests.",
        "metrics": lambda: PAGE,
        "ready": lambda: None,
        "reload": lambda: None,
    }
    return web.Site(**(common | changes))


def build(registry: CollectorRegistry | None = None, **changes: Any) -> OpenAPI:
    app = web.create(site(**changes), registry or CollectorRegistry(), get_log("test"))

    @app.post("/echo")
    def echo(body: Body) -> dict[str, object]:
        return body.model_dump()

    return app


@pytest.fixture
def client() -> FlaskClient:
    return build().test_client()


def told(answer: TestResponse) -> tuple[int, object]:
    return answer.status_code, answer.json


def raising(error: Exception) -> Callable[[], object]:
    def view() -> object:
        raise error

    return view


def test_healthy(client: FlaskClient) -> None:
    answer = client.get("/-/healthy")
    assert (answer.status_code, answer.text) == (200, "Presagio test is healthy.\n")


def test_ready_or_the_reason_why_not(client: FlaskClient) -> None:
    assert client.get("/-/ready").text == "Presagio test is ready.\n"
    answer = build(ready=lambda: "reading history, 40% done").test_client().get("/-/ready")
    assert (answer.status_code, answer.text) == (503, "not ready: reading history, 40% done\n")


def test_reload_tells_the_report(client: FlaskClient) -> None:
    assert client.post("/-/reload").status_code == 200
    error = ConfigError([Mistake("a.yml", 3, "url", "an address", "5"), Mistake("a.yml", 4, "", "YAML", "tabs")])
    answer = build(reload=raising(error)).test_client().post("/-/reload")
    assert (answer.status_code, answer.mimetype) == (500, "text/plain")
    assert answer.text == "a.yml:3: url: expected an address, got 5\na.yml:4: expected YAML, got tabs\n"


def test_reload_is_a_post(client: FlaskClient) -> None:
    assert told(client.get("/-/reload")) == (405, {"error": "GET is not allowed on /-/reload; use POST"})


def test_metrics(client: FlaskClient) -> None:
    answer = client.get("/metrics")
    assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.data == PAGE
    assert answer.headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize("accepted", ["gzip", "gzip, deflate", "*", "gzip;q=0.5"])
def test_metrics_compressed(client: FlaskClient, accepted: str) -> None:
    answer = client.get("/metrics", headers={"Accept-Encoding": accepted})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert int(answer.headers["Content-Length"]) == len(answer.data) < len(PAGE)
    assert gzip.decompress(answer.data) == PAGE


@pytest.mark.parametrize("accepted", ["", "identity", "br", "gzip;q=0"])
def test_metrics_not_compressed(client: FlaskClient, accepted: str) -> None:
    answer = client.get("/metrics", headers={"Accept-Encoding": accepted})
    assert "Content-Encoding" not in answer.headers
    assert answer.data == PAGE


def test_landing_page_links_what_there_is() -> None:
    app = build(links={"/services": "services"})
    page = app.test_client().get("/").text
    links = re.findall(r'href="([^"]+)"', page)
    assert links == ["data:,", "metrics", "docs", "-/healthy", "-/ready", "services"]
    assert "<h1>Presagio test</h1>" in page
    for link in links[1:-1]:
        assert app.test_client().get(f"/{link}").status_code in (200, 302)


def test_landing_page_may_be_the_wing_s_own() -> None:
    app = build(landing=False)
    app.add_url_rule("/", "dashboard", lambda: "the dashboard")
    assert app.test_client().get("/").text == "the dashboard"


def test_unknown_pages(client: FlaskClient) -> None:
    assert told(client.get("/nowhere")) == (404, {"error": "there is nothing at /nowhere"})


def test_malformed_json_is_told_from_no_json(client: FlaskClient) -> None:
    assert told(client.post("/echo")) == (400, {"error": "no JSON body"})
    code, body = told(client.post("/echo", data='{"name": '))
    assert (code, body) == (400, {"error": "malformed JSON: Expecting value: line 1 column 10 (char 9)"})
    assert client.post("/echo", data=b'{"name": "\xff"}').status_code == 400
    assert told(client.post("/echo", data="[" * 100_000)) == (400, {"error": "malformed JSON: nested too deeply"})


def test_the_content_type_does_not_matter(client: FlaskClient) -> None:
    for content_type in (None, "application/json", "application/x-www-form-urlencoded"):
        answer = client.post("/echo", data='{"name": "a"}', content_type=content_type)
        assert told(answer) == (200, {"name": "a", "sizes": [], "weights": {}})


def test_a_refused_body_names_every_field(client: FlaskClient) -> None:
    body = {"name": "too long", "sizes": [1, "x"], "weights": {"a": None, "b" * 200: "y"}}
    answer = client.post("/echo", json=body)
    assert told(answer) == (
        422,
        {
            "error": 'name: expected at most 5 characters, got "too long"',
            "fields": [
                {"field": "name", "expected": "at most 5 characters", "got": '"too long"'},
                {
                    "field": "sizes[1]",
                    "expected": "a valid integer, unable to parse string as an integer",
                    "got": '"x"',
                },
                {"field": "weights.a", "expected": "a valid number", "got": "null"},
                {
                    "field": f"weights.{'b' * 77}...",
                    "expected": "a valid number, unable to parse string as a number",
                    "got": '"y"',
                },
            ],
        },
    )


@pytest.mark.parametrize("body", ["[]", "3", "null", "true"])
def test_a_body_that_is_no_object(client: FlaskClient, body: str) -> None:
    expected = {"field": "body", "expected": "a valid dictionary", "got": body}
    error = f"body: expected a valid dictionary, got {body}"
    assert told(client.post("/echo", data=body)) == (422, {"error": error, "fields": [expected]})


def test_a_body_that_lacks_a_field(client: FlaskClient) -> None:
    expected = {"field": "name", "expected": "a value", "got": "nothing"}
    answer = client.post("/echo", json={})
    assert told(answer) == (422, {"error": "name: expected a value, got nothing", "fields": [expected]})


def test_a_body_that_is_too_large() -> None:
    answer = build(max_body=2048).test_client().post("/echo", data=b" " * 3000)
    assert told(answer) == (413, {"error": "the body is larger than 2 KiB; send less at once"})


def test_an_unexpected_error_is_logged_and_not_told(caplog: pytest.LogCaptureFixture) -> None:
    app = build()
    app.add_url_rule("/broken", "broken", raising(RuntimeError("the password is hunter2")))  # type: ignore[arg-type]
    with caplog.at_level(logging.ERROR):
        answer = app.test_client().get("/broken")
    assert told(answer) == (500, {"error": "internal error; the server's log tells more"})
    [record] = caplog.records
    assert record.exc_info is not None
    assert record.__dict__["fields"] == {"method": "GET", "path": "/broken"}


def test_a_limit_is_a_conflict() -> None:
    app = build()
    app.add_url_rule("/full", "full", raising(LimitError("1 is the limit")))  # type: ignore[arg-type]
    assert told(app.test_client().get("/full")) == (409, {"error": "1 is the limit"})


def test_a_response_that_was_aborted_with_stands() -> None:
    app = build()
    app.add_url_rule("/teapot", "teapot", lambda: abort(jsonify(short="stout")))
    assert app.test_client().get("/teapot").json == {"short": "stout"}


def test_requests_are_counted_by_rule_and_code() -> None:
    registry = CollectorRegistry()
    client = build(registry).test_client()
    for path in ("/-/healthy", "/-/healthy", "/no", "/where"):
        client.get(path)
    client.post("/echo", data="{")

    def count(handler: str, code: str) -> float | None:
        return registry.get_sample_value("presagio_http_requests_total", {"handler": handler, "code": code})

    assert count("/-/healthy", "200") == 2
    assert count("unmatched", "404") == 2
    assert count("/echo", "400") == 1
    spent = registry.get_sample_value("presagio_http_request_duration_seconds_count", {"handler": "/echo"})
    assert spent == 1
    assert b'le="0.005"' in generate_latest(registry)


def test_openapi_document(client: FlaskClient) -> None:
    document = client.get("/openapi.json").get_json()
    assert document["info"]["title"] == "Presagio test"
    assert document["components"]["securitySchemes"]["api_key"] == {
        "type": "apiKey", "in": "header", "name": "X-API-Key",
    }  # fmt: skip
    assert list(document["paths"]) == ["/echo"]


@pytest.mark.parametrize("path", ["/docs", "/docs/"])
def test_docs_load_nothing_from_outside(client: FlaskClient, path: str) -> None:
    answer = client.get(path, follow_redirects=True)
    assert answer.status_code == 200
    assert "<title>Presagio test API</title>" in answer.text
    assets = re.findall(r'(?:src|href)="([^"]+)"', answer.text)
    assert len(assets) == 4
    assert "://" not in answer.text
    for asset in assets:
        with client.get(f"/docs/{asset}") as found:
            assert found.status_code == 200
    # The badge of a validator on its makers' server is the one thing that the page would fetch.
    assert '"validatorUrl": null' in answer.text


def test_the_style_sheet_of_the_docs_loads_nothing_from_outside(client: FlaskClient) -> None:
    with client.get("/docs/swagger/css/swagger-ui.css") as style:
        text = style.get_data(as_text=True)
    assert re.findall(r"url\([\"']?(?:https?:)?//|@import", text) == []
