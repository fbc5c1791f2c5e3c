"""What Alertmanager sends to a webhook receiver (payload version 4), read with tolerance and within bounds.

A notification is a hint: it says whom to look at, not what is true. Unknown fields are ignored, since each version of
Alertmanager brings new ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from presagio.toolkit.errors import PresagioError

MAX_ALERTS = 20_000
MAX_LABELS = 128
MAX_VALUE = 8192
MAX_ANNOTATION = 4096

_MOMENT = TypeAdapter(datetime)


class PayloadError(PresagioError):
    """The body is no notification of Alertmanager's; the message names the field."""


def _unix(value: object) -> float | None:
    if value is None or isinstance(value, float):
        return value
    moment = _MOMENT.validate_python(value)
    # Go writes its zero time, 0001-01-01, for "not yet".
    return None if moment.year == 1 else moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_ANNOTATION else text[: MAX_ANNOTATION - 1] + "…"


Moment = Annotated[float, BeforeValidator(_unix)]
"""Unix time in seconds, from RFC 3339."""

LabelName = Annotated[str, Field(min_length=1, max_length=1024)]
# PostgreSQL keeps no NUL in a text: an alert with one in a label is still an alert.
LabelValue = Annotated[str, Field(max_length=MAX_VALUE), AfterValidator(lambda text: text.replace("\0", "\ufffd"))]
LabelSet = Annotated[Mapping[LabelName, LabelValue], Field(max_length=MAX_LABELS)]
# Labels identify and must be whole; annotations are prose for people, and a long one is no reason to lose the alert.
Annotations = Annotated[Mapping[LabelName, Annotated[str, AfterValidator(_shortened)]], Field(max_length=MAX_LABELS)]


class _Received(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, alias_generator=to_camel, populate_by_name=True)


class Alert(_Received):
    """One alert; `fingerprint` is Alertmanager's own hash of its labels. Times are Unix seconds."""

    fingerprint: str = Field(pattern=r"^[0-9A-Za-z_-]{1,64}$")
    status: Literal["firing", "resolved"]
    labels: LabelSet
    annotations: Annotations = Field(default_factory=dict)
    starts_at: Moment
    ends_at: Annotated[float | None, BeforeValidator(_unix)] = None
    generator_url: Annotated[str, Field(max_length=MAX_VALUE, alias="generatorURL")] = ""

    @property
    def firing(self) -> bool:
        """Whether it was firing when it was sent."""
        return self.status == "firing"

    @property
    def name(self) -> str:
        """Return the label alertname, empty if there is none."""
        return self.labels.get("alertname", "")


class Notification(_Received):
    """One POST of Alertmanager's: the alerts of one group."""

    version: Literal["4"]
    group_key: str = Field("", max_length=MAX_VALUE)
    status: Literal["firing", "resolved"]
    receiver: str = Field("", max_length=1024)
    external_url: Annotated[str, Field(max_length=MAX_VALUE, alias="externalURL")] = ""
    truncated_alerts: int = Field(0, ge=0, description="alerts that max_alerts of the receiver left out")
    alerts: tuple[Alert, ...] = Field(max_length=MAX_ALERTS)


def parse(body: bytes) -> Notification:
    """Return the notification in a request's body. Raises PayloadError, which names the first field that is wrong."""
    try:
        return Notification.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "body"
        what = first["msg"][:1].lower() + first["msg"][1:]
        raise PayloadError(f"no notification of Alertmanager's, version 4: {where}: {what}") from None
