"""`presagio healthcheck` of a real server with a web configuration file: TLS, client certificates, users."""

from pathlib import Path

import bcrypt
import pytest
from authority import Authority
from http_server import serving
from tiny_server import Tiny

from presagio.toolkit.cli import main

NAME = "presagio-exporter.monitoring"
TLS = "tls_server_config: {cert_file: server.pem, key_file: server.key%s}\n"
USERS = f"basic_auth_users: {{ali: '{bcrypt.hashpw(b'open sesame', bcrypt.gensalt(4)).decode()}'}}\n"


def up(tiny: Tiny, text: str) -> str:
    """Start a server with such a file; return its health's address."""
    (tiny.folder / "web.yml").write_text(text)
    tiny.up("greeting: hello\n", "--web.config.file", "web.yml")
    scheme = "https:" if "tls_server_config" in text else "http:"
    return tiny.url.replace("http:", scheme) + "/-/healthy"


def test_a_certificate_is_verified_by_its_authority_and_its_name(
    tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Authority(tmp_path, NAME)
    url = up(tiny, TLS % "")
    ca = f"--ca-file={tmp_path / 'ca.pem'}"
    assert main(["healthcheck", url]) == 1
    assert "unable to get local issuer certificate" in capsys.readouterr().err
    assert main(["healthcheck", ca, url]) == 1
    assert "127.0.0.1" in capsys.readouterr().err
    assert main(["healthcheck", ca, f"--server-name={NAME}", url]) == 0
    assert main(["healthcheck", ca, "--server-name=another.example.org", url]) == 1
    assert "Hostname mismatch" in capsys.readouterr().err
    assert main(["healthcheck", "--insecure", url]) == 0
    assert main(["healthcheck", url.replace("https:", "http:")]) == 1


def test_a_server_that_wants_a_certificate_gets_one(tiny: Tiny, tmp_path: Path) -> None:
    cert, key = Authority(tmp_path).client()
    url = up(tiny, TLS % ", client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem")
    assert main(["healthcheck", "--insecure", url]) == 1
    assert main(["healthcheck", "--insecure", f"--cert-file={cert}", f"--key-file={key}", url]) == 0


def test_a_user_comes_with_a_password_out_of_a_file(
    tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = up(tiny, USERS)
    (tmp_path / "name").write_text("ali\n")
    (tmp_path / "word").write_text("open sesame\n")
    (tmp_path / "other").write_text("wrong")
    word = f"--password-file={tmp_path / 'word'}"
    assert main(["healthcheck", url]) == 1
    assert main(["healthcheck", "--username=ali", f"--password-file={tmp_path / 'other'}", url]) == 1
    assert capsys.readouterr().err == f"not healthy: {url}: answers 401\n" * 2
    assert main(["healthcheck", "--username=ali", word, url]) == 0
    assert main(["healthcheck", f"--username-file={tmp_path / 'name'}", word, url]) == 0
    assert main(["healthcheck", word, url]) == 1
    assert main(["healthcheck", "--username=ali", "--password-file=nowhere", url]) == 1
    told = capsys.readouterr().err
    assert "expected a user's name and --password-file, or neither, got one of them" in told
    assert "No such file or directory: 'nowhere'" in told


def test_a_password_does_not_follow_to_another_address(tmp_path: Path) -> None:
    (tmp_path / "word").write_text("open sesame")
    with serving() as first, serving() as second:
        first.told.status, first.told.headers = 302, {"Location": f"{second.url}/elsewhere"}
        assert main(["healthcheck", "--username=ali", f"--password-file={tmp_path / 'word'}", first.url]) == 0
        assert "Authorization" in first.asked[0].headers
        assert "Authorization" not in second.asked[0].headers
