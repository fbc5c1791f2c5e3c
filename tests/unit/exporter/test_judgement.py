"""What people said of a moment: pure, with envelopes drawn by hand."""

from zoneinfo import ZoneInfo

import numpy as np

from presagio.detectors.base import DeadBand
from presagio.exporter.envelope import Drawing, Envelope
from presagio.exporter.feedback import Feedback
from presagio.exporter.judgement import Judgement
from presagio.exporter.signals import Key

UTC = ZoneInfo("UTC")
A, B, OTHER = Key("a", "load", ()), Key("b", "load", ()), Key("a", "cpu", ())
KEYS = [A, B, OTHER]
DAY = 86400.0
EXPECTED = np.full(3, 100.0)


def feedback(
    number: int, kind: str, begin: float, end: float, service: str = "a", signal: str | None = None
) -> Feedback:
    body = {"id": number, "given": 0.0, "kind": kind, "from": begin, "to": end, "service_id": service}
    return Feedback.model_validate(body | {"signal": signal})


def envelope() -> Envelope:
    drawing = Drawing([A], UTC)
    drawing.add([A], np.array([3600.0]), np.array([[400.0]]), np.zeros(1, bool))
    return drawing.envelope


def said(
    given: list[Feedback], time: float, value: float = 100.0, drawn: dict[int, Envelope] | None = None
) -> tuple[list[float], list[int]]:
    told = Judgement(given, drawn or {}, DeadBand(), UTC).at(time, KEYS, np.full(3, value), EXPECTED)
    if told is None:
        return [], []
    return np.nan_to_num(told.trust, nan=-1).tolist(), told.excused.tolist()


def test_a_fault_is_not_trusted_and_not_excused() -> None:
    fault = feedback(1, "fault", 1000, 2000)
    assert said([fault], 1000) == said([fault], 2000) == ([0, -1, 0], [0, 0, 0])
    assert said([fault], 999) == said([fault], 2001) == ([], [])


def test_what_was_expected_is_trusted_and_excused_by_its_number() -> None:
    assert said([feedback(7, "expected", 1000, 2000)], 1500) == ([1, -1, 1], [7, 0, 7])


def test_it_is_of_one_signal_if_one_was_named() -> None:
    assert said([feedback(1, "fault", 1000, 2000, signal="cpu")], 1500) == ([-1, -1, 0], [0, 0, 0])


def test_of_two_that_overlap_the_later_one_counts() -> None:
    first, second = feedback(1, "fault", 1000, 2000), feedback(2, "expected", 1500, 2500)
    for order in ([first, second], [second, first]):
        assert said(order, 1200) == ([0, -1, 0], [0, 0, 0])
        assert said(order, 1800) == said(order, 2200) == ([1, -1, 1], [2, 0, 2])


def test_on_later_days_what_is_within_the_envelope_is_excused() -> None:
    expected, drawn = feedback(7, "expected", 3600, 3600), {7: envelope()}
    assert said([expected], DAY + 3600, 400) == ([], [])
    assert said([expected], DAY + 3600, 400, drawn) == ([1, -1, -1], [7, 0, 0])
    assert said([expected], 30 * DAY + 3600 - 900, 400, drawn) == ([1, -1, -1], [7, 0, 0])
    assert said([expected], DAY + 3600, 2000, drawn) == said([expected], DAY + 7200, 400, drawn) == ([], [])


def test_on_earlier_days_it_is_not() -> None:
    expected = feedback(7, "expected", DAY + 3600, DAY + 3600)
    assert said([expected], 3600, 400, {7: envelope()}) == ([], [])


def test_a_fault_of_a_later_day_is_no_envelope_s() -> None:
    expected, fault = feedback(1, "expected", 3600, 3600), feedback(2, "fault", DAY + 3600, DAY + 3600)
    assert said([expected, fault], DAY + 3600, 400, {1: envelope()}) == ([0, -1, 0], [0, 0, 0])
    assert said([expected, fault], 2 * DAY + 3600, 400, {1: envelope()}) == ([1, -1, -1], [1, 0, 0])


def test_rows_follow_churn() -> None:
    judgement = Judgement([feedback(1, "fault", 0, 10)], {}, DeadBand(), UTC)
    for keys in ([A, B], [B, A], [B]):
        told = judgement.at(5, keys, np.zeros(len(keys)), np.zeros(len(keys)))
        assert [key for key, fault in zip(keys, told.fault if told else [], strict=False) if fault] == (
            [A] if A in keys else []
        )


def test_marks_tell_what_a_row_learns_under() -> None:
    fault, expected = feedback(1, "fault", 0, 10), feedback(2, "expected", 0, 10, signal="load")

    def marks(given: list[Feedback], drawn: dict[int, Envelope] | None = None) -> list[int]:
        return [int(mark) for mark in Judgement(given, drawn or {}, DeadBand(), UTC).marks(KEYS)]

    assert marks([fault])[1] == 0
    assert marks([fault])[0] == marks([fault])[2] > 0
    assert marks([fault, expected])[2] == marks([fault])[2]
    assert len({marks([fault])[0], marks([fault, expected])[0], marks([fault, expected], {2: envelope()})[0]}) == 3
    assert Judgement([fault, expected], {}, DeadBand(), UTC).lacks(KEYS).tolist() == [True, False, False]
    assert not Judgement([fault, expected], {2: envelope()}, DeadBand(), UTC).lacks(KEYS).any()
