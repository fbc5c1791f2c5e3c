"""Where a server is and who we are to it: what configuration files say of Prometheus and of Alertmanager alike."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from presagio.toolkit.schema import Model
from presagio.toolkit.units import Duration

TENANT_HEADER = "X-Scope-OrgID"

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OURS = {
    "accept-encoding": "nothing: answers are compressed as they are",
    "authorization": "bearer_token_file, basic_auth or sigv4",
    "connection": "nothing: connections are kept",
    "content-encoding": "nothing: requests are not compressed",
    "content-length": "nothing: it is what it is",
    "content-type": "nothing: it is what it is",
    "host": "url",
    "transfer-encoding": "nothing: it is what it is",
    "x-scope-orgid": "tenant",
}


class BasicAuth(Model):
    """User name and password."""

    username: str = Field(description="user name")
    password: SecretStr | None = Field(None, description="password; rather use password_file")
    password_file: Path | None = Field(None, description="file with the password, read at each query")

    @model_validator(mode="after")
    def _one_password(self) -> Self:
        if self.password is not None and self.password_file is not None:
            raise ValueError("either password or password_file, got both")
        return self


class Tls(Model):
    """How the server's certificate is checked, and ours given."""

    ca_file: Path | None = Field(None, description="certificate authority that signed the server's certificate")
    cert_file: Path | None = Field(None, description="our certificate, for mutual TLS")
    key_file: Path | None = Field(None, description="the key of our certificate, if it is not in cert_file")
    insecure_skip_verify: bool = Field(False, description="accept any certificate; for tests only")

    @model_validator(mode="after")
    def _certificate_of_key(self) -> Self:
        if self.key_file is not None and self.cert_file is None:
            raise ValueError("cert_file beside key_file, got key_file alone")
        return self

    @property
    def certificate(self) -> str | tuple[str, str] | None:
        """Our certificate, as requests takes it."""
        if self.cert_file is None:
            return None
        return (str(self.cert_file), str(self.key_file)) if self.key_file else str(self.cert_file)


class Header(Model):
    """The value of one header."""

    value: SecretStr | None = Field(None, description="the value")
    value_file: Path | None = Field(None, description="file with the value, read at each query")

    @model_validator(mode="after")
    def _one_value(self) -> Self:
        if (self.value is None) == (self.value_file is None):
            raise ValueError(f"one of value and value_file, got {'none' if self.value is None else 'both'}")
        return self


class SigV4(Model):
    """Amazon's signature (Signature Version 4) on each request. Needs `pip install presagio[sigv4]`."""

    region: str = Field(pattern="^[a-z0-9-]+$", description="region of the workspace, such as eu-west-1")
    profile: str | None = Field(
        None, description="profile of the AWS configuration files; without it the standard chain decides"
    )
    service_name: str = Field("aps", pattern="^[a-z0-9-]+$", description="name under which requests are signed")

    @model_validator(mode="after")
    def _library(self) -> Self:
        if find_spec("botocore") is None:
            raise ValueError("the library botocore (pip install presagio[sigv4]), got an installation without it")
        return self


class LinkConfig(Model):
    """Where a server is and who we are to it."""

    url: str = Field(description="base URL, with its path prefix if it has one")
    bearer_token: SecretStr | None = Field(None, description="token; rather use bearer_token_file")
    bearer_token_file: Path | None = Field(None, description="file with the token, read at each query")
    basic_auth: BasicAuth | None = Field(None, description="user name and password")
    sigv4: SigV4 | None = Field(None, description="Amazon's signature, for its managed service")
    tls: Tls = Field(default_factory=Tls, description="certificates")
    tenant: str | None = Field(
        None, pattern="^[!-~]+$", description=f"tenant of Mimir, Cortex or Thanos, sent as {TENANT_HEADER}"
    )
    headers: Mapping[str, Header] = Field(
        default_factory=dict, description="more headers, by name: what a gateway before the server asks for"
    )
    timeout: Duration = Field(10.0, gt=0, description="longest wait for one answer; also given to Prometheus")

    @field_validator("url")
    @classmethod
    def _http(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.username is not None:
            raise ValueError("an address without credentials, which belong into basic_auth, got both together")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"an address that begins with http:// or https://, got {url!r}")
        if parts.query or parts.fragment:
            raise ValueError(f"an address that ends with its path, since /api/v1/... is added to it, got {url!r}")
        return url.rstrip("/")

    @field_validator("headers")
    @classmethod
    def _not_ours(cls, headers: Mapping[str, Header]) -> Mapping[str, Header]:
        for name in headers:
            if not _TOKEN.fullmatch(name):
                raise ValueError(f"a header's name, which has letters, digits and dashes, got {name!r}")
            if name.lower() in _OURS:
                raise ValueError(f"{_OURS[name.lower()]} in place of the header, got {name!r}")
        return headers

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = ("bearer_token", "bearer_token_file", "basic_auth", "sigv4")
        given = [way for way in ways if getattr(self, way) is not None]
        if len(given) > 1:
            raise ValueError(f"one of {', '.join(ways)}, got {' and '.join(given)}")
        return self
