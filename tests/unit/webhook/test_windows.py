"""Windows of the week, by the clock on the wall."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from presagio.webhook.windows import Window, change, within

MADRID = ZoneInfo("Europe/Madrid")


def at(text: str, zone: ZoneInfo = MADRID) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def window(**changes: Any) -> Window:
    return Window.model_validate({"zone": "Europe/Madrid", **changes})


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        ("2026-11-23 08:59:59", False),
        ("2026-11-23 09:00", True),
        ("2026-11-23 16:59:59", True),
        ("2026-11-23 17:00", False),
        ("2026-11-22 12:00", False),
        ("2026-07-20 09:00", True),
        ("2026-07-20 08:59", False),
    ],
)
def test_working_hours_are_those_of_the_zone(moment: str, inside: bool) -> None:
    hours = window(days=["mon", "tue", "wed", "thu", "fri"], begin="09:00", end="17:00")
    assert hours.contains(at(moment)) is inside


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        ("2026-11-28 21:59", False),
        ("2026-11-28 22:00", True),
        ("2026-11-29 05:59", True),
        ("2026-11-29 06:00", False),
        ("2026-11-29 23:00", False),
        ("2026-11-28 03:00", False),
    ],
)
def test_a_night_belongs_to_the_day_on_which_it_begins(moment: str, inside: bool) -> None:
    assert window(days=["sat"], begin="22:00", end="06:00").contains(at(moment)) is inside


def test_a_whole_day_is_the_default() -> None:
    sunday = window(days=["sun"])
    assert sunday.contains(at("2026-11-29 00:00"))
    assert sunday.contains(at("2026-11-29 23:59:59"))
    assert not sunday.contains(at("2026-11-30 00:00"))


def test_the_next_change_survives_the_change_of_the_clock() -> None:
    nights = (window(begin="02:30", end="04:00"),)
    # On 28 March 2027 the clock jumps from 2 to 3: the window begins when the wall shows a time in it.
    before = at("2027-03-28 01:00")
    begins = change(nights, before)
    assert begins is not None
    assert datetime.fromtimestamp(begins, MADRID).strftime("%H:%M") == "03:00"
    assert change(nights, begins) == at("2027-03-28 04:00")


def test_what_never_changes_has_no_next_change() -> None:
    assert change((), at("2026-11-23 12:00")) is None
    assert change((window(),), at("2026-11-23 12:00")) is None


@given(
    st.sampled_from(["00:00", "09:00", "22:30"]),
    st.sampled_from(["06:00", "17:00", "24:00"]),
    st.sets(st.sampled_from(["mon", "wed", "sun"]), min_size=1),
    st.integers(0, 14 * 24 * 60),
)
def test_the_next_change_is_the_first(begin: str, end: str, days: set[str], minutes: int) -> None:
    windows = (window(begin=begin, end=end, days=sorted(days)),)
    time = at("2026-10-19 00:00") + 60.0 * minutes
    found = change(windows, time)
    assert found is not None
    assert within(windows, found) is not within(windows, time)
    assert within(windows, found - 60.0) is within(windows, time)
    assert found - time <= timedelta(days=8).total_seconds()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"zone": "Europe/Madird"}, "a time zone such as Europe/Madrid or UTC, got 'Europe/Madird'"),
        ({"zone": "../../etc/passwd"}, "a time zone such as"),
        ({"begin": "9:00"}, "String should match pattern"),
        ({"begin": "25:00"}, "String should match pattern"),
        ({"begin": "09:00", "end": "09:00"}, "a begin before 24:00 that is not the end, got 09:00-09:00"),
        ({"days": []}, "at least 1 item"),
        ({"days": ["monday"]}, "Input should be 'mon'"),
    ],
)
def test_mistakes(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        window(**changes)
