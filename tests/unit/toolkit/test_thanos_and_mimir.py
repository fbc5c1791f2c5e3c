"""Thanos and Mimir by their documented APIs: servers of ours, strict about what they are asked; not the real ones."""

import gzip
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl

import numpy as np
import pytest
from prometheus_server import Answer, Asked, Server, failure, matrix, serving, vector

from presagio.toolkit.errors import SourceError, SourceReason
from presagio.toolkit.prometheus import Prometheus, PrometheusConfig

_QUERY = {"query", "time", "timeout"}
_RANGE = {"query", "start", "end", "step", "timeout"}
_THANOS = {"dedup", "partial_response", "max_source_resolution", "replicaLabels[]", "engine"}


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


def client(server: Server, path: str = "", **settings: object) -> Prometheus:
    return Prometheus(PrometheusConfig.model_validate({"url": server.url + path, "timeout": 5.0, **settings}))


def mistakes(asked: Asked, path: str, beside: set[str]) -> str:
    """Return what is wrong with a request, by Prometheus' API at `path`; empty if nothing is."""
    names = [name for name, _ in parse_qsl(asked.body.decode(), keep_blank_values=True, strict_parsing=True)]
    if asked.method != "POST" or asked.headers.get("Content-Type") != "application/x-www-form-urlencoded":
        return "not a form"
    wanted = {f"{path}/api/v1/query": _QUERY, f"{path}/api/v1/query_range": _RANGE}.get(asked.path)
    if wanted is None:
        return f"no such path: {asked.path}"
    if len(names) != len({*names}) or not wanted <= {*names} <= wanted | beside:
        return f"parameters: {names}"
    return ""


def points(asked: Asked) -> list[float]:
    start, end, step = (float(asked.form[name]) for name in ("start", "end", "step"))
    return [start + step * index for index in range(round((end - start) / step) + 1)]


# Thanos


class Querier:
    """Thanos Query below --web.route-prefix=/thanos; one of its stores is down."""

    def __call__(self, asked: Asked) -> Answer:
        """Answer in part with a warning, or not at all where the asker wants all or nothing."""
        if wrong := mistakes(asked, "/thanos", _THANOS):
            return failure(400, "bad_data", wrong)
        for name in ("dedup", "partial_response"):
            if asked.form.get(name, "true") not in ("true", "false"):
                return failure(400, "bad_data", f"'{name}' parameter: strconv.ParseBool: invalid syntax")
        told = "receive series from Addr: 10.0.0.7:10901: rpc error: code = Unavailable desc = connection refused"
        if asked.form.get("partial_response", "true") == "false":
            return failure(422, "execution", f"expanding series: proxy Series(): {told}")
        series = {"replica": "a"} if asked.form.get("dedup") == "false" else {}
        if "step" in asked.form:
            return matrix((series, [(time, "1") for time in points(asked)]), warnings=[told])
        return vector((series, "1"), warnings=[told])


@pytest.mark.parametrize(
    ("parameters", "labels"), [({}, {}), ({"dedup": "true"}, {}), ({"dedup": "false"}, {"replica": "a"})]
)
def test_half_an_answer_of_thanos_is_one(
    server: Server, parameters: Mapping[str, str], labels: Mapping[str, str]
) -> None:
    server.answer = Querier()
    asking = client(server, "/thanos", parameters=parameters)
    for answer in (asking.instant("up", 1000.0), asking.range("up", 1000.0, 1060.0, 15.0)):
        assert (answer.labels, answer.partial) == ([labels], True)
        assert "10.0.0.7:10901" in answer.warnings[0]


def test_all_or_nothing_of_thanos_is_nothing(server: Server) -> None:
    server.answer = Querier()
    asking = client(server, "/thanos/", parameters={"partial_response": "false", "max_source_resolution": "0s"})
    with pytest.raises(SourceError, match=r"prometheus answered 422: expanding series: .* Unavailable"):
        asking.instant("up", 1000.0)


@pytest.mark.parametrize(
    "told", ["exceeded series limit: limit 100 violated (got 101)", "limit 100 violated (got 101)"]
)
def test_a_limit_of_a_store_is_one(server: Server, told: str) -> None:
    server.answer = lambda _: failure(422, "execution", f"rpc error: code = ResourceExhausted desc = {told}")
    with pytest.raises(SourceError) as caught:
        client(server).instant("up", 1000.0)
    assert caught.value.reason == SourceReason.TOO_LARGE


# Mimir


class Frontend:
    """Mimir's query-frontend: it asks for a tenant, allows a length and a number of points, and compresses."""

    def __init__(self, longest: float = 7 * 86_400.0) -> None:
        self.longest = longest
        self.busy = 0

    def __call__(self, asked: Asked) -> Answer:
        """Answer one tenant."""
        if asked.headers.get("X-Scope-OrgID") != "team-a|team-b":
            return Answer(b"no org id\n", 401)
        if wrong := mistakes(asked, "/prometheus", set()):
            return failure(400, "bad_data", wrong)
        if self.busy:
            self.busy -= 1
            return failure(429, "too_many_requests", "too many outstanding requests")
        return self._ranged(asked) if "step" in asked.form else self._compressed(asked, vector(({}, "1")))

    def _ranged(self, asked: Asked) -> Answer:
        length = float(asked.form["end"]) - float(asked.form["start"])
        if len(points(asked)) > 11_000:
            return failure(400, "bad_data", "exceeded maximum resolution of 11,000 points per timeseries.")
        if length > self.longest:
            told = f"the total query time range exceeds the limit (query length: {length}s, limit: {self.longest}s)"
            return failure(422, "execution", f"{told} (err-mimir-max-total-query-length)")
        return self._compressed(asked, matrix(({}, [(time, f"{time}") for time in points(asked)])))

    def _compressed(self, asked: Asked, answer: Answer) -> Answer:
        assert "gzip" in asked.headers["Accept-Encoding"]
        return Answer(gzip.compress(answer.body), headers={"Content-Encoding": "gzip"})


@pytest.fixture
def mimir(server: Server) -> Frontend:
    made = Frontend()
    server.answer = made
    return made


def of_tenant(server: Server, **settings: object) -> Prometheus:
    return client(server, "/prometheus", tenant="team-a|team-b", **settings)


def test_mimir_answers_its_tenant_and_nobody_else(server: Server, mimir: Frontend) -> None:
    assert of_tenant(server, basic_auth={"username": "a"}).instant("up", 1000.0).values.tolist() == [1.0]
    with pytest.raises(SourceError, match="prometheus answered 401: no org id") as caught:
        client(server, "/prometheus").instant("up", 1000.0)
    assert caught.value.reason == SourceReason.REFUSED


def test_history_that_is_longer_than_mimir_allows_comes_in_chunks(server: Server, mimir: Frontend) -> None:
    """Two weeks at five minutes are 4032 points, which Prometheus would answer at once."""
    end, step = 1_700_000_100.0, 300.0
    chunks = list(of_tenant(server).history("up", end - 14 * 86_400, end, step))
    joined = np.concatenate([chunk.values[0] for chunk in chunks])
    np.testing.assert_array_equal(joined, end - 14 * 86_400 + step * np.arange(4033))
    assert [len(points(one)) for one in server.asked[:2]] == [4033, 1008]


def test_a_busy_mimir_is_asked_again_by_whoever_asked(server: Server, mimir: Frontend) -> None:
    mimir.busy = 1
    asking = of_tenant(server)
    with pytest.raises(SourceError) as caught:
        asking.instant("up", 1000.0)
    assert caught.value.reason == SourceReason.RATE_LIMITED
    assert len(server.asked) == 1
    assert asking.instant("up", 1000.0).values.tolist() == [1.0]


def test_a_rate_limit_is_not_answered_with_more_and_smaller_questions(server: Server, mimir: Frontend) -> None:
    mimir.busy = 10
    with pytest.raises(SourceError) as caught:
        list(of_tenant(server).history("up", 0.0, 15.0 * 5000, 15.0))
    assert (caught.value.reason, len(server.asked)) == (SourceReason.RATE_LIMITED, 1)
