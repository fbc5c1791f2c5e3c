import math

import numpy as np
import pytest

from presagio.toolkit.prometheus import Vector
from presagio.webhook import scores, words
from presagio.webhook.scores import Service, Signal
from presagio.webhook.states import State


class Page:
    """Prometheus, having scraped these series: (family, service, signal, value)."""

    def __init__(self, *series: tuple[str, str, str, float]) -> None:
        self.series = series
        self.query = ""

    def instant(self, query: str, time: float) -> Vector:
        self.query = query
        labels = [
            {"__name__": f"presagio_{name}", "service_id": service, "signal": signal, "instance": "a", "job": "x"}
            for name, service, signal, _ in self.series
        ]
        return Vector(labels, np.array([value for *_, value in self.series]))


def test_services_are_put_together_the_most_anomalous_first() -> None:
    page = Page(
        ("anomaly_score", "shop", "latency", 0.1),
        ("signal_value", "shop", "latency", 5.0),
        ("anomaly_score", "shop", "errors", 0.2),
        ("anomaly_score", "till", "errors", 0.7),
        ("signal_value", "quiet", "errors", 1.0),
        ("something_else", "quiet", "errors", 1.0),
    )
    found = scores.services(page, 0.0)
    assert [(one.service_id, one.level) for one in found] == [
        ("till", "anomalous"), ("shop", "calm"), ("quiet", "unknown"),
    ]  # fmt: skip
    assert [(one.name, one.score) for one in found[1].signals] == [("errors", 0.2), ("latency", 0.1)]
    assert found[1].signals[1].value == 5.0
    assert found[1].signals[0].labels == {"instance": "a"}
    assert page.query.startswith('{__name__=~"presagio_anomaly_score|presagio_signal_value|')


@pytest.mark.parametrize(
    ("score", "level"), [(0.0, "calm"), (0.3, "unusual"), (0.6, "anomalous"), (math.nan, "unknown")]
)
def test_levels(score: float, level: str) -> None:
    assert scores.level(score) == level


def test_the_band_is_drawn_to_scale() -> None:
    signal = Signal("s", {}, value=30.0, expected=5.0, lower=0.0, upper=10.0)
    assert [signal.place(what) for what in ("lower", "expected", "upper", "value")] == [8, 22, 36, 92]
    assert Signal("s", {}, value=1.0).place("value") is None
    assert Signal("s", {}, value=1.0, expected=1.0).place("value") == 50
    assert Signal("s", {}, value=1.0, expected=math.inf).place("expected") is None


def test_a_service_without_scores_has_none() -> None:
    assert math.isnan(Service("s", [Signal("a", {})]).score)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.42123, "0.4212"), (7.5, "7.5"), (104857600, "104.9 M"), (12345, "12.35 k"), (1.5e12, "1.5 T"),
        (-2e9, "-2 G"), (math.nan, "\N{EN DASH}"), (None, "\N{EN DASH}"), (math.inf, "inf"), (9999, "9999"),
        ("nan", "\N{EN DASH}"),
    ],
)  # fmt: skip
def test_numbers(value: object, text: str) -> None:
    assert words.number(value) == text


def test_scores_have_two_digits() -> None:
    assert (words.score(0.6997), words.score(0.0), words.score(math.nan)) == ("0.70", "0.00", "\N{EN DASH}")


def test_times() -> None:
    assert words.moment(0.0) == "1970-01-01 00:00:00 UTC"
    assert words.hour(3661.0) == "01:01:01"
    assert (words.duration(0.2), words.duration(90.4)) == ("0s", "1m30s")
    assert (words.ago(100, 190), words.ago(190, 100), words.ago(1, 1)) == ("1m30s ago", "in 1m30s", "now")


@pytest.mark.parametrize("state", State)
def test_every_state_has_a_tone(state: State) -> None:
    assert words.tone(state) in {"good", "bad", "waiting", "busy"}
