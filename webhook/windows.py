"""Windows of the week: when a policy may act, or when nobody may, by the clock on the wall of a time zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, model_validator

from presagio.toolkit.schema import Model

_MINUTE = 60.0
_HORIZON = 8 * 24 * 60
_CLOCK = r"^([01]\d|2[0-3]):[0-5]\d$|^24:00$"


class Day(StrEnum):
    """A day of the week."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


_WEEK = tuple(Day)


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"a time zone such as Europe/Madrid or UTC, got {name!r}") from None
    return name


class Window(Model):
    """Some hours of some days. One whose end is not after its begin reaches into the next day."""

    days: tuple[Day, ...] = Field(_WEEK, min_length=1, description="mon, tue, wed, thu, fri, sat, sun")
    begin: str = Field("00:00", pattern=_CLOCK, description="HH:MM on the wall clock of `zone`")
    end: str = Field("24:00", pattern=_CLOCK, description="HH:MM, not included; 24:00 is the end of the day")
    zone: Annotated[str, AfterValidator(_zone)] = Field("UTC", description="time zone, such as Europe/Madrid")

    @model_validator(mode="after")
    def _has_length(self) -> Window:
        if self.begin in (self.end, "24:00"):
            raise ValueError(f"a begin before 24:00 that is not the end, got {self.begin}-{self.end}")
        return self

    def contains(self, time: float) -> bool:
        """Return whether a moment (Unix seconds) lies in the window."""
        local = datetime.fromtimestamp(time, UTC).astimezone(ZoneInfo(self.zone))
        clock, today = f"{local:%H:%M}", _WEEK[local.weekday()]
        if self.begin < self.end:
            return today in self.days and self.begin <= clock < self.end
        yesterday = _WEEK[(local - timedelta(days=1)).weekday()]
        return (today in self.days and clock >= self.begin) or (yesterday in self.days and clock < self.end)


def within(windows: tuple[Window, ...], time: float) -> bool:
    """Return whether a moment lies in one of the windows."""
    return any(window.contains(time) for window in windows)


def change(windows: tuple[Window, ...], time: float) -> float | None:
    """Return the next full minute at which `within` is another than at `time`; None if there is none in eight days.

    Minute by minute, so that changes of the clock on the wall need no thought.
    """
    now, minute = within(windows, time), (time // _MINUTE + 1) * _MINUTE
    moments = (minute + step * _MINUTE for step in range(_HORIZON))
    return next((moment for moment in moments if within(windows, moment) is not now), None)
