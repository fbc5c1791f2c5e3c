"""Which limit belongs to which series."""

import math
from collections.abc import Mapping

import numpy as np
import pytest
from fake_source import FakeSource, steady

from presagio.exporter.config import IDENTITY, Signal
from presagio.exporter.forecast_config import Threshold
from presagio.exporter.limits import limits, matched
from presagio.exporter.signals import Key, Naming
from presagio.toolkit.labels import Template
from presagio.toolkit.prometheus import Vector


def naming(service: str = "{job}") -> Naming:
    signal = Signal(name="disk", query="disk", service_id=Template.braces(service))
    return Naming(signal, Template.braces("{job}"), IDENTITY)


def keys(of: Naming, *series: Mapping[str, str]) -> list[Key]:
    found = [of.name(dict(labels)) for labels in series]
    return [one for one in found if isinstance(one, Key)]


def found(
    answer: list[tuple[dict[str, str], float]], *series: Mapping[str, str], service: str = "{job}"
) -> list[float]:
    of = naming(service)
    vector = Vector([labels for labels, _ in answer], np.array([value for _, value in answer]))
    got: list[float] = matched(vector, of, keys(of, *series)).tolist()
    return got


A = {"job": "node", "instance": "a", "mountpoint": "/"}
B = {"job": "node", "instance": "b", "mountpoint": "/"}


def test_one_without_labels_is_for_all() -> None:
    assert found([({}, 5.0)], A, B) == [5.0, 5.0]


def test_labels_that_both_have_are_compared_and_no_others() -> None:
    answer = [({"instance": "a", "fstype": "xfs"}, 1.0), ({"instance": "b", "fstype": "ext4"}, 2.0)]
    assert found(answer, A, B) == [1.0, 2.0]


def test_more_than_one_is_none() -> None:
    answer = [({"instance": "a", "disk": "1"}, 1.0), ({"instance": "a", "disk": "2"}, 2.0), ({"instance": "b"}, 3.0)]
    assert found(answer, A, B) == [pytest.approx(math.nan, nan_ok=True), 3.0]


def test_a_limit_of_its_own_and_one_for_all_are_two() -> None:
    assert np.isnan(found([({"instance": "a"}, 1.0), ({}, 2.0)], A)).all()


def test_none_is_none() -> None:
    assert np.isnan(found([({"instance": "c"}, 1.0)], A, B)).all()
    assert np.isnan(found([], A)).all()
    assert found([({}, 1.0)]) == []


def test_a_limit_that_is_infinite_is_none() -> None:
    assert np.isnan(found([({}, math.inf)], A)).all()


def test_a_label_that_is_only_in_the_service_s_name_is_compared_by_that() -> None:
    """A queue is no identity label: what is left of it in the key is the service."""
    answer = [({"queue": "mail"}, 10.0), ({"queue": "pay"}, 20.0)]
    assert found(answer, {"queue": "pay"}, {"queue": "mail"}, service="{queue}") == [20.0, 10.0]


def test_series_with_different_labels_are_each_matched_by_what_they_have() -> None:
    pod = {"job": "node", "pod": "x"}
    assert found([({"instance": "a"}, 1.0), ({"pod": "x", "instance": "a"}, 2.0)], pod) == [
        pytest.approx(math.nan, nan_ok=True)
    ]
    assert found([({"job": "node"}, 1.0)], pod, A) == [1.0, 1.0]


def test_a_fixed_value_asks_nobody() -> None:
    source = FakeSource()
    of = naming()
    got = limits(source, Threshold(name="full", value=0.9), of, keys(of, A, B), 1500.0)
    assert got.tolist() == [0.9, 0.9]
    assert source.asked == []


def test_a_query_is_asked_at_the_forecast_s_moment() -> None:
    source = FakeSource(size={"": steady()})
    of = naming()
    assert limits(source, Threshold(name="full", query="size"), of, keys(of, A), 1500.0).tolist() == [101.0]
    assert source.asked == [("instant", "size", 100, 100)]
