"""What a person says of a period: it was expected, or it was a fault."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from presagio.exporter.registry import ServiceId, Word
from presagio.exporter.signals import Key
from presagio.toolkit.errors import PresagioError
from presagio.toolkit.units import format_duration

LONGEST = 31 * 86400.0
"""In seconds. What lasts longer is no period but the way things are: the profile adapts to it by itself."""

_SKEW = 60.0
"""In seconds: the clock of who says `now` may be so much ahead of ours."""

_NEAR = 5


class Kind(StrEnum):
    """What a period was."""

    EXPECTED = "expected"
    FAULT = "fault"


class PeriodError(PresagioError):
    """A period that cannot be judged: `field` of the request, what was expected and what was got."""

    def __init__(self, field: str, expected: str, got: str) -> None:
        super().__init__(f"{field}: expected {expected}, got {got}")
        self.field, self.expected, self.got = field, expected, got


class UnknownNameError(PresagioError):
    """No such service or signal is scored."""


def _moment(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(f"Unix time or a time such as 2026-01-31T12:00:00Z, got {value!r}") from None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def _lines(text: str) -> str:
    if not "".join(text.split("\n")).isprintable():
        raise ValueError(f"text without control characters, got {text!r}")
    return text


Moment = Annotated[float, BeforeValidator(_moment), Field(ge=0, le=253402300799, allow_inf_nan=False)]
"""A pydantic field in Unix seconds, written so or in ISO 8601."""


class Judged(BaseModel):
    """A period of a service, and what it was."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        json_schema_extra={
            "example": {
                "service_id": "shop/checkout", "signal": "latency", "kind": "expected",
                "from": "2026-01-31T02:00:00Z", "to": "2026-01-31T03:00:00Z",
                "comment": "nightly backup", "author": "ana",
            }
        },
    )  # fmt: skip

    service_id: ServiceId = Field(description="id of a service that is scored")
    signal: Word | None = Field(None, description="name of one of its signals; without it all of them")
    kind: Kind = Field(description="expected: learn it, do not alarm of it again; fault: unlearn it")
    begin: Moment = Field(alias="from", description="begin, in Unix time or ISO 8601")
    end: Moment = Field(alias="to", description="end, which has passed")
    comment: Annotated[str, Field(max_length=1000), AfterValidator(_lines)] = Field("", description="why, for people")
    author: Word = Field("", description="who says so")

    def covers(self, key: Key) -> bool:
        """Return whether a row is one that this was said of."""
        return key.service_id == self.service_id and self.signal in (None, key.signal)


class Feedback(Judged):
    """What was said, kept; reverted feedback is kept as a record."""

    id: int = Field(description="its number")
    given: float = Field(description="when it was given, in Unix time")
    reverted: float | None = Field(None, description="when it was reverted, in Unix time; null while it is in force")
    reverted_by: str = Field("", description="who reverted it")

    @property
    def in_force(self) -> bool:
        """Return whether it counts."""
        return self.reverted is None


def check_period(judged: Judged, now: float, interval: float) -> None:
    """Raise PeriodError for a period that is empty or too short to hold an evaluation, not over, or absurdly long."""
    if judged.begin >= judged.end:
        raise PeriodError("from", f"a time before `to` ({shown(judged.end)})", shown(judged.begin))
    if judged.end - judged.begin < interval:
        remedy = f"a period of at least one evaluation.interval ({format_duration(interval)})"
        raise PeriodError("from", remedy, format_duration(judged.end - judged.begin))
    if judged.end > now + _SKEW:
        remedy = f"a time that has passed (it is {shown(now)}); judge a period when it is over"
        raise PeriodError("to", remedy, shown(judged.end))
    if judged.end - judged.begin > LONGEST:
        remedy = f"a period of at most {format_duration(LONGEST)}; a level that lasts longer is adopted by itself"
        raise PeriodError("from", remedy, format_duration(judged.end - judged.begin))


def check_names(judged: Judged, known: Mapping[str, Collection[str]]) -> None:
    """Raise UnknownNameError if no such service and signal is in `known`; it lists names that are like it."""
    if judged.service_id not in known:
        raise UnknownNameError(_unknown("service", judged.service_id, known, "presagio_anomaly_score"))
    signals = known[judged.service_id]
    if judged.signal is not None and judged.signal not in signals:
        raise UnknownNameError(_unknown(f"signal of {judged.service_id!r}", judged.signal, signals, "its scores"))


def _unknown(what: str, name: str, known: Collection[str], where: str) -> str:
    near = difflib.get_close_matches(name, known, n=_NEAR, cutoff=0.5)
    remedy = f"did you mean {', '.join(map(repr, near))}?" if near else f"{where} on /metrics tells which there are"
    return f"no {what} is scored by the name {name!r}; {remedy}"


def shown(time: float) -> str:
    """Return a time as people read it."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def document(feedback: Feedback) -> dict[str, Any]:
    """Return it as the API shows it."""
    return feedback.model_dump(mode="json", by_alias=True)
