"""Durations and sizes as people write them: 15s, 1h30m, 20MiB."""

from __future__ import annotations

import math
import re
from typing import Annotated

from pydantic import AllowInfNan, BeforeValidator, ValidationInfo

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "y": 31536000.0}
_DURATION = re.compile(r"(?:[0-9]{1,12}(?:y|w|d|h|ms|m|s))+")
_PART = re.compile(r"([0-9]+)(ms|[ywdhms])")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB")
_SIZE = re.compile(r"([0-9]{1,12})(B|[kMGT]B|[KMGT]iB)")
_BYTES: dict[str, int] = {
    **{unit: 1024**power for power, unit in enumerate(_BINARY)},
    **{unit: 1000**power for power, unit in enumerate(("B", "kB", "MB", "GB", "TB"))},
}


def parse_duration(text: object) -> float:
    """Return seconds for a Prometheus duration such as `90s`, `1h30m` or `14d`.

    A bare number is refused: nobody can tell whether it means seconds or minutes. Raises ValueError.
    """
    if text == "0":
        return 0.0
    if not isinstance(text, str) or not _DURATION.fullmatch(text):
        raise ValueError(f"a duration such as 15s, 5m or 1h30m, got {text!r}")
    return sum(int(number) * _SECONDS[unit] for number, unit in _PART.findall(text))


def format_duration(seconds: float) -> str:
    """Return seconds as people say them: `1h30m`, `45s`, `0.25s`."""
    if not math.isfinite(seconds):
        return f"{seconds}"
    if seconds < 0:
        return f"-{format_duration(-seconds)}"
    if seconds < 1:
        return f"{seconds:.3g}s"
    if seconds < 60:
        return f"{seconds:.3g}s" if seconds % 1 else f"{seconds:.0f}s"
    left, parts = round(seconds), []
    for unit in ("d", "h", "m", "s"):
        count, left = divmod(left, int(_SECONDS[unit]))
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts[:2])


def parse_bytes(text: object) -> int:
    """Return bytes for a size such as `512MiB` or `10GB`. A bare number is refused, as for durations: ValueError."""
    found = _SIZE.fullmatch(text) if isinstance(text, str) else None
    if not found:
        raise ValueError(f"a size such as 512MiB, 10GB or 0B, got {text!r}")
    return int(found[1]) * _BYTES[found[2]]


def format_bytes(size: float) -> str:
    """Return bytes in binary units: `12.5 MiB`."""
    exponent = 0
    while abs(size) >= 1024 and exponent < len(_BINARY) - 1:
        size /= 1024
        exponent += 1
    return f"{size:.4g} {_BINARY[exponent]}"


def format_value(value: float, unit: str = "") -> str:
    """Return a value with its unit for people: `bytes` and `seconds` are scaled, others stand as they are."""
    if math.isnan(value):
        return "unknown"
    if unit == "bytes":
        return format_bytes(value)
    if unit == "seconds":
        return format_duration(value)
    return f"{value:.4g} {unit}".rstrip()


def _duration(value: object, info: ValidationInfo) -> object:
    # Code passes seconds on; in a file 15.0 is as ambiguous as 15.
    return value if isinstance(value, float) and not info.context else parse_duration(value)


def _size(value: object, info: ValidationInfo) -> object:
    plain = isinstance(value, int) and not isinstance(value, bool)
    return value if plain and not info.context else parse_bytes(value)


Size = Annotated[int, BeforeValidator(_size)]
"""A pydantic field in bytes, written as a size with its unit."""

Duration = Annotated[float, BeforeValidator(_duration), AllowInfNan(False)]
"""A pydantic field in seconds, written as a Prometheus duration."""
