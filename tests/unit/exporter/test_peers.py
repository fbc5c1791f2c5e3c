"""New series begin from their peers: who is whose heir, and what the profile makes of it."""

import numpy as np
import pytest

from presagio.detectors.calendar import Calendar
from presagio.exporter.config import Signal
from presagio.exporter.engine import Engine
from presagio.exporter.peers import heirs
from presagio.exporter.signals import Key
from presagio.exporter.wiring import detector

STEP, DAY = 300.0, 288


def yes(*rows: int, of: int) -> np.ndarray:
    return np.isin(np.arange(of), rows)


def test_a_pod_is_heir_to_the_pod_of_its_service_that_is_nearest() -> None:
    services, expected = np.array([0, 0, 0, 1]), np.array([10.0, 90.0, np.nan, 50.0])
    found = heirs(yes(2, of=4), yes(0, 1, 3, of=4), services, np.array([0, 0, 80.0, 0]), expected)
    assert (found.rows.tolist(), found.donors.tolist(), found.kin.tolist()) == ([2], [1], [True])


def test_a_new_service_is_heir_to_the_nearest_series_of_the_signal() -> None:
    services, expected = np.array([0, 1, 2]), np.array([10.0, 90.0, np.nan])
    found = heirs(yes(2, of=3), yes(0, 1, of=3), services, np.array([0, 0, 20.0]), expected)
    assert (found.donors.tolist(), found.kin.tolist()) == ([0], [False])


def test_where_nobody_is_known_nobody_inherits() -> None:
    nothing = np.full(3, np.nan)
    found = heirs(yes(0, 1, 2, of=3), yes(of=3), np.zeros(3, dtype=int), np.ones(3), nothing)
    assert len(found.rows) == 0


def usual(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Four times as much from 10:00 to 11:00."""
    hour = time % 86400 // 3600
    return np.where(hour == 10, 400.0, 100.0) * (1 + 0.03 * rng.standard_normal(len(time)))


def peaks(names: list[str], born: list[int], days: int) -> list[np.ndarray]:
    """Return the scores of each series from its birth (day) on."""
    rng, time = np.random.default_rng(1), np.arange(days * DAY) * STEP
    keys = [Key(name.partition("/")[0], "load", (("pod", name),)) for name in names]
    values = [usual(time, rng) for _ in names]
    engine = Engine(Signal(name="load", query="load"), detector(Signal(name="load", query="load"), Calendar()))
    got: list[list[float]] = [[] for _ in names]
    for moment, now in enumerate(time.tolist()):
        there = [number for number, day in enumerate(born) if moment >= day * DAY]
        rows = engine.rows([keys[number] for number in there], 10)
        scores = engine.step(now, rows, np.array([values[number][moment] for number in there]))
        for number, row in zip(there, rows.tolist(), strict=True):
            got[number].append(float(scores.score[row]))
    return [np.array(one) for one in got]


@pytest.fixture(scope="module")
def scored() -> list[np.ndarray]:
    return peaks(["web/1", "web/2", "other/1"], [0, 6, 6], 8)


def test_a_new_pod_knows_the_daily_peak_of_its_service(scored: list[np.ndarray]) -> None:
    _, pod, _ = scored
    assert pod.max() < 0.6
    assert pod[30:].max() > 0  # and it is scored at all


def test_another_service_does_not_take_over_the_hours_of_the_first(scored: list[np.ndarray]) -> None:
    *_, stranger = scored
    assert stranger[:DAY].max() >= 0.6


def test_an_heir_is_scored_like_any_other_once_it_has_warmed_up() -> None:
    engine = Engine(Signal(name="load", query="load"), detector(Signal(name="load", query="load"), Calendar()))
    rng = np.random.default_rng(2)
    old, new = Key("web", "load", (("pod", "1"),)), Key("web", "load", (("pod", "2"),))
    for moment in range(300):
        engine.step(moment * STEP, engine.rows([old], 10), rng.normal(100, 3, 1))
    for moment in range(300, 316):
        first = engine.step(moment * STEP, engine.rows([old, new], 10), rng.normal(100, 3, 2) * (1, 3))
        assert first.score[1] <= 0.3
    assert first.confidence[1] < first.confidence[0]
    broken = engine.step(316 * STEP, engine.rows([old, new], 10), np.array([100.0, 0.0]))
    assert broken.score[1] >= 0.6
