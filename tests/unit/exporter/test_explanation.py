"""Reasons in words."""

import numpy as np
import pytest

from presagio.exporter.explanation import reasons, words
from presagio.exporter.failure_config import Limit
from presagio.exporter.features import Feature, Featuriser
from presagio.exporter.panel import Channel

HOUR = 3600.0
MEMORY = Channel("memory_bytes", unit="bytes")


@pytest.mark.parametrize(
    ("feature", "value", "said"),
    [
        (Feature("f", "now", "memory", 0, "bytes"), 3 * 2.0**30, "memory is 3 GiB"),
        (Feature("f", "slope", "memory", 6 * HOUR, "bytes"), 2.0**20 / HOUR, "memory rose by 6 MiB in 6h"),
        (Feature("f", "slope", "used", HOUR, "ratio"), -0.12 / HOUR, "used fell by 0.12 in 1h"),
        (Feature("f", "mean", "latency", HOUR, "seconds"), 0.25, "latency was 0.25s on average over 1h"),
        (Feature("f", "highest", "used", HOUR, "ratio"), 0.9, "used was 0.9 at most over 1h"),
        (Feature("f", "room", "used", 0, "ratio"), 0.07, "used is 0.07 short of its limit"),
        (Feature("f", "room", "used", 0, "ratio"), -0.07, "used is 0.07 beyond its limit"),
        (Feature("f", "change", "load", 86_400.0), 2.5, "load rose by 2.5 since 1d ago"),
        (Feature("f", "peers", "load"), -3.0, "load is 3 below its peers"),
        (Feature("f", "known", "load", HOUR), 0.5, "load was there 50% of 1h"),
        (Feature("crossing", "crossing", "used"), 0.83, "the forecast gives used a chance of 83% to reach its limit"),
        (Feature("f", "age", "memory", HOUR, "bytes"), 7200.0, "memory last fell suddenly 2h ago"),
        (Feature("f", "time to limit", "used", HOUR), 5400.0, "used, going on as in 1h, is at its limit in 1h30m"),
        (Feature("load, now", "now", "load"), np.nan, "load, now is not known"),
        (Feature("kind", "kind"), np.nan, "services of this kind"),
    ],
)  # fmt: skip
def test_words(feature: Feature, value: float, said: str) -> None:
    assert words(feature, value) == said


def test_the_strongest_come_first_and_what_does_not_count_is_not_named() -> None:
    names = ("a", "b", "c", "d")
    meanings = {name: Feature(name, "now", name) for name in names}
    found = reasons(names, np.arange(4.0), np.array([0.1, -2.0, 0.0, 1.0]), meanings)
    assert [(one.feature, one.effect) for one in found] == [("b", -2.0), ("d", 1.0), ("a", 0.1)]


def test_the_same_over_other_windows_is_said_once() -> None:
    meanings = {
        "short": Feature("short", "mean", "load", HOUR),
        "long": Feature("long", "mean", "load", 6 * HOUR),
        "now": Feature("now", "now", "load"),
    }
    found = reasons(tuple(meanings), np.ones(3), np.array([1.0, 2.0, 0.5]), meanings)
    assert [one.feature for one in found] == ["long", "now"]


def test_every_feature_that_is_made_has_words_of_its_own() -> None:
    made = Featuriser((MEMORY,), 300.0, (HOUR, 24 * HOUR), 4, Limit(signal="memory_bytes", value=1e9)).describe()
    for feature in made.values():
        assert words(feature, 1.0) != f"{feature.name} is 1", feature
