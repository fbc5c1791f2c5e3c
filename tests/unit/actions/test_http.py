import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from http_server import HttpServer, Told, serving
from pydantic import ValidationError

from presagio.actions.base import NotAppliedError, Plan, PlanError, Probe, Target, UnknownOutcomeError, restored
from presagio.actions.http import Http, HttpParams

TARGET = Target(
    "shop/cart", {"pod": "cart 1", "quote": 'a"b\\c', "up": "..", "across": "x/../../y", "code": "${pod}"}
)


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with serving() as running:
        yield running


def plan(url: str, **params: Any) -> Plan:
    return Http().plan(TARGET, HttpParams.model_validate({"url": url, "allow_private": True, **params}))


def test_placeholders_in_path_query_and_body(server: HttpServer) -> None:
    made = plan(
        f"{server.url}/restart/${{service_id}}?pod=${{pod}}&q=${{quote}}#".rstrip("#"),
        body={"service": "${service_id}", "list": ["${quote}", 1, None], "${pod}": True},
    )
    assert made.summary == f"POST {server.url}/restart/shop%2Fcart?pod=cart%201&q=a%22b%5Cc"
    Http().apply(made, "a-1")
    asked = server.asked[0]
    assert (asked.method, asked.path) == ("POST", "/restart/shop%2Fcart?pod=cart%201&q=a%22b%5Cc")
    assert json.loads(asked.body) == {"service": "shop/cart", "list": ['a"b\\c', 1, None], "${pod}": True}
    assert asked.headers["Content-Type"] == "application/json"


def test_the_attempts_id_goes_along(server: HttpServer) -> None:
    Http().apply(plan(server.url), "a-42")
    assert server.asked[0].headers["Idempotency-Key"] == "a-42"
    assert server.asked[0].headers["User-Agent"] == "presagio"
    assert server.asked[0].path == "/"
    assert server.asked[0].body == b""


def test_success_is_evidence(server: HttpServer) -> None:
    server.told = Told(201, b"x" * 100_000)
    evidence = Http().apply(plan(f"{server.url}/x", method="PUT"), "a-1")
    assert evidence.summary == f"PUT {server.url}/x was answered 201"
    assert evidence.facts == {"status": 201, "body": "x" * 16384}


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, NotAppliedError), (404, NotAppliedError), (409, NotAppliedError), (429, NotAppliedError),
        (302, UnknownOutcomeError), (303, UnknownOutcomeError),
        (500, UnknownOutcomeError), (502, UnknownOutcomeError), (503, UnknownOutcomeError),
    ],
)  # fmt: skip
def test_what_a_status_means(server: HttpServer, status: int, error: type[Exception]) -> None:
    server.told = Told(status, b"why")
    with pytest.raises(error, match=f"was answered {status}") as raised:
        Http().apply(plan(server.url), "a-1")
    assert raised.value.evidence.facts == {"status": status, "body": "why"}  # type: ignore[attr-defined] # OutcomeError
    assert len(server.asked) == 1


def test_the_policy_says_which_status_is_success(server: HttpServer) -> None:
    server.told = Told(409)
    assert Http().apply(plan(server.url, expected_status=[202, 409]), "a-1").facts["status"] == 409
    server.told = Told(200)
    with pytest.raises(UnknownOutcomeError, match="was answered 200"):
        Http().apply(plan(server.url, expected_status=[202]), "a-1")


@pytest.mark.parametrize("status", [301, 307, 308])
def test_redirects_are_not_followed(server: HttpServer, status: int) -> None:
    server.told = Told(status, headers={"Location": f"{server.url}/elsewhere"})
    with pytest.raises(NotAppliedError, match=r"redirects are not followed, name 'http://127.0.0.1:\d+/elsewhere'"):
        Http().apply(plan(server.url), "a-1")
    assert [asked.path for asked in server.asked] == ["/"]


def test_a_refused_connection_was_not_applied() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(NotAppliedError, match=f"nothing was sent to http://127.0.0.1:{port}: .*Connection refused"):
        Http().apply(plan(f"http://127.0.0.1:{port}/"), "a-1")


def test_a_host_without_an_address_was_not_applied() -> None:
    with pytest.raises(NotAppliedError, match=r"nothing was sent to http://presagio.invalid: "):
        Http().apply(plan("http://presagio.invalid/x"), "a-1")


def test_a_time_out_after_sending_is_unknown(server: HttpServer) -> None:
    server.told = Told(wait=threading.Event())
    with pytest.raises(UnknownOutcomeError, match=r"no answer from http://127.0.0.1:\d+: .*[Tt]imed out"):
        Http().apply(plan(server.url, timeout="300ms"), "a-1")
    assert len(server.asked) == 1


def test_a_connection_broken_after_sending_is_unknown(server: HttpServer) -> None:
    server.told = Told(drop=True)
    with pytest.raises(UnknownOutcomeError, match=r"no answer from .*Remote end closed connection"):
        Http().apply(plan(server.url), "a-1")
    assert len(server.asked) == 1


def test_a_body_that_breaks_off_does_not_change_the_outcome(server: HttpServer) -> None:
    server.told = Told(200, b"half", headers={"Content-Length": "1000"})
    assert Http().apply(plan(server.url), "a-1").facts == {"status": 200, "body": "half"}


def test_secrets_come_from_files(server: HttpServer, tmp_path: Path) -> None:
    token, key = tmp_path / "token", tmp_path / "key"
    token.write_text("t0ken\n")
    key.write_text("k3y\n")
    made = plan(server.url, bearer_token_file=str(token), header_files={"X-Key": str(key)}, headers={"X-Team": "sre"})
    assert "t0ken" not in json.dumps(made.params)
    assert "k3y" not in json.dumps(made.params)
    evidence = Http().apply(made, "a-1")
    assert "t0ken" not in json.dumps(evidence.facts)
    headers = server.asked[0].headers
    assert (headers["Authorization"], headers["X-Key"], headers["X-Team"]) == ("Bearer t0ken", "k3y", "sre")


def test_a_secret_that_cannot_be_read_is_not_applied(server: HttpServer, tmp_path: Path) -> None:
    with pytest.raises(NotAppliedError, match=r"secret file '.*absent' cannot be read: No such file"):
        Http().apply(plan(server.url, bearer_token_file=str(tmp_path / "absent")), "a-1")
    (tmp_path / "two").write_text("a\nInjected: b\n")
    with pytest.raises(NotAppliedError, match="the secret for the header 'X-Key' is more than one line"):
        Http().apply(plan(server.url, header_files={"X-Key": str(tmp_path / "two")}), "a-1")
    assert server.asked == []


def test_a_proxy_of_the_environment_is_not_used(server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert Http().apply(plan(server.url), "a-1").facts["status"] == 200


def test_a_plan_read_back_from_json_does_the_same(server: HttpServer) -> None:
    made = plan(f"{server.url}/${{pod}}", body=["${code}"], expected_status=[200])
    stored = restored(json.loads(json.dumps(made.__dict__)))
    assert stored == made
    Http().apply(stored, "a-1")
    assert server.asked[0].body == b'["${pod}"]'


@pytest.mark.parametrize("label", ["up", "across"])
def test_a_path_does_not_step_up(label: str) -> None:
    with pytest.raises(PlanError, match="would step up"):
        plan(f"http://example.org/api/${{{label}}}/restart")


@pytest.mark.parametrize(
    ("status", "told"),
    [(200, Probe.APPLIED), (204, Probe.APPLIED), (404, Probe.NOT_APPLIED), (410, Probe.NOT_APPLIED),
     (403, Probe.UNKNOWN), (500, Probe.UNKNOWN), (302, Probe.UNKNOWN)],
)  # fmt: skip
def test_the_probe_asks_its_own_url(server: HttpServer, status: int, told: Probe) -> None:
    server.told = Told(status)
    made = plan(f"{server.url}/restart", probe=f"{server.url}/restarts/${{service_id}}")
    assert Http().probe(made, "a-9") is told
    asked = server.asked[0]
    assert (asked.method, asked.path, asked.headers["Idempotency-Key"]) == ("GET", "/restarts/shop%2Fcart", "a-9")


def test_without_an_answer_the_probe_does_not_know() -> None:
    assert Http().probe(plan("http://127.0.0.1:1", probe="http://127.0.0.1:1/x"), "a-1") is Probe.UNKNOWN
    assert Http().probe(plan("http://127.0.0.1:1"), "a-1") is Probe.UNKNOWN


def test_there_is_no_undo() -> None:
    with pytest.raises(NotAppliedError, match=r"POST http://example.org/ has no undo; undo it by hand"):
        Http().undo(plan("http://example.org/"))


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/", "example.org/x", "http://${pod}/x", "http://a.${pod}.org/", "http://a:${pod}/x",
        "${pod}://a/", "http://user:secret@example.org/", "http://a@b/", "http://example.org\\@evil.org/",
        "http://example.org/x#y", "http://exa mple.org/", "http://example.org:port/", "http://example.org/a b",
        "http://example.org/a\r\nHost: b", "http:///x", "http://", "http://ex%61mple.org/",
    ],
)  # fmt: skip
def test_only_the_policy_names_the_host(url: str) -> None:
    with pytest.raises(ValidationError, match="without user, fragment or a placeholder before the path"):
        HttpParams(url=url)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"method": "TRACE"}, "Input should be 'POST', 'PUT'"),
        ({"headers": {"Host": "x"}}, "a header other than connection, content-length, host"),
        ({"headers": {"X Y": "x"}}, "a header other than"),
        ({"headers": {"X": "a\r\nY: b"}}, "printable text without placeholders"),
        ({"headers": {"X": "${pod}"}}, "printable text without placeholders"),
        ({"header_files": {"Idempotency-Key": "/x"}}, "a header other than"),
        ({"body": {"a": "${1}"}}, "letters, digits and underscores"),
        ({"timeout": "0"}, "greater than 0"),
        ({"expected_status": [42]}, "greater than or equal to 100"),
        ({"allow_private": ["10.0.0.1/8"]}, r"a host name, an address or a network \(10.0.0.1/8 has host bits set\)"),
        ({"probe": "http://${pod}/"}, "without user, fragment or a placeholder before the path"),
    ],
)
def test_mistakes_of_a_policy(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        HttpParams.model_validate({"url": "http://example.org/", **params})
