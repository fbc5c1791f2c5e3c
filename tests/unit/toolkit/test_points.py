"""The points of a range answer, lifted out of its JSON."""

import json
import math

import numpy as np
import orjson
import pytest

from presagio.toolkit.points import lift, points

PAIRS: list[tuple[float, str]] = [(1000, "1"), (1015.5, "-2.5e-07"), (1030, "100000000000000000000000")]


def decoded(body: bytes) -> list[list[list[float]]]:
    rest, lifted = lift(body)
    return [points(one["values"], lifted).tolist() for one in orjson.loads(rest)["result"] if "values" in one]


def compact(*series: object) -> bytes:
    return orjson.dumps({"result": series})


def test_points_are_those_of_the_json() -> None:
    body = compact({"metric": {"a": "b"}, "values": PAIRS}, {"histograms": [[1, {}]]}, {"values": PAIRS[:1]})
    assert lift(body)[1] != []
    assert decoded(body) == [[[time, float(value)] for time, value in PAIRS], [[1000, 1]]]


@pytest.mark.parametrize("text", ["NaN", "+Inf", "-Inf", "-0", "1e-320"])
def test_each_number_is_the_one_of_an_instant_query_to_the_bit(text: str) -> None:
    ((_, (_, found)),) = decoded(compact({"values": [PAIRS[0], [1015, text]]}))
    assert (math.copysign(1, found), str(found)) == (math.copysign(1, float(text)), str(float(text)))


def test_points_among_spaces_or_none_at_all_are_read_too() -> None:
    body = json.dumps({"result": [{"values": PAIRS}, {"values": []}]}).encode()
    assert lift(body) == (body, [])
    assert [len(one) for one in decoded(body)] == [3, 0]


def test_a_label_that_looks_like_points_stays_a_label() -> None:
    body = compact({"metric": {"a": '"values":[[1,"2"]]'}, "values": PAIRS})
    rest, lifted = lift(body)
    assert orjson.loads(rest)["result"][0] == {"metric": {"a": '"values":[[1,"2"]]'}, "values": 0}
    assert len(lifted) == 1


@pytest.mark.parametrize("broken", ['[[1,"2"],[3]]', '[[1,"many"]]'])
def test_what_is_no_point_is_told(broken: str) -> None:
    with pytest.raises(ValueError, match=r"reshape|could not convert"):
        decoded(b'{"result":[{"values":%s}]}' % broken.encode())


def test_an_answer_that_was_cut_off_stays_broken() -> None:
    body = compact({"values": PAIRS})[:-8]
    assert lift(body) == (body, [])
    np.testing.assert_raises(orjson.JSONDecodeError, orjson.loads, body)
