"""Where a moment lies in the local day and week; a public holiday is lived like a Sunday."""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, field_validator

from presagio.toolkit.schema import Model

_SUNDAY = 6


class Phase(NamedTuple):
    """The local day since 1970, its place in the week (0 is Monday), and the second of the day by the wall clock."""

    day: int
    weekday: int
    second: float


class Calendar(Model):
    """The clock that people and batch jobs live by: what is usual depends on it."""

    time_zone: str = Field("UTC", description="IANA name, such as Europe/Vienna; daylight saving time is followed")
    holidays: str = Field(
        "", description="country whose public holidays are lived like Sundays, as in AT or US-NY. Empty: none"
    )

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, name: str) -> str:
        if name not in _zones():
            raise ValueError(f"an IANA time zone such as Europe/Vienna, got {name!r}")
        return name

    @field_validator("holidays")
    @classmethod
    def _country(cls, name: str) -> str:
        if name:
            _holidays(name, 2000)
        return name

    def phase(self, time: float) -> Phase:
        """Return the phase of `time` (Unix seconds)."""
        if self.time_zone == "UTC":
            day, second = divmod(time, 86400.0)
            days = int(day)
        else:
            local = datetime.fromtimestamp(time, ZoneInfo(self.time_zone))
            days = local.toordinal() - _EPOCH
            second = local.hour * 3600.0 + local.minute * 60.0 + local.second + local.microsecond / 1e6
        return Phase(days, self._weekday(days), second)

    def _weekday(self, days: int) -> int:
        if self.holidays and self._is_holiday(days):
            return _SUNDAY
        return (days + 3) % 7

    def _is_holiday(self, days: int) -> bool:
        day = date.fromordinal(days + _EPOCH)
        return day in _holidays(self.holidays, day.year)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).toordinal()


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


@lru_cache(maxsize=64)
def _holidays(name: str, year: int) -> frozenset[date]:
    """Return the holidays of a country, or of a part of it. Raises ValueError for one that is not known."""
    import holidays

    country, _, part = name.partition("-")
    try:
        found = holidays.country_holidays(country, subdiv=part or None, years=year)
    except NotImplementedError:
        raise ValueError(f"a country that the holidays library knows, such as AT or US-NY, got {name!r}") from None
    return frozenset(found)
