"""The metrics page: to the letter as golden/metrics.txt has it, and what is left out of it."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from presagio.exporter.config import Outputs, Signal
from presagio.exporter.engine import Scores
from presagio.exporter.publish import FAMILIES, Page
from presagio.exporter.signals import Key

GOLDEN = Path(__file__).parent / "golden" / "metrics.txt"
NOW = 1_700_000_000.0
NAN = np.nan


def signal(name: str, **outputs: bool) -> Signal:
    return Signal(name=name, query=name, outputs=Outputs(**outputs) if outputs else None)


def scores(keys: Sequence[Key], *columns: Sequence[float], time: float = NOW) -> Scores:
    """Return rows whose value, score, expected, lower, upper and confidence are the given columns."""
    value, score, expected, lower, upper, confidence = (np.array(column, dtype=np.float64) for column in columns)
    return Scores(time, list(keys), value, score, expected, lower, upper, confidence)


def simple(name: str, score: Sequence[float], time: float = NOW) -> Scores:
    count = len(score)
    rest = ([1.5] * count, score, [1.0] * count, [0.5] * count, [2.0] * count, [0.9] * count)
    return scores([Key(f"s{row}", name, ()) for row in range(count)], *rest, time=time)


def golden_page() -> Page:
    """Every kind of number and label that a page can hold."""
    page = Page([signal("latency"), signal("load", expected=False, bounds=False)], Outputs(), 300)
    keys = [
        Key("shop/checkout", "latency", (("namespace", "shop"), ("pod", "checkout-1"))),
        Key('quo"te\\and\nline', "latency", (("route", "/päge/{id}"),)),
        Key("absent", "latency", ()),
        Key("new", "latency", ()),
    ]
    latency = scores(
        keys,
        [0.25, 1e22, NAN, 3.0],
        [0.6123456789012345, 1.0, 0.75, 0.0],
        [0.1 + 0.2, 5e-324, 0.5, NAN],
        [-0.0, -1e-7, 0.25, NAN],
        [1 / 3, 123456789.125, 1.0, NAN],
        [1.0, 0.5, 0.25, 0.0],
    )
    load = scores([Key("shop/checkout", "load", ()), Key("gone", "load", ())],
                  [7, 8], [0.125, NAN], [7, 8], [6, 7], [8, 9], [0.5, 0.5])  # fmt: skip
    page.publish({"latency": latency, "load": load}, NOW)
    return page


def samples(page: Page, name: str, now: float = NOW) -> dict[tuple[str, str], float]:
    families = text_string_to_metric_families(page.text(now).decode())
    return {
        (sample.labels["service_id"], sample.labels["signal"]): sample.value
        for family in families
        for sample in family.samples
        if sample.name == name
    }


def test_the_page_to_the_letter() -> None:
    assert golden_page().text(NOW).decode() == GOLDEN.read_text(encoding="utf-8")


def test_a_client_reads_back_the_numbers_and_labels_to_the_bit() -> None:
    page = golden_page()
    assert samples(page, "presagio_signal_expected")["shop/checkout", "latency"] == 0.1 + 0.2
    assert samples(page, "presagio_signal_upper_bound")["shop/checkout", "latency"] == 1 / 3
    assert samples(page, "presagio_signal_value")['quo"te\\and\nline', "latency"] == 1e22


def test_a_row_without_a_score_has_no_sample_at_all() -> None:
    assert ("gone", "load") not in {key for family in FAMILIES for key in samples(golden_page(), family.name)}


def test_a_nan_is_withheld_and_not_written() -> None:
    assert b"nan" not in golden_page().text(NOW).lower()
    assert ("absent", "latency") not in samples(golden_page(), "presagio_signal_value")
    assert samples(golden_page(), "presagio_anomaly_score")["absent", "latency"] == 0.75


@pytest.mark.parametrize(
    ("switch", "withheld"),
    [
        ("value", ["presagio_signal_value"]),
        ("expected", ["presagio_signal_expected"]),
        ("bounds", ["presagio_signal_lower_bound", "presagio_signal_upper_bound"]),
        ("confidence", ["presagio_signal_confidence"]),
    ],
)
def test_an_output_switched_off_is_not_on_the_page_nor_its_help(switch: str, withheld: list[str]) -> None:
    page = Page([signal("load")], Outputs(**{switch: False}), 300)
    page.publish({"load": simple("load", [0.5])}, NOW)
    text = page.text(NOW).decode()
    for family in FAMILIES:
        assert (family.name in text) == (family.name not in withheld), family.name


def test_a_signal_s_own_outputs_go_before_those_of_all() -> None:
    page = Page([signal("load", value=True), signal("cpu")], Outputs(value=False), 300)
    page.publish({"load": simple("load", [0.5]), "cpu": simple("cpu", [0.5])}, NOW)
    assert list(samples(page, "presagio_signal_value")) == [("s0", "load")]


class TestDuplicates:
    def results(self) -> dict[str, Scores]:
        """Two signals whose rows claim the same name."""
        return {"load": simple("load", [0.1, 0.2]), "submitted": simple("load", [0.8])}

    def test_of_two_rows_with_the_same_labels_the_first_signal_s_is_shown(self) -> None:
        page = Page([signal("load"), signal("submitted")], Outputs(), 300)
        page.publish(self.results(), NOW)
        assert samples(page, "presagio_anomaly_score") == {("s0", "load"): 0.1, ("s1", "load"): 0.2}
        assert page.text(NOW).count(b"presagio_anomaly_score{") == 2
        assert page.duplicates == 1

    def test_which_one_is_shown_does_not_depend_on_which_was_evaluated_first(self) -> None:
        page = Page([signal("load"), signal("submitted")], Outputs(), 300)
        page.publish(dict(reversed(self.results().items())), NOW)
        assert samples(page, "presagio_anomaly_score")["s0", "load"] == 0.1

    def test_labels_follow_the_rows_when_series_come_and_go(self) -> None:
        page = Page([signal("load")], Outputs(), 300)
        page.publish({"load": simple("load", [0.1, 0.2])}, NOW)
        moved = dataclasses.replace(simple("load", [0.2]), keys=[Key("s1", "load", ())])
        page.publish({"load": moved}, NOW)
        assert samples(page, "presagio_anomaly_score") == {("s1", "load"): 0.2}


class TestStaleness:
    def test_the_page_is_withdrawn_when_its_newest_result_is_too_old(self) -> None:
        page = golden_page()
        assert page.text(NOW + 300) != b""
        assert page.text(NOW + 301) == b""

    def test_the_results_of_one_signal_are_withdrawn_while_another_goes_on(self) -> None:
        page = Page([signal("load"), signal("cpu")], Outputs(), 300)
        page.publish({"load": simple("load", [0.5]), "cpu": simple("cpu", [0.5], NOW + 301)}, NOW + 301)
        assert list(samples(page, "presagio_anomaly_score", NOW + 301)) == [("s0", "cpu")]

    def test_when_nothing_is_new_the_page_before_grows_old(self) -> None:
        page = golden_page()
        page.publish({"load": simple("load", [0.9], NOW - 301)}, NOW)
        assert page.text(NOW + 300).decode() == GOLDEN.read_text(encoding="utf-8")
        assert page.text(NOW + 301) == b""

    def test_results_of_a_clock_that_was_ahead_are_not_served_for_ever(self) -> None:
        page = Page([signal("load")], Outputs(), 300)
        page.publish({"load": simple("load", [0.9], NOW + 1e9)}, NOW + 1e9)
        assert page.text(NOW) == b""
        page.publish({"load": simple("load", [0.1])}, NOW)
        assert samples(page, "presagio_anomaly_score") == {("s0", "load"): 0.1}

    def test_before_the_first_result_the_page_is_empty(self) -> None:
        page = Page([signal("load")], Outputs(), 300)
        page.publish({}, NOW)
        assert (page.text(NOW), page.text(0.0)) == (b"", b"")


class TestSaved:
    def test_a_saved_page_is_served_until_it_is_too_old(self) -> None:
        page = Page([signal("latency")], Outputs(), 300)
        page.restore(golden_page().dump())
        assert page.text(NOW + 100).decode() == GOLDEN.read_text(encoding="utf-8")
        assert page.text(NOW + 301) == b""

    def test_the_first_result_replaces_it(self) -> None:
        page = Page([signal("load")], Outputs(), 300)
        page.restore(golden_page().dump())
        page.publish({"load": simple("load", [0.5])}, NOW)
        assert list(samples(page, "presagio_anomaly_score")) == [("s0", "load")]

    def test_an_empty_page_is_saved_as_such(self) -> None:
        page = Page([], Outputs(), 300)
        page.restore(Page([], Outputs(), 300).dump())
        assert page.text(NOW) == b""


def test_no_series_give_no_family() -> None:
    page = Page([signal("load")], Outputs(), 300)
    page.publish({"load": simple("load", [])}, NOW)
    assert page.text(NOW) == b""
