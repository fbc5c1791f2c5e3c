"""What Prometheus answers, and what is made of answers that are none."""

import gzip
import math
from collections.abc import Iterator

import numpy as np
import pytest
from prometheus_server import Answer, Asked, Server, failure, matrix, serving, success, vector

from presagio.toolkit.errors import SourceError, SourceReason
from presagio.toolkit.prometheus import MAX_POINTS, Prometheus, PrometheusConfig

HTML = b"<html><body>Please sign in</body></html>"


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[Prometheus]:
    found = Prometheus(PrometheusConfig(url=server.url, timeout=0.5))
    yield found
    found.session.close()


def refused(client: Prometheus) -> tuple[str, str]:
    """Return reason and message of the error that a query gives."""
    with pytest.raises(SourceError) as caught:
        client.instant("up", 1000.0)
    return caught.value.reason.name, str(caught.value).replace(client.config.url, "URL")


def test_an_instant_query_is_asked_for_its_time_and_within_ours(server: Server, client: Prometheus) -> None:
    client.instant('up{job="a"}', 1_700_000_000.25)
    [asked] = server.asked
    assert (asked.method, asked.path) == ("POST", "/api/v1/query")
    # Prometheus takes "0.5" for half a second, and refuses "0.5s".
    assert asked.form == {"query": 'up{job="a"}', "time": "1700000000.250", "timeout": "0.500"}


def test_an_instant_answer_has_labels_and_values(server: Server, client: Prometheus) -> None:
    strange = [({"kind": text}, text) for text in ("NaN", "+Inf", "-Inf", "-0", "1e-320", "0.1")]
    server.answer = lambda _: vector(*strange, ({}, "1.7976931348623157e+308"))
    answer = client.instant("up", 1000)
    assert answer.labels == [*(labels for labels, _ in strange), {}]
    np.testing.assert_array_equal(
        answer.values, [math.nan, math.inf, -math.inf, -0.0, 1e-320, 0.1, 1.7976931348623157e308]
    )
    assert (answer.warnings, answer.partial) == ((), False)


def test_no_series_and_a_scalar_are_answers(server: Server, client: Prometheus) -> None:
    assert client.instant("absent_metric", 1000).values.shape == (0,)
    server.answer = lambda _: success({"resultType": "scalar", "result": [1000, "42.5"]})
    assert (client.instant("42.5", 1000).labels, client.instant("42.5", 1000).values.tolist()) == ([{}], [42.5])


def test_a_range_has_a_value_or_nan_at_each_of_its_times(server: Server, client: Prometheus) -> None:
    server.answer = lambda _: matrix(
        ({"a": "gaps"}, [(1000, "1"), (1030.0, "NaN"), (1060, "+Inf")]), ({"a": "late"}, [(1060, "5")])
    )
    answer = client.range("up", 1000, 1060, 15)
    assert {name: server.asked[0].form[name] for name in ("start", "end", "step")} == {
        "start": "1000.000", "end": "1060.000", "step": "15.000",
    }  # fmt: skip
    np.testing.assert_array_equal(answer.times, [1000, 1015, 1030, 1045, 1060])
    nan = math.nan
    np.testing.assert_array_equal(answer.values, [[1, nan, nan, nan, math.inf], [nan, nan, nan, nan, 5]])
    server.answer = lambda _: matrix()
    assert client.range("up", 1000, 1060, 15).values.shape == (0, 5)


def test_native_histograms_carry_no_number_and_are_left_out(server: Server, client: Prometheus) -> None:
    histogram = {
        "metric": {"a": "h"},
        "histogram": [1000, {"count": "5", "sum": "1", "buckets": [[0, "1", "2", "3"]]}],
    }
    number = {"metric": {"a": "n"}, "value": [1000, "3"]}
    server.answer = lambda _: success({"resultType": "vector", "result": [histogram, number]})
    assert client.instant("x", 1000).labels == [{"a": "n"}]
    histograms = {"metric": {"a": "h"}, "histograms": [histogram["histogram"]]}
    mixed = {**histograms, "metric": {"a": "m"}, "values": [[1015, "7"]]}
    server.answer = lambda _: success({"resultType": "matrix", "result": [histograms, mixed]})
    answer = client.range("x", 1000, 1015, 15)
    assert answer.labels == [{"a": "m"}]
    np.testing.assert_array_equal(answer.values, [[math.nan, 7]])


@pytest.mark.parametrize(
    ("beside", "warnings", "partial"),
    [
        ({"warnings": None}, (), False),
        ({"infos": ["PromQL info: metric might not be a counter"]}, (), False),
        ({"warnings": ["PromQL warning: bucket label missing"]}, ("PromQL warning: bucket label missing",), False),
        ({"warnings": ["PromQL warning: a", "No StoreAPIs matched"]},
         ("PromQL warning: a", "No StoreAPIs matched"), True),
        ({"isPartial": False}, (), False),
        ({"isPartial": True}, ("isPartial: a storage node did not answer",), True),
    ],
)  # fmt: skip
def test_a_warning_tells_half_an_answer_from_a_whole_one(
    server: Server, client: Prometheus, beside: dict[str, list[str]], warnings: tuple[str, ...], partial: bool
) -> None:
    server.answer = lambda _: vector(({}, "1"), **beside)
    instant = client.instant("up", 1000)
    server.answer = lambda _: matrix(({}, [(1000, "1")]), **beside)
    ranged = client.range("up", 1000, 1000, 15)
    assert [(one.warnings, one.partial) for one in (instant, ranged)] == [(warnings, partial)] * 2


def test_a_compressed_answer_is_one_like_others(server: Server, client: Prometheus) -> None:
    plain = vector(({"a": "b"}, "7"))
    server.answer = lambda _: Answer(gzip.compress(plain.body), headers={"Content-Encoding": "gzip"})
    assert client.instant("up", 1000).values.tolist() == [7.0]
    assert "gzip" in server.asked[0].headers["Accept-Encoding"]


@pytest.mark.parametrize(
    ("answer", "reason", "told"),
    [
        (failure(400, "bad_data", "parse error"), "BAD_QUERY", "prometheus answered 400: parse error"),
        (failure(422, "execution", "many-to-many"), "BAD_QUERY", "prometheus answered 422: many-to-many"),
        (failure(400, "bad_data", "exceeded maximum resolution of 11,000 points per timeseries"), "TOO_LARGE",
         "prometheus answered 400: exceeded maximum resolution of 11,000 points per timeseries"),
        (failure(422, "execution", "query processing would load too many samples into memory"), "TOO_LARGE",
         "prometheus answered 422: query processing would load too many samples into memory"),
        (failure(429, "too_many_requests", "too many outstanding requests"), "RATE_LIMITED",
         "prometheus answered 429: too many outstanding requests"),
        (Answer(b"slow down", 429), "RATE_LIMITED", "prometheus answered 429: slow down"),
        (vector(({}, "1"), stats={"seriesFetched": "1"}), "BAD_ANSWER",
         "URL is VictoriaMetrics, whose answers may be 30 s old; add kind: victoria-metrics"),
        (failure(503, "timeout", "query timed out"), "TIMEOUT", "prometheus answered 503: query timed out"),
        (failure(503, "unavailable", "starting"), "SERVER_ERROR", "prometheus answered 503: starting"),
        (failure(500, "internal", "disk"), "SERVER_ERROR", "prometheus answered 500: disk"),
        (Answer(b"no token", 401), "REFUSED", "prometheus answered 401: no token"),
        (Answer(HTML, 403), "REFUSED", f"prometheus answered 403: {HTML.decode()}"),
        (Answer(b"x" * 500, 502), "SERVER_ERROR", f"prometheus answered 502: {'x' * 200}"),
        (Answer(b"", 404), "SERVER_ERROR", "prometheus answered 404: "),
        (Answer(b'["error"]', 500), "SERVER_ERROR", 'prometheus answered 500: ["error"]'),
        (Answer(HTML), "BAD_ANSWER", f"URL gave no JSON answer of Prometheus: {HTML!r}"),
        (Answer(b""), "BAD_ANSWER", "URL gave no JSON answer of Prometheus: b''"),
        (Answer(b"[]"), "BAD_ANSWER", "URL gave no JSON answer of Prometheus: b'[]'"),
        (Answer(b'{"status":"success"}'), "BAD_ANSWER",
         "URL gave no JSON answer of Prometheus: b'{\"status\":\"success\"}'"),
        (success(None), "BAD_ANSWER",
         "URL gave an answer that is not of Prometheus' form: "
         "TypeError(\"'NoneType' object is not subscriptable\")"),
        (success({}), "BAD_ANSWER",
         "URL gave an answer that is not of Prometheus' form: KeyError('resultType')"),
        (vector(({}, "many")), "BAD_ANSWER",
         "URL gave an answer that is not of Prometheus' form: "
         "ValueError(\"could not convert string to float: 'many'\")"),
        (matrix(({}, [(1000, "1")])), "BAD_QUERY",
         "query 'up' gives a matrix, not a vector; wrap it in a function such as rate()"),
        (Answer(b"x" * 100, headers={"Content-Encoding": "gzip"}), "BAD_ANSWER", "URL broke off its answer: "),
        (Answer(HTML, cut=10), "BAD_ANSWER", "URL broke off its answer: "),
        (Answer(HTML, cut=10, stall=True), "TIMEOUT", "URL did not answer within 0.5s"),
        (Answer(stall=True, headers={"Content-Length": "1"}), "TIMEOUT", "URL did not answer within 0.5s"),
    ],
)  # fmt: skip
def test_what_is_no_answer_has_its_reason(
    server: Server, client: Prometheus, answer: Answer, reason: str, told: str
) -> None:
    server.answer = lambda _: answer
    found, message = refused(client)
    # What follows a colon is told by a library, in words of its own.
    assert (found, message if told[-2:] != ": " else message[: len(told)]) == (reason, told)
    server.answer = lambda _: vector(({}, "1"))
    assert client.instant("up", 1000).values.tolist() == [1.0]


def test_nobody_there_is_unreachable(server: Server) -> None:
    config = PrometheusConfig(url="http://127.0.0.1:9")
    assert refused(Prometheus(config))[0] == "UNREACHABLE"


def points(asked: Asked) -> list[float]:
    start, end, step = (float(asked.form[name]) for name in ("start", "end", "step"))
    return [start + step * index for index in range(round((end - start) / step) + 1)]


@pytest.mark.parametrize(
    ("steps", "series", "largest"),
    [(1, 1, 1), (MAX_POINTS, 1, MAX_POINTS), (3 * MAX_POINTS + 7, 1, MAX_POINTS), (5000, 1000, 2000), (3, 10**9, 1)],
)
def test_history_comes_in_chunks_that_prometheus_takes(
    server: Server, client: Prometheus, steps: int, series: int, largest: int
) -> None:
    """Each moment once and in order; small chunks where series are many."""
    server.answer = lambda _: matrix()
    end = 1_700_000_000.0
    start = end - (steps - 1) * 15.0
    chunks = list(client.history("up", start, end, 15.0, series))
    np.testing.assert_array_equal(np.concatenate([chunk.times for chunk in chunks]), start + 15.0 * np.arange(steps))
    asked = [points(one) for one in server.asked]
    assert [time for chunk in asked for time in chunk] == [start + 15.0 * step for step in range(steps)]
    assert max(map(len, asked)) == largest


def test_a_chunk_that_is_too_much_is_asked_for_in_smaller_ones(server: Server, client: Prometheus) -> None:
    def answer(asked: Asked) -> Answer:
        if len(points(asked)) > 1000:
            return failure(422, "execution", "query processing would load too many samples into memory")
        return matrix(({}, [(time, f"{time}") for time in points(asked)]))

    server.answer = answer
    chunks = list(client.history("up", 15.0, 15.0 * 5000, 15.0))
    np.testing.assert_array_equal(np.concatenate([chunk.values[0] for chunk in chunks]), 15.0 * np.arange(1, 5001))


@pytest.mark.parametrize("error", [failure(503, "timeout", "slow"), failure(422, "execution", "many-to-many")])
def test_history_that_cannot_be_had_is_not_asked_for_without_end(
    server: Server, client: Prometheus, error: Answer
) -> None:
    server.answer = lambda _: error
    with pytest.raises(SourceError) as caught:
        list(client.history("up", 0.0, 15.0 * 5000, 15.0))
    assert len(server.asked) == (4 if caught.value.reason == SourceReason.TIMEOUT else 1)


def test_a_short_history_is_not_made_shorter(server: Server, client: Prometheus) -> None:
    server.answer = lambda _: failure(503, "timeout", "slow")
    with pytest.raises(SourceError, match="slow"):
        list(client.history("up", 0.0, 15.0 * 5, 15.0))
    assert len(server.asked) == 1


def test_a_range_that_is_answered_for_other_moments_is_told(server: Server, client: Prometheus) -> None:
    """Else its values would be taken for those of the moments asked for."""
    server.answer = lambda _: matrix(({}, [(1005, "1"), (1020, "2")]))
    with pytest.raises(SourceError, match=r"answers for 1005.000 what was asked for 1000.000") as caught:
        client.range("up", 1000.0, 1060.0, 15.0)
    assert caught.value.reason == SourceReason.BAD_ANSWER
