"""--web.config.file on a real server: TLS, client certificates, basic authentication, headers, renewal."""

from pathlib import Path

import bcrypt
import pytest
import requests
from authority import Authority
from flask import Flask, jsonify
from pydantic import SecretStr
from tiny_server import Tiny, until

from presagio.toolkit import httperrors, web_file
from presagio.toolkit.door import Door
from presagio.toolkit.errors import ConfigError
from presagio.toolkit.log import get_log
from presagio.toolkit.web_file import WebFile
from presagio.toolkit.webconfig import AuthConfig, Guard, Role

HASH = bcrypt.hashpw(b"open sesame", bcrypt.gensalt(4)).decode()
ALI = ("ali", "open sesame")

TLS = "tls_server_config: {cert_file: server.pem, key_file: server.key%s}\n"


def up(tiny: Tiny, text: str, scheme: str = "https") -> None:
    (tiny.folder / "web.yml").write_text(text)
    tiny.up("greeting: hello\n", "--web.config.file", "web.yml")
    tiny.url = tiny.url.replace("http:", f"{scheme}:")


def test_tls_and_a_certificate_that_is_renewed_without_a_reload(tiny: Tiny, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    up(tiny, TLS % "")
    assert tiny.get("/greeting", verify=authority.bundle).json() == {"greeting": "hello"}
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get(tiny.url.replace("https", "http") + "/greeting", timeout=5)
    other = Authority(tmp_path)  # another authority has taken over
    assert tiny.get("/greeting", verify=other.bundle).json() == {"greeting": "hello"}


def test_a_client_shows_a_certificate(tiny: Tiny, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    up(tiny, TLS % ", client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem, min_version: TLS13")
    with pytest.raises(requests.exceptions.ConnectionError):
        tiny.get("/greeting", verify=authority.bundle)
    answer = tiny.get("/greeting", verify=authority.bundle, cert=authority.client())
    assert answer.json() == {"greeting": "hello"}


def test_everything_takes_a_user_and_a_reload_changes_who(tiny: Tiny) -> None:
    users = f"basic_auth_users: {{ali: '{HASH}'}}\nhttp_server_config: {{headers: {{X-Frame-Options: deny}}}}\n"
    up(tiny, users, "http")
    for path in ("/", "/metrics", "/-/healthy", "/greeting", "/nowhere"):
        assert tiny.get(path).status_code == 401
        assert tiny.get(path, auth=("ali", "wrong")).status_code == 401
        assert tiny.get(path, auth=("baba", "open sesame")).status_code == 401
    answer = tiny.get("/greeting", auth=ALI)
    assert (answer.json(), answer.headers["X-Frame-Options"]) == ({"greeting": "hello"}, "deny")

    (tiny.folder / "web.yml").write_text("basic_auth_users: {ali: open sesame}\n")
    refused = requests.post(f"{tiny.url}/-/reload", auth=ALI, timeout=5)
    assert (refused.status_code, "web.yml:1: basic_auth_users.ali: expected a bcrypt hash" in refused.text) == (
        500,
        True,
    )
    assert "sesame" not in refused.text
    (tiny.folder / "web.yml").write_text("")
    assert requests.post(f"{tiny.url}/-/reload", auth=ALI, timeout=5).status_code == 200
    until(lambda: tiny.get("/greeting").status_code == 200)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (TLS % "", "tls_server_config: expected certificate and key that fit"),
        ("tls_server_config: {cert_file: a}", "expected a value for 'key_file', got nothing"),
        (TLS % ", cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]", "got 'TLS_RSA_WITH_RC4_128_SHA'"),
        (
            TLS % ", min_version: TLS13, max_version: TLS12",
            "min_version: expected at most max_version, TLS12, got TLS13",
        ),
        (TLS % ", client_auth_type: RequireAndVerifyClientCert", "client_ca_file: expected a file of certificates"),
        (TLS % ", client_auth_type: RequireAnyClientCert", "client_auth_type: expected 'NoClientCert'"),
        ("basic_auth_user: {a: b}", "expected 'basic_auth_users', got unknown key 'basic_auth_user'"),
    ],
)
def test_a_mistake_is_told_with_its_remedy(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "web.yml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        web_file.load(path)
    assert told in str(caught.value)
    assert f"{path}:1: " in str(caught.value)


def test_a_bad_file_ends_the_start(tiny: Tiny) -> None:
    (tiny.folder / "web.yml").write_text("tls: yes\n")
    tiny.start("greeting: hello\n", "127.0.0.1:0", "--web.config.file", "web.yml")
    assert tiny.ended() == 1
    assert "presagio: web.yml:1: tls: expected" in tiny.text()


@pytest.mark.parametrize(
    ("roles", "sent", "code"),
    [
        ({}, "get", 200),
        ({}, "post", 403),
        ({"ali": (Role.OPERATE,)}, "post", 200),
        ({"baba": (Role.OPERATE,)}, "post", 403),
    ],
)
def test_what_a_user_may_do_is_said_by_name(roles: dict[str, tuple[Role, ...]], sent: str, code: int) -> None:
    app = Flask("test")
    httperrors.install(app, get_log("test"))
    Door(WebFile(basic_auth_users={"ali": HASH})).guard(app)
    Guard(AuthConfig(users=roles, api_key=SecretStr("key")), get_log("test")).protect(app)
    app.add_url_rule("/", "index", lambda: jsonify(ok=True), methods=["GET", "POST"])
    assert app.test_client().open("/", method=sent.upper(), auth=ALI).status_code == code
    with_key = app.test_client().open("/", method=sent.upper(), auth=ALI, headers={"X-API-Key": "key"})
    assert with_key.status_code == 200
    assert app.test_client().open("/", headers={"X-API-Key": "key"}).status_code == 401
