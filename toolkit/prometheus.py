"""The only code that speaks to Prometheus, or to what answers like it.

Connection, authentication and TLS are prometheus-api-client's. Its query methods are not used: they return the result
alone and lose the warnings beside it, which tell half an answer from a whole one; and orjson decodes in two thirds of
the time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import numpy as np
import numpy.typing as npt
import orjson
import requests
from prometheus_api_client import PrometheusConnect
from urllib3.exceptions import ReadTimeoutError
from urllib3.util.retry import Retry

from presagio.toolkit.errors import SourceError, SourceReason
from presagio.toolkit.link_auth import Auth
from presagio.toolkit.link_config import LinkConfig, Tls
from presagio.toolkit.points import lift, points
from presagio.toolkit.prometheus_config import Kind, PrometheusConfig
from presagio.toolkit.refusals import reason_of
from presagio.toolkit.secrets import SecretError

__all__ = ["MAX_POINTS", "Floats", "Matrix", "Prometheus", "PrometheusConfig", "Vector", "session_of"]

Floats = npt.NDArray[np.float64]

MAX_POINTS = 11_000
"""Prometheus refuses a range query with more steps than this."""

_MAX_SAMPLES = 2_000_000
_FEW_POINTS = 100

_MOVED = 0.01
"""In seconds: Prometheus answers for the moments asked for, but for what is lost in writing them."""


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
        self.session = session_of(config, session)
        self.auth = Auth(config)
        # No retries here: a loop that asks again at its next step must not wait inside this one.
        self.connection = PrometheusConnect(
            config.url, session=self.session, auth=self.auth, retry=Retry(total=0), timeout=config.timeout,
            method="POST",
        )  # fmt: skip

    def instant(self, query: str, time: float) -> Vector:
        """Return `query` at `time` (Unix seconds). Raises SourceError."""
        data, warnings, _ = self._ask("query", {"query": query, "time": f"{time:.3f}"})
        with self._decoding():
            if data["resultType"] == "scalar":
                return Vector([{}], np.array([float(data["result"][1])]), warnings)
            series = _series(data, "vector", query)
            return Vector([one["metric"] for one in series], _floats([one["value"][1] for one in series]), warnings)

    def range(self, query: str, start: float, end: float, step: float) -> Matrix:
        """Return `query` at start, start + step, ... up to end. Raises SourceError; at most 11,000 steps."""
        bounds = {"start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:.3f}"}
        data, warnings, lifted = self._ask("query_range", {"query": query, **bounds})
        times = start + step * np.arange(int((end - start) / step + 1e-6) + 1, dtype=np.float64)
        with self._decoding():
            series = _series(data, "matrix", query)
            values = np.full((len(series), len(times)), np.nan, dtype=np.float64)
            for row, one in enumerate(series):
                found = points(one["values"], lifted)
                columns = np.rint((found[:, 0] - start) / step).astype(np.int64)
                self._same_moments(found[:1, 0], times[columns[:1]])
                values[row, columns] = found[:, 1]
            return Matrix([one["metric"] for one in series], times, values, warnings)

    def history(self, query: str, start: float, end: float, step: float, series: int = 1) -> Iterator[Matrix]:
        """Yield the range in chunks that Prometheus takes; `series` is the number expected, to bound memory.

        A chunk that is too much for Prometheus is asked for in smaller ones.
        """
        points = max(1, min(MAX_POINTS, _MAX_SAMPLES // max(1, series)))
        while start <= end:
            points = min(points, round((end - start) / step) + 1)
            stop = min(end, start + (points - 1) * step)
            try:
                matrix = self.range(query, start, stop, step)
            except SourceError as error:
                if points <= _FEW_POINTS or not _too_much(error):
                    raise
                points //= 4
                continue
            yield matrix
            start = stop + step

    def _ask(self, endpoint: str, form: Mapping[str, str]) -> tuple[Any, tuple[str, ...], list[bytes]]:
        # In seconds without a unit: with one Prometheus takes whole numbers only.
        form = {**self.config.beside, **form, "timeout": f"{self.config.timeout:.3f}"}
        response = self._post(f"{self.connection.url}/api/v1/{endpoint}", form)
        rest, lifted = lift(response.content)
        try:
            answer = orjson.loads(rest)
        except orjson.JSONDecodeError:
            answer = None
        if response.status_code != requests.codes.ok:
            raise _refusal(response, answer)
        if not isinstance(answer, dict) or answer.get("status") != "success" or "data" not in answer:
            raise SourceError(
                SourceReason.BAD_ANSWER,
                f"{self.config.url} gave no JSON answer of Prometheus: {response.content[:80]!r}",
            )
        self._kind_is_told(answer)
        return answer["data"], _warnings(answer), lifted

    def _post(self, url: str, form: Mapping[str, str]) -> requests.Response:
        timeout = self.config.timeout
        try:
            response = self.session.post(
                url, data=form, auth=self.auth, timeout=timeout,
                # requests would take along headers of ours to whoever the answer names
                allow_redirects=not self.auth.is_secret,
                verify=self.session.verify,  # else REQUESTS_CA_BUNDLE would have its way
            )  # fmt: skip
        except (OSError, SecretError) as error:
            raise self._failure(error) from error
        if response.is_redirect:
            target = urljoin(response.url, response.headers["location"])
            told = (
                f"{self.config.url} sends queries on to {target}, where our credentials do not follow; ask that one"
            )
            raise SourceError(SourceReason.BAD_ANSWER, told)
        if response.request.method != "POST":
            told = f"{self.config.url} sends queries on to {response.url}, where they arrive empty; ask that one"
            raise SourceError(SourceReason.BAD_ANSWER, told)
        return response

    def _same_moments(self, found: Floats, asked: Floats) -> None:
        if (np.abs(found - asked) > _MOVED).any():
            told = (
                f"answers for {found[0]:.3f} what was asked for {asked[0]:.3f}; it must not align ranges with steps"
            )
            raise SourceError(SourceReason.BAD_ANSWER, f"{self.config.url} {told}")

    def _kind_is_told(self, answer: Mapping[str, Any]) -> None:
        stats = answer.get("stats")
        if self.config.kind is Kind.PROMETHEUS and isinstance(stats, dict) and "seriesFetched" in stats:
            told = f"is VictoriaMetrics, whose answers may be 30 s old; add kind: {Kind.VICTORIA_METRICS}"
            raise SourceError(SourceReason.BAD_ANSWER, f"{self.config.url} {told}")

    def _failure(self, error: OSError | SecretError) -> SourceError:
        """Tell the errors of requests apart, which are OSErrors, and those of files that it was to read."""
        url = self.config.url
        if isinstance(error, SecretError):
            return SourceError(SourceReason.REFUSED, str(error))
        if isinstance(error, requests.Timeout) or any(isinstance(one, ReadTimeoutError) for one in error.args):
            return SourceError(SourceReason.TIMEOUT, f"{url} did not answer within {self.config.timeout:g}s")
        if isinstance(error, requests.RequestException) and not isinstance(error, requests.ConnectionError):
            return SourceError(SourceReason.BAD_ANSWER, f"{url} broke off its answer: {error}")
        return SourceError(SourceReason.UNREACHABLE, f"{url} cannot be reached: {error}")

    @contextmanager
    def _decoding(self) -> Iterator[None]:
        try:
            yield
        except (LookupError, TypeError, ValueError) as error:
            told = f"{self.config.url} gave an answer that is not of Prometheus' form: {error!r}"
            raise SourceError(SourceReason.BAD_ANSWER, told) from error


def _too_much(error: SourceError) -> bool:
    return error.reason in (SourceReason.TIMEOUT, SourceReason.TOO_LARGE)


def session_of(config: LinkConfig, session: requests.Session | None = None) -> requests.Session:
    """Return a session, a new one if none is given, that gives and checks certificates as configured."""
    session = session or requests.Session()
    session.verify = _verify(config.tls)
    session.cert = config.tls.certificate
    return session


def _warnings(answer: Mapping[str, Any]) -> tuple[str, ...]:
    # VictoriaMetrics' cluster says by a mark what Thanos and Mimir say by a warning.
    partial = ("isPartial: a storage node did not answer",) if answer.get("isPartial") is True else ()
    return (*(answer.get("warnings") or ()), *partial)


def _verify(tls: Tls) -> bool | str:
    return False if tls.insecure_skip_verify else str(tls.ca_file) if tls.ca_file else True


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
    detail = answer if isinstance(answer, dict) else {}
    text = str(detail.get("error") or detail.get("message") or response.text[:200])
    reason = reason_of(response.status_code, str(detail.get("errorType")), text)
    return SourceError(reason, f"prometheus answered {response.status_code}: {text}")
