"""Where Prometheus is and who we are to it: the part of a configuration file, and what it does to a request."""

from __future__ import annotations

from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import requests
from pydantic import Field, SecretStr, field_validator, model_validator
from requests.auth import AuthBase, _basic_auth_str

from presagio.toolkit.schema import Model
from presagio.toolkit.secrets import Secret, SecretError
from presagio.toolkit.units import Duration

_TENANT_HEADER = "X-Scope-OrgID"


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


class PrometheusConfig(Model):
    """Where Prometheus is and who we are to it."""

    url: str = Field("http://localhost:9090", description="base URL, with its path prefix if it has one")
    bearer_token: SecretStr | None = Field(None, description="token; rather use bearer_token_file")
    bearer_token_file: Path | None = Field(None, description="file with the token, read at each query")
    basic_auth: BasicAuth | None = Field(None, description="user name and password")
    tls: Tls = Field(default_factory=Tls, description="certificates")
    tenant: str | None = Field(
        None, pattern="^[!-~]+$", description=f"tenant of Mimir, Cortex or Thanos, sent as {_TENANT_HEADER}"
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
        return url.rstrip("/")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = ("bearer_token", "bearer_token_file", "basic_auth")
        given = [way for way in ways if getattr(self, way) is not None]
        if len(given) > 1:
            raise ValueError(f"one of {', '.join(ways)}, got {' and '.join(given)}")
        return self

    @property
    def headers(self) -> dict[str, str]:
        """What is sent with each request, beside the credentials."""
        return {_TENANT_HEADER: self.tenant} if self.tenant else {}


class Auth(AuthBase):
    """Reads the secret at each request, so that a rotated one needs no restart."""

    def __init__(self, config: PrometheusConfig) -> None:
        self.bearer = Secret(config.bearer_token, config.bearer_token_file)
        self.basic = config.basic_auth

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Return the request with its Authorization. Raises SecretError."""
        if self.bearer:
            token = self.bearer.read()
            if not (token.isascii() and token.isprintable()):
                # Told here, since http.client would quote the token.
                raise SecretError("the bearer token cannot be sent: it has more than one line, or is not ASCII")
            request.headers["Authorization"] = f"Bearer {token}"
        elif self.basic:
            password = Secret(self.basic.password, self.basic.password_file).read()
            request.headers["Authorization"] = _basic_auth_str(self.basic.username.encode(), password.encode())
        return request
