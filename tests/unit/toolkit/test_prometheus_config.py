"""Who we are to Prometheus: secrets, certificates, tenants, and where the address leads."""

import base64
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_server import Answer, Asked, Server, serving, vector
from pydantic import SecretStr

from presagio.toolkit.errors import ConfigError, SourceError
from presagio.toolkit.link_config import BasicAuth, Tls
from presagio.toolkit.prometheus import Prometheus, PrometheusConfig
from presagio.toolkit.schema import ConfigFile

FILE = ConfigFile("prometheus", PrometheusConfig, lambda _: True)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


def ask(server: Server, **settings: object) -> Asked:
    """Ask once with these settings and return how it arrived."""
    client = Prometheus(PrometheusConfig.model_validate({"url": server.url, **settings}))
    client.instant("up", 1000.0)
    client.session.close()
    return server.asked[-1]


def refused(url: str, **settings: object) -> tuple[str, str]:
    client = Prometheus(PrometheusConfig.model_validate({"url": url, "timeout": 5.0, **settings}))
    with pytest.raises(SourceError) as caught:
        client.instant("up", 1000.0)
    client.session.close()
    return caught.value.reason.name, str(caught.value).replace(url, "URL")


def test_without_credentials_none_are_sent_not_even_those_of_netrc(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password mine\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    headers = ask(server).headers
    assert "Authorization" not in headers
    assert "X-Scope-OrgID" not in headers


def test_a_token_is_sent_and_its_file_read_at_each_request(server: Server, tmp_path: Path) -> None:
    assert ask(server, bearer_token="given").headers["Authorization"] == "Bearer given"
    file = tmp_path / "token"
    client = Prometheus(PrometheusConfig(url=server.url, bearer_token_file=file))
    for token in ("old", "new"):
        file.write_text(f"{token}\n")
        client.instant("up", 1000.0)
        assert server.asked[-1].headers["Authorization"] == f"Bearer {token}"
    client.session.close()


def test_basic_auth_is_sent_in_utf_8_and_its_file_read_at_each_request(server: Server, tmp_path: Path) -> None:
    def sent(**settings: object) -> str:
        asked = ask(server, basic_auth={"username": "jürgen", **settings})
        scheme, _, text = asked.headers["Authorization"].partition(" ")
        return f"{scheme} {base64.b64decode(text).decode()}"

    file = tmp_path / "password"
    file.write_text("пароль\n")
    assert sent(password="s:x") == "Basic jürgen:s:x"
    assert sent(password_file=file) == "Basic jürgen:пароль"
    file.write_text("rotated")
    assert sent(password_file=file) == "Basic jürgen:rotated"
    assert sent() == "Basic jürgen:"


def test_the_tenant_is_sent_beside_the_credentials(server: Server) -> None:
    headers = ask(server, tenant="team-a|team-b", bearer_token="t").headers
    assert (headers["X-Scope-OrgID"], headers["Authorization"]) == ("team-a|team-b", "Bearer t")


@pytest.mark.parametrize("prefix", ["", "/", "/prometheus", "/select/0/prometheus/"])
def test_an_address_may_have_a_path(server: Server, prefix: str) -> None:
    assert ask(server, url=server.url + prefix).path == f"{prefix.rstrip('/')}/api/v1/query"


def test_a_secret_that_cannot_be_had_is_a_refusal_and_never_shows(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "token"
    assert refused(server.url, bearer_token_file=file) == (
        "REFUSED", f"secret file '{file}' cannot be read: No such file or directory",
    )  # fmt: skip
    for token in ("two\nlines-hunter2", "hunter2-größe✓"):
        file.write_text(token)
        reason, told = refused(server.url, bearer_token_file=file)
        assert reason == "REFUSED"
        assert told == "the bearer token cannot be sent: it has more than one line, or is not ASCII"
    assert server.asked == []


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_that_keeps_the_query_is_followed(server: Server, status: int) -> None:
    target = f"{server.url}/moved/api/v1/query"
    server.answer = lambda asked: vector() if "moved" in asked.path else Answer(b"", status, {"Location": target})
    asked = ask(server)
    assert (asked.path, asked.form["query"]) == ("/moved/api/v1/query", "up")


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirect_that_loses_the_query_is_told_with_its_target(server: Server, status: int) -> None:
    """Else Prometheus would be blamed for an empty query, or a login page for not being JSON."""
    server.answer = lambda asked: vector() if asked.path == "/new" else Answer(b"", status, {"Location": "/new"})
    assert refused(server.url) == (
        "BAD_ANSWER", "URL sends queries on to URL/new, where they arrive empty; ask that one",
    )  # fmt: skip


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "secret",
    [
        {"bearer_token": "secret"},
        {"basic_auth": {"username": "a", "password": "secret"}},
        {"headers": {"X-Api-Key": {"value": "secret"}}},
    ],
)
def test_no_redirect_is_followed_where_there_are_credentials(
    server: Server, status: int, secret: dict[str, object]
) -> None:
    """requests would leave out Authorization at another host, but take our own headers there."""
    with serving() as other:
        server.answer = lambda _: Answer(b"", status, {"Location": f"{other.url}/api/v1/query"})
        reason, told = refused(server.url, **secret)
        assert (reason, other.asked, len(server.asked)) == ("BAD_ANSWER", [], 1)
        assert told == (
            f"URL sends queries on to {other.url}/api/v1/query, where our credentials do not follow; ask that one"
        )


def test_headers_are_sent_and_their_files_read_at_each_request(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "key"
    headers = {"X-Api-Key": {"value_file": file}, "CF-Access-Client-Id": {"value": "presagio"}}
    config = PrometheusConfig.model_validate({"url": server.url, "headers": headers})
    assert "presagio" not in repr(config)
    client = Prometheus(config)
    for key in ("old", "new"):
        file.write_text(f"{key}\n")
        client.instant("up", 1000.0)
        sent = server.asked[-1].headers
        assert (sent["X-Api-Key"], sent["CF-Access-Client-Id"]) == (key, "presagio")
    file.write_text("two\nlines-hunter2")
    with pytest.raises(SourceError, match="the header X-Api-Key cannot be sent: it has more") as caught:
        client.instant("up", 1000.0)
    assert "hunter2" not in str(caught.value)
    client.session.close()


def test_parameters_are_sent_with_each_query_and_the_kind_has_its_own(server: Server) -> None:
    def beside(**settings: object) -> dict[str, str]:
        form = ask(server, **settings).form
        return {name: value for name, value in form.items() if name not in ("query", "time", "timeout")}

    assert beside() == {}
    assert beside(parameters={"dedup": True, "replicaLabels[]": "r"}) == {"dedup": "true", "replicaLabels[]": "r"}
    assert beside(kind="victoria-metrics") == {"nocache": "1", "latency_offset": "1ms"}
    assert beside(kind="victoria-metrics", parameters={"latency_offset": "10s"})["latency_offset"] == "10s"


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an authority of our own, and certificates of a server and of a client that it signed."""
    folder = tmp_path_factory.mktemp("certificates")
    key = ["-newkey", "rsa:2048", "-nodes"]
    openssl(folder, "req", "-x509", *key, "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
            "-addext", "keyUsage=critical,keyCertSign")  # fmt: skip
    (folder / "san").write_text("subjectAltName=IP:127.0.0.1\n")
    for name in ("server", "client"):
        openssl(folder, "req", *key, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-extfile", "san", "-days", "2", "-out", f"{name}.pem")  # fmt: skip
    both = (folder / "client.pem").read_text() + (folder / "client.key").read_text()
    (folder / "both.pem").write_text(both)
    (folder / "broken.pem").write_text("no certificate")
    return folder


@pytest.fixture
def secure(certificates: Path) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    with serving(context) as running:
        yield running


def test_a_certificate_of_our_own_authority_is_trusted_and_no_other(
    secure: Server, certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask(secure, tls={"ca_file": certificates / "ca.pem"}).form["query"] == "up"
    assert refused(secure.url)[0] == "UNREACHABLE"
    assert "certificate verify failed" in refused(secure.url)[1]
    # A bundle of the machine's must not take the place of ours.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates / "client.pem"))
    assert ask(secure, tls={"ca_file": certificates / "ca.pem"}).form["query"] == "up"


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_without_verification_any_certificate_will_do(secure: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(secure, tls={"insecure_skip_verify": True}).form["query"] == "up"
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/dev/null")
    assert ask(secure, tls={"insecure_skip_verify": True}).form["query"] == "up"


@pytest.mark.parametrize("name", ["none.pem", "broken.pem"])
def test_certificate_files_that_are_none_are_told(secure: Server, certificates: Path, name: str) -> None:
    for field in ("ca_file", "cert_file"):
        tls = {"ca_file": certificates / "ca.pem", field: certificates / name}
        reason, told = refused(secure.url, tls=tls)
        assert (reason, told[:22]) == ("UNREACHABLE", "URL cannot be reached:")


@pytest.mark.parametrize("ours", [{"cert_file": "client.pem", "key_file": "client.key"}, {"cert_file": "both.pem"}])
def test_our_own_certificate_is_given_to_a_server_that_asks_for_it(certificates: Path, ours: dict[str, str]) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificates / "ca.pem"))
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    context.verify_mode = ssl.CERT_REQUIRED
    tls = {"ca_file": certificates / "ca.pem"}
    with serving(context) as strict:
        assert refused(strict.url, tls=tls)[0] == "UNREACHABLE"
        files = {field: certificates / name for field, name in ours.items()}
        assert ask(strict, tls={**tls, **files}).form["query"] == "up"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("url: localhost", "url: expected an address that begins with http:// or https://, got 'localhost'"),
        ("url: 'http://'", "url: expected an address that begins with http:// or https://, got 'http://'"),
        ("url: ftp://a", "url: expected an address that begins with http:// or https://, got 'ftp://a'"),
        ("url: 'http://me:hunter2@a'",
         "url: expected an address without credentials, which belong into basic_auth, got both together"),
        ("{bearer_token: a, bearer_token_file: b}",
         "expected one of bearer_token, bearer_token_file, basic_auth, sigv4, "
         "got bearer_token and bearer_token_file"),
        ("{bearer_token: a, basic_auth: {username: b}}",
         "expected one of bearer_token, bearer_token_file, basic_auth, sigv4, got bearer_token and basic_auth"),
        ("basic_auth: {username: a, password: b, password_file: c}",
         "basic_auth: expected either password or password_file, got both"),
        ("basic_auth: {password: hunter2}", "basic_auth.username: expected a value for 'username', got nothing"),
        ("tls: {key_file: a}", "tls: expected cert_file beside key_file, got key_file alone"),
        ("timeout: 0s", "timeout: expected greater than 0, got 0.0"),
        ("{sigv4: {region: eu-west-1}, basic_auth: {username: b}}",
         "expected one of bearer_token, bearer_token_file, basic_auth, sigv4, got basic_auth and sigv4"),
        ("sigv4: {}", "sigv4.region: expected a value for 'region', got nothing"),
        ("sigv4: {region: eu-west-1, role: a}", "sigv4.role: expected 'profile', got unknown key 'role'"),
        ("kind: victoriametrics",
         "kind: expected 'prometheus' or 'victoria-metrics', got \"victoriametrics\""),
        ("headers: {Authorization: {value: hunter2}}",
         "headers: expected bearer_token_file, basic_auth or sigv4 in place of the header, got 'Authorization'"),
        ("headers: {x-scope-orgid: {value: a}}",
         "headers: expected tenant in place of the header, got 'x-scope-orgid'"),
        ("headers: {a b: {value: c}}",
         "headers: expected a header's name, which has letters, digits and dashes, got 'a b'"),
        ("headers: {X-Key: {value: hunter2, value_file: b}}",
         "headers.X-Key: expected one of value and value_file, got both"),
        ("headers: {X-Key: {}}", "headers.X-Key: expected one of value and value_file, got none"),
        ("headers: {X-Key: {value: [hunter2]}}",
         "headers.X-Key.value: expected a valid string, got a value of type list"),
        ("parameters: {timeout: 1s}",
         "parameters: expected parameters beside query, time, start, end, step, timeout, which each query has, "
         "got 'timeout'"),
        ("parameters: {dedup: [a]}", "parameters.dedup: expected a valid string, got [\"a\"]"),
        ("url: http://a/api?x=1",
         "url: expected an address that ends with its path, since /api/v1/... is added to it, "
         "got 'http://a/api?x=1'"),
        ("tenant: team a", "tenant: expected string should match pattern '^[!-~]+$', got \"team a\""),
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_told(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "file.yml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        FILE.load(file)
    assert str(caught.value) == f"{file}:1: {told}"


def test_no_secret_shows_in_what_is_printed() -> None:
    config = PrometheusConfig(basic_auth=BasicAuth(username="me", password=SecretStr("hunter2")), tls=Tls())
    assert "hunter2" not in f"{config!r} {config.model_dump_json()}"
