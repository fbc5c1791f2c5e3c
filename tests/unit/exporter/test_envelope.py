"""What may come again at the same time of day."""

from zoneinfo import ZoneInfo

import numpy as np
import pytest

from presagio.detectors.base import DeadBand
from presagio.exporter.envelope import BINS, Drawing, Envelope, bin_of, load
from presagio.exporter.signals import Key

UTC = ZoneInfo("UTC")
A, B = Key("shop", "load", (("pod", "a"),)), Key("shop", "load", (("pod", "b"),))
NEW = Key("shop", "load", (("pod", "new"),))
QUARTER = 900.0
NONE = DeadBand()


def drawn(begin: float, *values: float, key: Key = A, blind: bool = False) -> Envelope:
    drawing = Drawing([key], UTC)
    times = begin + QUARTER * np.arange(len(values), dtype=np.float64)
    drawing.add([key], times, np.array([values]), np.full(len(values), blind))
    return drawing.envelope


def holds(envelope: Envelope, time: float, value: float, expected: float = 100.0, key: Key = A) -> bool:
    lines = np.array([envelope.line(key)])
    band = envelope.holds(lines, bin_of(time, UTC), np.array([value]), np.array([expected]), NONE)
    return bool(band[0])


@pytest.mark.parametrize(("value", "held"), [(200, True), (150, True), (224, True), (226, False), (60, False)])
def test_from_what_is_expected_to_what_was_seen_and_a_margin_of_the_height(value: float, held: bool) -> None:
    assert holds(drawn(7200, 200, 200), 7200 + 86400, value) is held


@pytest.mark.parametrize(("quarter", "held"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_one_quarter_of_an_hour_earlier_or_later_is_the_same_time(quarter: int, held: bool) -> None:
    assert holds(drawn(7200, 200), 86400 + 7200 + quarter * QUARTER, 200) is held


def test_midnight_is_no_border() -> None:
    envelope = drawn(86400 - QUARTER, 200)
    assert holds(envelope, 3 * 86400, 200)
    assert not holds(envelope, 3 * 86400 + QUARTER, 200)
    assert envelope.bins.tolist() == [0, BINS - 2, BINS - 1]


def test_a_drop_is_held_below() -> None:
    envelope = drawn(7200, 10)
    assert [holds(envelope, 7200, value) for value in (10, 50, 100, 130, -20)] == [True, True, True, False, False]


def test_the_dead_band_widens_it() -> None:
    envelope = drawn(7200, 100)
    for band, held in ((NONE, False), (DeadBand(absolute=5), True), (DeadBand(relative=0.05), True)):
        assert envelope.holds(np.zeros(1, int), 8, np.array([104.0]), np.array([100.0]), band).tolist() == [held]


def test_an_absence_is_held_where_one_was_seen() -> None:
    assert holds(drawn(7200, np.nan), 7200, np.nan)
    assert not holds(drawn(7200, 200), 7200, np.nan)
    assert not holds(drawn(7200, np.nan), 7200, 300)


def test_a_prometheus_without_data_shows_no_absence() -> None:
    assert not holds(drawn(7200, np.nan, blind=True), 7200, np.nan)


def test_where_nothing_is_expected_yet_what_was_seen_is_held() -> None:
    assert holds(drawn(7200, 200, 100), 7200, 150, expected=np.nan)
    assert not holds(drawn(7200, 200, 100), 7200, 250, expected=np.nan)


def test_a_new_pod_has_the_envelope_of_all() -> None:
    drawing = Drawing([A, B], UTC)
    drawing.add([A, B], np.array([7200.0]), np.array([[200.0], [300.0]]), np.zeros(1, bool))
    assert holds(drawing.envelope, 7200, 310, key=NEW)
    assert not holds(drawing.envelope, 7200, 310, key=A)
    assert drawing.envelope.line(Key("shop", "cpu", ())) == -1


def test_history_comes_piece_by_piece() -> None:
    drawing = Drawing([A, B], UTC)
    drawing.add([B, A], np.array([7200.0]), np.array([[300.0], [200.0]]), np.zeros(1, bool))
    drawing.add([A], np.array([7260.0]), np.array([[250.0]]), np.zeros(1, bool))
    low, high = drawing.envelope.low[:, 8].tolist(), drawing.envelope.high[:, 8].tolist()
    assert (low, high) == ([200, 300, 200], [250, 300, 300])
    assert drawing.envelope.gone[:, 8].tolist() == [False, True, False]


def test_a_day_is_a_local_one() -> None:
    assert bin_of(0, ZoneInfo("Asia/Kathmandu")) == 22  # 05:30 in 1970
    berlin = ZoneInfo("Europe/Berlin")
    summer, winter = 1_720_000_800.0, 1_705_312_800.0  # 10:00 UTC each
    assert (bin_of(summer, berlin), bin_of(winter, berlin)) == (48, 44)


def test_it_survives_the_disk() -> None:
    envelope = drawn(7200, 200, np.nan, 300)
    again = load(envelope.dump())
    assert (again.zone, list(again.lines)) == (envelope.zone, list(envelope.lines))
    for name in ("low", "high", "gone"):
        np.testing.assert_array_equal(getattr(again, name), getattr(envelope, name))
