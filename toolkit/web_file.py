"""--web.config.file: TLS and basic authentication, in the form that Prometheus and its exporters read.

The format is that of Prometheus' exporter-toolkit. Its keys that Python's ssl cannot honour are refused, not ignored.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from presagio.toolkit.errors import ConfigError
from presagio.toolkit.schema import ConfigFile, Finding, Mistake, Model

_BCRYPT = re.compile(r"\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}")

_CIPHERS = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
}
"""Names of the IANA, as Go and the format have them, and OpenSSL's: those without known weaknesses."""


class ClientAuth(StrEnum):
    """Whether clients show a certificate."""

    NONE = "NoClientCert"
    IF_GIVEN = "VerifyClientCertIfGiven"
    REQUIRED = "RequireAndVerifyClientCert"


_VERIFY = {
    ClientAuth.NONE: ssl.CERT_NONE,
    ClientAuth.IF_GIVEN: ssl.CERT_OPTIONAL,
    ClientAuth.REQUIRED: ssl.CERT_REQUIRED,
}
_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}


def _bcrypt(text: str) -> str:
    if not _BCRYPT.fullmatch(text):
        # not quoted: somebody may have written the password itself
        raise ValueError("a bcrypt hash, as `htpasswd -nBC 10 NAME` prints behind the colon, got something else")
    return text


def _cipher(name: str) -> str:
    if name not in _CIPHERS:
        raise ValueError(f"one of {', '.join(_CIPHERS)}, got {name!r}")
    return name


class TlsServer(Model):
    """The server's certificate, and what clients need. Both files are read anew for each connection."""

    cert_file: Path = Field(description="certificate and those that it was issued by, PEM")
    key_file: Path = Field(description="its private key, PEM")
    client_auth_type: ClientAuth = Field(ClientAuth.NONE, description="whether clients show a certificate")
    client_ca_file: Path | None = Field(None, description="who issues the certificates of clients, PEM")
    min_version: Literal["TLS12", "TLS13"] = Field("TLS12", description="oldest version of TLS")
    max_version: Literal["TLS12", "TLS13"] = Field("TLS13", description="newest version of TLS")
    cipher_suites: tuple[Annotated[str, AfterValidator(_cipher)], ...] = Field(
        (), description="suites for TLS 1.2, by their IANA names; none: the library's choice"
    )
    prefer_server_cipher_suites: bool = Field(True, description="our order of suites counts, not the client's")

    def context(self) -> ssl.SSLContext:
        """Return a context with the certificate as it is now. Raises OSError if the files do not fit."""
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(self.cert_file, self.key_file)
        made.minimum_version, made.maximum_version = _VERSIONS[self.min_version], _VERSIONS[self.max_version]
        if self.cipher_suites:
            made.set_ciphers(":".join(_CIPHERS[name] for name in self.cipher_suites))
        if not self.prefer_server_cipher_suites:
            made.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
        if self.client_ca_file is not None:
            made.load_verify_locations(self.client_ca_file)
        made.verify_mode = _VERIFY[self.client_auth_type]
        return made


class HttpServer(Model):
    """Headers of every answer. There is no HTTP/2 here, whatever is said of it."""

    http2: bool = Field(True, description="accepted since others have it; we speak HTTP/1.1")
    headers: Mapping[
        Literal[
            "Content-Security-Policy", "Strict-Transport-Security", "X-Content-Type-Options", "X-Frame-Options",
            "X-XSS-Protection",
        ],
        str,
    ] = Field({}, description="sent with every answer")  # fmt: skip


class WebFile(Model):
    """How the server is reached: encrypted or not, by whom. An empty file means what no file means."""

    tls_server_config: TlsServer | None = Field(None, description="TLS; none: plain HTTP")
    http_server_config: HttpServer = Field(default_factory=HttpServer, description="headers of every answer")
    basic_auth_users: Mapping[str, Annotated[str, AfterValidator(_bcrypt)]] = Field(
        {}, description="user: bcrypt hash of the password; who is none of them gets 401, at every address"
    )


def _lint(file: WebFile) -> Iterator[Finding]:
    tls = file.tls_server_config
    if tls is None:
        return
    if tls.client_auth_type is not ClientAuth.NONE and tls.client_ca_file is None:
        remedy = f"a file of certificates for client_auth_type {tls.client_auth_type}"
        yield Finding(("tls_server_config", "client_ca_file"), remedy, "nothing")
    if tls.min_version > tls.max_version:
        remedy = f"at most max_version, {tls.max_version}"
        yield Finding(("tls_server_config", "min_version"), remedy, tls.min_version)


FILE = ConfigFile(
    "web", WebFile, lambda data: not {"tls_server_config", "http_server_config", "basic_auth_users"}.isdisjoint(data),
    _lint,
)  # fmt: skip


def load(path: Path | None) -> WebFile:
    """Return the file's settings, paths in it relative to its folder. Raises ConfigError with all its mistakes."""
    if path is None:
        return WebFile()
    read = FILE.load(path)
    tls = read.tls_server_config
    if tls is None:
        return read
    placed = {name: path.parent / file for name in ("cert_file", "key_file", "client_ca_file")
              if (file := getattr(tls, name)) is not None}  # fmt: skip
    tls = tls.model_copy(update=placed)
    try:
        tls.context()
    except OSError as error:
        said = f"certificate and key that fit ({error.strerror or error})"
        raise ConfigError([Mistake(str(path), 1, "tls_server_config", said, str(tls.cert_file))]) from error
    return read.model_copy(update={"tls_server_config": tls})
