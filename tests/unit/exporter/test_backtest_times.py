"""Times of a backtest: as they are typed, and as they stand in incidents."""

import time as machine

import pytest

from presagio.exporter.backtest.times import exact, moment, shown
from presagio.toolkit.errors import PresagioError

NOW = 1_700_000_000.0


def test_a_time_without_a_zone_is_in_utc_as_the_table_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "EST5")
    machine.tzset()
    try:
        assert moment("2026-01-31 12:00:00", NOW) == 1769860800.0
        assert shown(1769860800.0) == "2026-01-31 12:00:00"
    finally:
        monkeypatch.undo()
        machine.tzset()


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("now", NOW),
        ("-7d", NOW - 7 * 86400),
        ("-1h30m", NOW - 5400),
        ("-0", NOW),
        ("1600000000", 1.6e9),
        ("1600000000.5", 1600000000.5),
        ("2026-01-31T12:00:00Z", 1769860800.0),
        ("2026-01-31T13:00:00+01:00", 1769860800.0),
        ("2026-01-31T12:00:00", 1769860800.0),
        ("2026-01-31", 1769817600.0),
    ],
)
def test_times_as_people_type_them(text: str, time: float) -> None:
    assert moment(text, NOW) == time


@pytest.mark.parametrize("text", ["", "-", "-7", "7d", "yesterday", "1e9", "nan", "inf", "-inf", "2026-13-01", "-1D"])
def test_what_is_no_time_is_told_with_what_would_be_one(text: str) -> None:
    with pytest.raises(PresagioError) as error:
        moment(text, NOW)
    assert str(error.value) == f"{text!r} is no time; write -7d, Unix time or 2026-01-31T12:00:00Z"


@pytest.mark.parametrize("text", ["1769860800", "1769860800.0", "2026-01-31T12:00:00Z", "2026-01-31 13:00:00+01:00"])
def test_exact_times(text: str) -> None:
    assert exact(text) == 1769860800.0


@pytest.mark.parametrize("text", ["", "now", "-7d", "2026-01-31T12:00:00", "2026-01-31", "31.1.2026", "nan", "1e9"])
def test_an_exact_time_is_refused_without_a_zone_or_relative_to_now(text: str) -> None:
    with pytest.raises(ValueError, match="a time such as 2026-01-31T12:00:00Z or Unix time, got"):
        exact(text)
