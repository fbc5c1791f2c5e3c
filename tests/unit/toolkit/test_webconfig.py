import base64
import logging
from pathlib import Path

import pytest
from flask import Flask, jsonify
from flask.testing import FlaskClient
from pydantic import SecretStr, ValidationError

from presagio.toolkit import httperrors
from presagio.toolkit.log import get_log
from presagio.toolkit.schema import ConfigFile, Finding
from presagio.toolkit.secrets import SecretError
from presagio.toolkit.webconfig import AuthConfig, Guard, Role, caller, key_of

LOG = get_log("test")
MISSING = {"error": "no API key; send it in the header X-API-Key or as Authorization: Bearer"}
WRONG = {"error": "wrong API key; ask whoever runs this server for a valid one"}


def client(config: AuthConfig) -> FlaskClient:
    app = Flask("test")
    httperrors.install(app, LOG)
    Guard(config, LOG).protect(app)
    app.add_url_rule("/", "index", lambda: jsonify(ok=True))
    return app.test_client()


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    "headers",
    [
        {"X-API-Key": "secret"},
        {"x-api-key": "secret"},
        {"Authorization": "Bearer secret"},
        {"Authorization": basic("alertmanager", "secret")},
    ],
)
def test_a_valid_key_passes(headers: dict[str, str]) -> None:
    assert client(AuthConfig(api_key=SecretStr("secret"))).get("/", headers=headers).json == {"ok": True}


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, MISSING),
        ({"X-API-Key": ""}, MISSING),
        ({"Authorization": "Bearer"}, MISSING),
        ({"Authorization": "Basic !"}, MISSING),
        ({"X-API-Key": "wrong"}, WRONG),
        ({"X-API-Key": "secre"}, WRONG),
        ({"X-API-Key": "secret2"}, WRONG),
        ({"X-API-Key": "schlüssel"}, WRONG),
        ({"Authorization": "Bearer wrong"}, WRONG),
        ({"Authorization": basic("secret", "wrong")}, WRONG),
    ],
)
def test_any_other_does_not(headers: dict[str, str], body: dict[str, str]) -> None:
    answer = client(AuthConfig(api_key=SecretStr("secret"))).get("/", headers=headers)
    assert (answer.status_code, answer.json) == (401, body)
    assert answer.headers["WWW-Authenticate"] == "Bearer realm=presagio"


def test_a_file_may_hold_two_keys_and_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("old\nnew\n")
    served = client(AuthConfig(api_key_file=file))
    assert [served.get("/", headers={"X-API-Key": key}).status_code for key in ("old", "new")] == [200, 200]
    file.write_text("new\n")
    assert [served.get("/", headers={"X-API-Key": key}).status_code for key in ("old", "new")] == [401, 200]


@pytest.mark.parametrize("left", [None, "", "\n"])
def test_keys_that_vanish_lock_everybody_out(
    tmp_path: Path, left: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "keys"
    file.write_text("key\n")
    served = client(AuthConfig(api_key_file=file))
    file.unlink() if left is None else file.write_text(left)
    answer = served.get("/", headers={"X-API-Key": "key"})
    assert (answer.status_code, answer.json) == (
        503,
        {"error": "the server cannot read its API keys; its log tells why"},
    )
    assert "no API key can be checked" in caplog.text


def test_no_key_to_check_against_is_an_error_at_start(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    with pytest.raises(SecretError, match=r"secret file '.*keys' cannot be read: No such file"):
        client(AuthConfig(api_key_file=file))
    file.write_text("\n")
    with pytest.raises(SecretError, match=r"keys' is empty; write one API key a line, or set authentication: none"):
        client(AuthConfig(api_key_file=file))
    with pytest.raises(SecretError, match="api_key is empty"):
        client(AuthConfig())


def test_authentication_is_off_only_by_name(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        served = client(AuthConfig(authentication="none"))
    assert served.get("/").status_code == 200
    assert "authentication is off: everybody may use the API" in caplog.text


def test_lint_tells_a_missing_key_with_the_remedy(tmp_path: Path) -> None:
    kind = ConfigFile("auth", AuthConfig, lambda _: True, lint=lambda config: config.lint())
    file = tmp_path / "auth.yml"
    file.write_text("{}\n")
    with pytest.raises(Exception, match="expected") as caught:
        kind.load(file)
    assert str(caught.value) == (
        f"{file}:1: api_key_file: expected a file with one API key a line (or authentication: none), got nothing"
    )


def test_lint_refuses_two_sources_and_accepts_either_and_none(tmp_path: Path) -> None:
    both = AuthConfig(api_key=SecretStr("key"), api_key_file=tmp_path)
    assert list(both.lint(("api",))) == [Finding(("api", "api_key"), "either api_key or api_key_file", "both")]
    for good in (
        AuthConfig(api_key=SecretStr("key")),
        AuthConfig(api_key_file=tmp_path),
        AuthConfig(authentication="none"),
    ):
        assert list(good.lint()) == []


def test_a_key_never_shows() -> None:
    assert "secret" not in repr(AuthConfig(api_key=SecretStr("secret")))
    with pytest.raises(ValidationError, match="'api_key' or 'none'"):
        AuthConfig.model_validate({"authentication": "off"})


@pytest.mark.parametrize(
    ("line", "name", "roles"),
    [
        ("k", "an unnamed key", {Role.READ, Role.OPERATE}),
        ("k alice read,operate,approve", "alice", set(Role)),
        ("k  bob\tapprove", "bob", {Role.APPROVE}),
    ],
)
def test_a_line_tells_whose_key_it_is(line: str, name: str, roles: set[Role]) -> None:
    assert (caller(line).name, caller(line).roles, key_of(line)) == (name, frozenset(roles), "k")


@pytest.mark.parametrize("line", ["k alice", "k alice admin", "k alice read, approve", "k alice read approve"])
def test_a_line_that_nobody_can_read_is_told_without_its_key(line: str) -> None:
    with pytest.raises(SecretError, match="KEY NAME read,operate,approve, got '\\*\\*\\* alice") as told:
        caller(f"topsecret {line.removeprefix('k ')}")
    assert "topsecret" not in str(told.value)
