"""The only code that speaks to Prometheus, or to what answers like it.

Connection, authentication and TLS are prometheus-api-client's. Its query methods are not used: they return the result
alone and lose the warnings beside it, which tell half an answer from a whole one; and orjson decodes in two thirds of
the time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import requests
from prometheus_api_client import PrometheusConnect
from pydantic import Field, SecretStr, field_validator
from requests.auth import AuthBase, _basic_auth_str
from urllib3.util.retry import Retry

from presagio.toolkit.errors import SourceError, SourceReason
from presagio.toolkit.schema import Model
from presagio.toolkit.secrets import Secret
from presagio.toolkit.units import Duration

Floats = npt.NDArray[np.float64]

MAX_POINTS = 11_000
"""Prometheus refuses a range query with more steps than this."""

_MAX_SAMPLES = 2_000_000
_TENANT_HEADER = "X-Scope-OrgID"
_BY_STATUS = {
    400: SourceReason.BAD_QUERY,
    401: SourceReason.REFUSED,
    403: SourceReason.REFUSED,
    422: SourceReason.BAD_QUERY,
}


class BasicAuth(Model):
    """User name and password."""

    username: str
    password: SecretStr | None = None
    password_file: Path | None = None


class Tls(Model):
    """How the server's certificate is checked, and ours given."""

    ca_file: Path | None = Field(None, description="certificate authority that signed the server's certificate")
    cert_file: Path | None = Field(None, description="our certificate, for mutual TLS")
    key_file: Path | None = Field(None, description="the key of our certificate")
    insecure_skip_verify: bool = Field(False, description="accept any certificate; for tests only")


class PrometheusConfig(Model):
    """Where Prometheus is and who we are to it."""

    url: str = Field("http://localhost:9090", description="base URL, with its path prefix if it has one")
    bearer_token: SecretStr | None = Field(None, description="token; rather use bearer_token_file")
    bearer_token_file: Path | None = Field(None, description="file with the token, read at each query")
    basic_auth: BasicAuth | None = Field(None, description="user name and password")
    tls: Tls = Field(default_factory=Tls, description="certificates")
    tenant: str | None = Field(None, description=f"tenant of Mimir, Cortex, Thanos or Loki, sent as {_TENANT_HEADER}")
    timeout: Duration = Field(10.0, description="longest wait for one answer; also given to Prometheus")

    @field_validator("url")
    @classmethod
    def _http(cls, url: str) -> str:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"an address that begins with http:// or https://, got {url!r}")
        return url.rstrip("/")


@dataclass(frozen=True)
class Vector:
    """An instant answer: n series, `values[n]` (NaN and ±Inf as Prometheus gave them)."""

    labels: Sequence[Mapping[str, str]]
    values: Floats
    warnings: tuple[str, ...] = ()

    @property
    def partial(self) -> bool:
        """Whether series may be missing that exist: a store behind Thanos or Mimir did not answer."""
        return _partial(self.warnings)


@dataclass(frozen=True)
class Matrix:
    """A range answer: n series at t times, `values[n, t]`, NaN where a series has no sample."""

    labels: Sequence[Mapping[str, str]]
    times: Floats
    values: Floats
    warnings: tuple[str, ...] = ()

    @property
    def partial(self) -> bool:
        """Whether series may be missing that exist."""
        return _partial(self.warnings)


def _partial(warnings: Sequence[str]) -> bool:
    # Prometheus 3 also warns of the query itself ("PromQL warning: ..."); all series are there all the same.
    return any(not warning.startswith("PromQL ") for warning in warnings)


class Prometheus:
    """A client. Every failure is a SourceError whose `reason` says of which kind."""

    def __init__(self, config: PrometheusConfig, session: requests.Session | None = None) -> None:
        self.config = config
        self.session = session or requests.Session()
        self.session.verify = _verify(config.tls)
        if config.tls.cert_file and config.tls.key_file:
            self.session.cert = (str(config.tls.cert_file), str(config.tls.key_file))
        # No retries here: a loop that asks again at its next step must not wait inside this one.
        self.connection = PrometheusConnect(
            config.url, headers=_headers(config), session=self.session, auth=_Auth(config), retry=Retry(total=0),
            timeout=config.timeout, method="POST",
        )  # fmt: skip

    def instant(self, query: str, time: float) -> Vector:
        """Return `query` at `time` (Unix seconds). Raises SourceError."""
        data, warnings = self._ask("query", {"query": query, "time": f"{time:.3f}"})
        if data["resultType"] == "scalar":
            return Vector([{}], np.array([float(data["result"][1])]), warnings)
        series = _series(data, "vector", query)
        return Vector([one["metric"] for one in series], _floats([one["value"][1] for one in series]), warnings)

    def range(self, query: str, start: float, end: float, step: float) -> Matrix:
        """Return `query` at start, start + step, ... up to end. Raises SourceError; at most 11,000 steps."""
        bounds = {"start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:.3f}"}
        data, warnings = self._ask("query_range", {"query": query, **bounds})
        series = _series(data, "matrix", query)
        times = start + step * np.arange(int((end - start) / step + 1e-6) + 1, dtype=np.float64)
        values = np.full((len(series), len(times)), np.nan, dtype=np.float64)
        for row, one in enumerate(series):
            points = one["values"]
            steps = np.rint((np.array([point[0] for point in points]) - start) / step).astype(np.int64)
            values[row, steps] = _floats([point[1] for point in points])
        return Matrix([one["metric"] for one in series], times, values, warnings)

    def history(self, query: str, start: float, end: float, step: float, series: int = 1) -> Iterator[Matrix]:
        """Yield the range in chunks that Prometheus takes; `series` is the number expected, to bound memory."""
        points = max(1, min(MAX_POINTS, _MAX_SAMPLES // max(1, series)))
        while start <= end:
            stop = min(end, start + (points - 1) * step)
            yield self.range(query, start, stop, step)
            start = stop + step

    def _ask(self, endpoint: str, form: Mapping[str, str]) -> tuple[Any, tuple[str, ...]]:
        form = {**form, "timeout": f"{self.config.timeout:g}s"}
        response = self._post(f"{self.connection.url}/api/v1/{endpoint}", form)
        try:
            answer = orjson.loads(response.content)
        except orjson.JSONDecodeError:
            answer = None
        if response.status_code != requests.codes.ok:
            raise _refusal(response, answer)
        if not isinstance(answer, dict) or answer.get("status") != "success" or "data" not in answer:
            raise SourceError(
                SourceReason.BAD_ANSWER,
                f"{self.config.url} gave no JSON answer of Prometheus: {response.content[:80]!r}",
            )
        return answer["data"], tuple(answer.get("warnings") or ())

    def _post(self, url: str, form: Mapping[str, str]) -> requests.Response:
        timeout = self.config.timeout
        try:
            return self.session.post(
                url, data=form, headers=self.connection.headers, auth=self.connection.auth, timeout=timeout
            )
        except requests.Timeout as error:
            raise SourceError(
                SourceReason.TIMEOUT, f"{self.config.url} did not answer within {timeout:g}s"
            ) from error
        except requests.ConnectionError as error:
            raise SourceError(SourceReason.UNREACHABLE, f"{self.config.url} cannot be reached: {error}") from error
        except requests.RequestException as error:
            raise SourceError(SourceReason.BAD_ANSWER, f"{self.config.url} broke off its answer: {error}") from error


class _Auth(AuthBase):
    """Reads the secret at each request, so that a rotated one needs no restart."""

    def __init__(self, config: PrometheusConfig) -> None:
        self.bearer = Secret(config.bearer_token, config.bearer_token_file)
        self.basic = config.basic_auth

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self.bearer:
            request.headers["Authorization"] = f"Bearer {self.bearer.read()}"
        elif self.basic:
            password = Secret(self.basic.password, self.basic.password_file).read()
            request.headers["Authorization"] = _basic_auth_str(self.basic.username, password)
        return request


def _verify(tls: Tls) -> bool | str:
    return False if tls.insecure_skip_verify else str(tls.ca_file) if tls.ca_file else True


def _headers(config: PrometheusConfig) -> dict[str, str]:
    return {_TENANT_HEADER: config.tenant} if config.tenant else {}


def _floats(texts: Sequence[str]) -> Floats:
    return np.array([float(text) for text in texts], dtype=np.float64)


def _series(data: Any, kind: str, query: str) -> list[Any]:
    if data["resultType"] != kind:
        raise SourceError(
            SourceReason.BAD_QUERY,
            f"query {query!r} gives a {data['resultType']}, not a {kind}; wrap it in a function such as rate()",
        )
    key = "value" if kind == "vector" else "values"
    # Native histograms carry no number; a function such as histogram_quantile() makes one of them.
    return [one for one in data["result"] if key in one]


def _refusal(response: requests.Response, answer: Any) -> SourceError:
    reason = _BY_STATUS.get(response.status_code, SourceReason.SERVER_ERROR)
    detail = answer if isinstance(answer, dict) else {}
    if detail.get("errorType") == "timeout":
        reason = SourceReason.TIMEOUT
    text = detail.get("error") or response.text[:200]
    return SourceError(reason, f"prometheus answered {response.status_code}: {text}")
