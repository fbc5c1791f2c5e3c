"""Which addresses are spoken to: decided on the socket, whatever the name in the URL."""

import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from http_server import HttpServer, serving

from presagio.actions.base import NotAppliedError
from presagio.actions.connection import Allowed, Answer, Gate, send


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with serving() as running:
        yield running


def ask(url: str, allowed: Allowed, ca_file: Path | None = None) -> Answer:
    return send("POST", url, headers={}, body=b"{}", timeout=5, allowed=allowed, ca_file=ca_file)


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("127.0.0.1", "loopback"), ("127.8.9.1", "loopback"), ("::1", "loopback"), ("::ffff:127.0.0.1", "loopback"),
        ("169.254.1.1", "link-local"), ("fe80::1", "link-local"), ("fe80::1%eth0", "link-local"),
        ("0.0.0.0", "unspecified"), ("::", "unspecified"), ("224.0.0.1", "multicast"), ("ff02::1", "multicast"),
        ("169.254.169.254", "metadata"), ("fd00:ec2::254", "metadata"), ("100.100.100.200", "metadata"),
        ("64:ff9b::a9fe:a9fe", "metadata"), ("::ffff:169.254.169.254", "metadata"),
    ],
)  # fmt: skip
def test_addresses_inside_are_refused(address: str, kind: str) -> None:
    with pytest.raises(NotAppliedError, match=f"'host' is the {kind} address .*, which is refused; name it"):
        Gate("host", False).check(address)


@pytest.mark.parametrize("address", ["10.0.0.1", "192.168.1.1", "8.8.8.8", "2001:db8::1", "fd00::1"])
def test_other_addresses_pass(address: str) -> None:
    Gate("host", False).check(address)


@pytest.mark.parametrize(
    "allowed", [True, ["127.0.0.1"], ["127.0.0.0/8"], ["host"], ["::1", "::/0", "another", "127.0.0.1"]]
)
def test_what_is_named_passes(allowed: Allowed) -> None:
    Gate("host", allowed).check("127.0.0.1")


def test_a_metadata_address_must_be_named_itself() -> None:
    with pytest.raises(NotAppliedError) as error:
        Gate("metadata.test", True).check("169.254.169.254")
    assert str(error.value) == (
        "'metadata.test' is the metadata address 169.254.169.254, which is refused; "
        "name it in the policy if you mean it: allow_private: [169.254.169.254]"
    )
    Gate("metadata.test", ["169.254.169.254"]).check("169.254.169.254")


def test_a_refused_address_gets_not_one_byte(server: HttpServer) -> None:
    port = server.url.rpartition(":")[2]
    for host in ("127.0.0.1", "localhost", "0.0.0.0", "127.1", "2130706433", "0x7f000001"):
        with pytest.raises(NotAppliedError, match=r"is the loopback address 127.0.0.1, which is refused"):
            ask(f"http://{host}:{port}/", False)
    assert server.asked == []
    assert ask(f"http://localhost:{port}/", ["localhost"]).status == 200


def test_what_a_name_resolves_to_is_looked_at(server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that answers with another address each time cannot slip through."""
    port = int(server.url.rpartition(":")[2])
    asked = []

    def rebinding(host: str, *_: object, **__: object) -> list[object]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    with pytest.raises(NotAppliedError, match=r"'harmless.example' is the loopback address"):
        ask(f"http://harmless.example:{port}/", False)
    assert asked == ["harmless.example"]
    assert server.asked == []


@pytest.mark.skipif(
    shutil.which("openssl") is None and os.environ.get("CI") != "true", reason="no openssl; apt-get install openssl"
)
def test_a_certificate_that_is_not_trusted_stops_before_anything_is_sent(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
         "-keyout", key, "-out", certificate, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
        capture_output=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    with serving() as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.use_tls(context)
        url = server.url.replace("http://127.0.0.1", "https://localhost")
        with pytest.raises(NotAppliedError, match=r"nothing was sent to https://localhost.*certificate"):
            ask(url, True)
        assert server.asked == []
        assert ask(url, True, ca_file=certificate).status == 200
