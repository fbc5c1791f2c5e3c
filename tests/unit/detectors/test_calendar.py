"""Where a moment lies in the local day and week."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from presagio.detectors.calendar import Calendar, Phase

VIENNA = Calendar(time_zone="Europe/Vienna")
HOUR, DAY = 3600.0, 86_400.0
SUNDAY = 6


def at(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def test_the_epoch_was_a_thursday() -> None:
    assert Calendar().phase(0.0) == Phase(0, 3, 0.0)


def test_the_last_second_of_a_sunday_is_followed_by_monday() -> None:
    sunday = at("2026-11-22T23:59:59.5")
    assert Calendar().phase(sunday)[1:] == (SUNDAY, DAY - 0.5)
    assert Calendar().phase(sunday + 0.5)[1:] == (0, 0.0)


@pytest.mark.parametrize("zone", ["UTC", "Etc/UTC"])
def test_utc_is_the_same_by_the_short_way_and_by_the_long(zone: str) -> None:
    for text in ("1969-12-31T22:15:00", "2024-02-29T23:59:59.25", "2026-11-23T08:50:24"):
        moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
        phase = Calendar(time_zone=zone).phase(moment.timestamp())
        assert phase.weekday == moment.weekday()
        assert phase.day * DAY + phase.second == moment.timestamp()


@pytest.mark.parametrize("text", ["2024-03-30T09:00", "2024-03-31T09:00", "2024-10-26T09:00", "2024-10-27T09:00"])
def test_nine_o_clock_is_nine_o_clock_before_and_after_the_clocks_change(text: str) -> None:
    assert VIENNA.phase(at(text, "Europe/Vienna")).second == 9 * HOUR


def test_the_hour_that_is_left_out_is_no_hour_of_the_day() -> None:
    last = at("2024-03-31T01:59:59", "Europe/Vienna")
    assert VIENNA.phase(last + 1).second == 3 * HOUR


def test_the_hour_that_comes_twice_is_lived_twice() -> None:
    first = at("2024-10-27T02:30", "Europe/Vienna")
    assert VIENNA.phase(first) == VIENNA.phase(first + HOUR)


def test_a_holiday_is_a_sunday_and_only_where_it_is_one() -> None:
    """26 October 2026, a Monday, is the national holiday of Austria."""
    national = at("2026-10-26T12:00")
    assert Calendar(holidays="AT").phase(national).weekday == SUNDAY
    assert Calendar(holidays="DE").phase(national).weekday == 0
    assert Calendar().phase(national).weekday == 0
    assert Calendar(holidays="AT").phase(national + DAY).weekday == 1


def test_a_holiday_of_a_part_of_a_country_is_one_there() -> None:
    """6 January 2026, a Tuesday: Epiphany, in Bavaria and not in Berlin."""
    epiphany = at("2026-01-06T12:00")
    assert Calendar(holidays="DE-BY").phase(epiphany).weekday == SUNDAY
    assert Calendar(holidays="DE-BE").phase(epiphany).weekday == 1


def test_a_holiday_begins_at_midnight_of_the_local_day() -> None:
    calendar = Calendar(time_zone="Europe/Vienna", holidays="AT")
    midnight = at("2025-12-25T00:00", "Europe/Vienna")
    assert [calendar.phase(midnight + after).weekday for after in (-1.0, 0.0)] == [2, SUNDAY]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"time_zone": "Vienna"}, "an IANA time zone such as Europe/Vienna, got 'Vienna'"),
        ({"holidays": "XX"}, "a country that the holidays library knows, such as AT or US-NY, got 'XX'"),
        ({"holidays": "DE-ZZ"}, "a country that the holidays library knows, such as AT or US-NY, got 'DE-ZZ'"),
    ],
)
def test_a_mistake_is_told_with_the_remedy(written: dict[str, str], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Calendar.model_validate(written)
    assert message in str(caught.value)
