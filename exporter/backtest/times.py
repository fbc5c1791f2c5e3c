"""The span of a backtest, as people type it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from presagio.toolkit.errors import PresagioError
from presagio.toolkit.units import parse_duration

_NUMBER = re.compile(r"\d+(\.\d+)?")


@dataclass(frozen=True)
class Span:
    """From `begin` to `end` (Unix seconds) alarms count; from `lookback` before it on there is learning only."""

    begin: float
    end: float
    interval: float
    lookback: float


def moment(text: str, now: float) -> float:
    """Return Unix time for `now`, `-7d` (before `now`), Unix time or ISO 8601. Raises PresagioError."""
    try:
        if text == "now":
            return now
        if text.startswith("-"):
            return now - parse_duration(text[1:])
        return float(text) if _NUMBER.fullmatch(text) else _iso(text).timestamp()
    except (ValueError, OverflowError):
        raise PresagioError(f"{text!r} is no time; write -7d, Unix time or 2026-01-31T12:00:00Z") from None


def _iso(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)  # as the table shows it


def exact(text: str) -> float:
    """Return Unix time for Unix time or RFC 3339. Raises ValueError, also where the zone is left out.

    The times of incidents come out of reports written in many places: a guessed zone would be wrong by hours.
    """
    if _NUMBER.fullmatch(text):
        return float(text)
    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo is not None:
            return time.timestamp()
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"a time such as 2026-01-31T12:00:00Z or Unix time, got {text!r}")


def shown(time: float) -> str:
    """Return Unix time for people, in UTC, to the second."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S")
