"""Label sets: how they are written, and templates that they fill."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

Labels = Mapping[str, str]

NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_BRACES = re.compile(r"\{([^{}]*)\}")
_DOLLARS = re.compile(r"\$\{([^{}]*)\}")


def escape(value: str) -> str:
    """Return a label's value as it stands between double quotes on a metrics page and in PromQL."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def render(labels: Labels) -> str:
    """Return `{a="x",b="y"}`, or nothing for no labels."""
    pairs = ",".join(f'{name}="{escape(value)}"' for name, value in labels.items())
    return f"{{{pairs}}}" if pairs else ""


def check_name(name: str) -> str:
    """Return a label or signal name; raises ValueError if Prometheus would not take it."""
    if not NAME.fullmatch(name):
        raise ValueError(f"letters, digits and underscores, not beginning with a digit, got {name!r}")
    return name


Name = Annotated[str, AfterValidator(check_name)]
"""A pydantic field that is a valid label name."""


@dataclass(frozen=True)
class Template:
    """Text with placeholders; `names` are those in it, in order."""

    text: str
    names: tuple[str, ...]
    _pattern: re.Pattern[str]

    @classmethod
    def braces(cls, text: str) -> Template:
        """Parse `{namespace}/{deployment}`. Raises ValueError for a placeholder that is no name."""
        template = cls._parse(text, _BRACES)
        if set("{}") & set(_BRACES.sub("", text)):
            raise ValueError(f"placeholders such as {{namespace}}, each in a pair of braces, got {text!r}")
        return template

    @classmethod
    def dollars(cls, text: str) -> Template:
        """Parse `up{job="${job}"}`. Raises ValueError for a placeholder that is no name."""
        return cls._parse(text, _DOLLARS)

    @classmethod
    def _parse(cls, text: str, pattern: re.Pattern[str]) -> Template:
        names = tuple(check_name(name) for name in pattern.findall(text))
        return cls(text, names, pattern)

    def fill(self, values: Labels, quote: Callable[[str], str] = str) -> str:
        """Return the text with each placeholder replaced by `quote(value)`.

        Raises KeyError with the first name that `values` lacks. For PromQL pass `quote=escape`.
        """
        return self._pattern.sub(lambda match: quote(values[match.group(1)]), self.text)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Read a field of this type from text with `{…}` placeholders."""
        return core_schema.no_info_plain_validator_function(cls._read)

    @classmethod
    def _read(cls, value: object) -> Template:
        if isinstance(value, cls):
            return value
        if not isinstance(value, str):
            raise ValueError(f"text with placeholders such as {{namespace}}/{{job}}, got {value!r}")  # noqa: TRY004 # pydantic collects ValueErrors
        return cls.braces(value)
