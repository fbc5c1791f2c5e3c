"""What people say over the REST API, and what is answered; the same from a terminal."""

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
from http_server import HttpServer, serving
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from presagio.exporter import feedback_api, feedback_command, wiring
from presagio.exporter.api_config import ApiConfig
from presagio.exporter.commands import FeedbackCommand
from presagio.exporter.config import ExporterConfig
from presagio.exporter.signals import Key
from presagio.toolkit import web
from presagio.toolkit.clock import ManualClock
from presagio.toolkit.errors import PresagioError
from presagio.toolkit.log import get_log
from presagio.toolkit.webconfig import Guard

NOW = 1_700_000_000.0
URL = "/api/v1/feedback"
NIGHT = {"service_id": "shop/checkout", "signal": "latency", "kind": "expected", "from": NOW - 7200, "to": NOW - 3600}


class Api:
    """The API on a loop that has not begun, whose engine has rows all the same."""

    def __init__(self, folder: Path, **limits: Any) -> None:
        api = ApiConfig(api_key=SecretStr("secret"), **limits)
        config = ExporterConfig(api=api, signals=[{"name": "latency", "query": "latency"}])
        self.clock, registry, log = ManualClock(NOW), CollectorRegistry(), get_log("test")
        _, self.loop = wiring.loop(config, folder, registry, self.clock)
        self.loop.ready = True
        self.loop.evaluations[0].engine.rows([Key(name, "latency", ()) for name in ("shop/checkout", "blog")], 9)
        site = web.Site("Presagio", "", lambda: b"", lambda: None, lambda: None)
        app = web.create(site, registry, log)
        assert self.loop.relearning
        app.register_api(feedback_api.create(self.loop, self.loop.relearning, self.clock, Guard(api, log)))
        self.client = app.test_client()

    def call(self, method: str, path: str = "", body: object = None, key: str = "secret") -> tuple[int, Any]:
        answer = self.client.open(URL + path, method=method, json=body, headers={"X-API-Key": key})
        return answer.status_code, answer.get_json(silent=True)


@pytest.fixture
def served(tmp_path: Path) -> Api:
    return Api(tmp_path)


def test_it_is_given_listed_and_reverted(served: Api) -> None:
    given = NIGHT | {
        "id": 1, "given": NOW, "comment": "", "author": "", "reverted": None, "reverted_by": "",
    }  # fmt: skip
    assert served.call("POST", body=NIGHT) == (201, given)
    assert served.call("GET") == (200, {"feedback": [given | {"last_applied": None}]})
    assert served.call("GET", "?service_id=blog") == (200, {"feedback": []})
    reverted = given | {"reverted": NOW, "reverted_by": "bob"}
    assert served.call("DELETE", "/1?author=bob") == (200, reverted)
    assert served.call("GET") == (200, {"feedback": []})
    assert served.call("GET", "?all=true") == (200, {"feedback": [reverted | {"last_applied": None}]})


def test_times_may_be_iso_8601_and_the_newest_is_listed_first(served: Api) -> None:
    body = {"service_id": "blog", "kind": "fault", "from": "2023-11-14T20:00:00Z", "to": "2023-11-14T20:30:00"}
    code, given = served.call("POST", body=body)
    assert (code, given["from"], given["to"], given["signal"]) == (201, 1_699_992_000, 1_699_993_800, None)
    served.call("POST", body=NIGHT)
    assert [one["id"] for one in served.call("GET")[1]["feedback"]] == [2, 1]


@pytest.mark.parametrize(("method", "path"), [("POST", ""), ("GET", ""), ("DELETE", "/1")])
def test_every_call_needs_a_key(served: Api, method: str, path: str) -> None:
    assert served.call(method, path, NIGHT, key="wrong")[0] == 401


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"to": NOW - 7200}, "from: expected a time before `to` (2023-11-14T20:13:20Z), got 2023-11-14T20:13:20Z"),
        ({"to": NOW + 3600}, "to: expected a time that has passed (it is 2023-11-14T22:13:20Z); "
                             "judge a period when it is over, got 2023-11-14T23:13:20Z"),
        ({"from": NOW - 40 * 86400}, "from: expected a period of at most 31d; "
                                     "a level that lasts longer is adopted by itself, got 39d23h"),
        ({"to": NOW - 7190}, "from: expected a period of at least one evaluation.interval (15s), got 10s"),
        ({"from": "noon"}, "from: expected Unix time or a time such as 2026-01-31T12:00:00Z, got 'noon'"),
        ({"kind": "odd"}, """kind: expected 'expected' or 'fault', got "odd\""""),
        ({"until": 1}, "until: expected no such field, got 1"),
    ],
)  # fmt: skip
def test_what_is_refused_and_the_remedy(served: Api, change: dict[str, object], error: str) -> None:
    code, told = served.call("POST", body=NIGHT | change)
    assert (code, told["error"]) == (422, error)
    assert told["fields"][0]["field"] == error.partition(":")[0]
    assert served.call("GET")[1] == {"feedback": []}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"service_id": "shop/chekout"},
         "no service is scored by the name 'shop/chekout'; did you mean 'shop/checkout'?"),
        ({"service_id": "zzz"},
         "no service is scored by the name 'zzz'; presagio_anomaly_score on /metrics tells which there are"),
        ({"signal": "latencies"},
         "no signal of 'shop/checkout' is scored by the name 'latencies'; did you mean 'latency'?"),
    ],
)  # fmt: skip
def test_unknown_names(served: Api, change: dict[str, object], error: str) -> None:
    assert served.call("POST", body=NIGHT | change) == (404, {"error": error})


def test_while_history_is_read_names_are_not_known_yet(served: Api) -> None:
    served.loop.ready = False
    assert served.call("POST", body=NIGHT)[0] == 503


def test_a_limit_is_told(tmp_path: Path) -> None:
    served = Api(tmp_path, max_feedback=1)
    served.call("POST", body=NIGHT)
    code, told = served.call("POST", body=NIGHT)
    assert (code, told["error"].rpartition("; ")[2]) == (409, "revert one that has served, or raise api.max_feedback")


def test_one_that_is_not_there(served: Api) -> None:
    error = "there is no feedback 3; GET /api/v1/feedback?all=true lists all"
    assert served.call("DELETE", "/3") == (404, {"error": error})


# The terminal


def typed(url: str, *words: str) -> int:
    parser = argparse.ArgumentParser()
    FeedbackCommand().add_arguments(parser)
    return feedback_command.run(parser.parse_args([*words, "--url", url]), ManualClock(NOW))


def asked(server: HttpServer, *words: str) -> dict[str, object]:
    """Return the body that a command sends."""
    server.told.body = json.dumps({"id": 1}).encode()
    assert typed(server.url, *words) == 0
    body: dict[str, object] = json.loads(server.asked[-1].body)
    return body


def test_times_are_typed_as_in_a_backtest(capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as server:
        body = asked(server, "expected", "shop", "--from", "-2h", "--to", "-1h", "--author", "ana")
        assert (body["from"], body["to"], body["kind"]) == (NOW - 10800, NOW - 3600, "expected")
        assert "signal" not in body
        body = asked(server, "fault", "shop", "--signal", "load", "--from", "-2h", "--comment", "disk")
        assert (body["from"], body["to"], body["signal"], body["comment"]) == (NOW - 7200, NOW, "load", "disk")
    assert "feedback 1; take it back by: presagio feedback revert 1" in capsys.readouterr().out


def test_a_list_is_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    one = NIGHT | {"id": 1, "comment": "a\nb", "author": "ana", "reverted": None, "last_applied": NOW}
    two = one | {"id": 2, "signal": None, "reverted": NOW, "reverted_by": "bob"}
    with serving() as server:
        server.told.body = json.dumps({"feedback": [one, two]}).encode()
        typed(server.url, "list", "shop/checkout", "--all")
        assert server.asked[-1].path == "/api/v1/feedback?all=true&service_id=shop%2Fcheckout"
    assert capsys.readouterr().out.splitlines() == [
        "ID  KIND      SERVICE        SIGNAL   FROM (UTC)           LASTED  AUTHOR  COMMENT  STATE",
        "1   expected  shop/checkout  latency  2023-11-14 20:13:20  1h      ana     a b      "
        "last applied 2023-11-14 22:13:20",
        "2   expected  shop/checkout  (all)    2023-11-14 20:13:20  1h      ana     a b      "
        "reverted 2023-11-14 22:13:20 by bob",
    ]


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (404, b'{"error": "no such thing"}', "^no such thing$"),
        (404, b"<html>", r"answered 404; is the section api: in exporter\.yml\?$"),
        (200, b"<html>", r"gave no JSON; is it the exporter's address\?$"),
    ],
)
def test_what_went_wrong_is_told(status: int, body: bytes, error: str) -> None:
    with serving() as server:
        server.told.status, server.told.body = status, body
        with pytest.raises(PresagioError, match=error):
            typed(server.url, "list")


def test_a_server_that_is_not_there_is_told() -> None:
    with pytest.raises(PresagioError, match=r"cannot be asked: .*; --url tells where the exporter is$"):
        typed("http://127.0.0.1:1", "revert", "1")
