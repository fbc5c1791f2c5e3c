"""Durations and sizes as people write them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from presagio.toolkit.schema import FROM_FILE
from presagio.toolkit.units import (
    Duration,
    Size,
    format_bytes,
    format_duration,
    format_value,
    parse_bytes,
    parse_duration,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0), ("0s", 0), ("15s", 15), ("250ms", 0.25), ("5m", 300), ("1h30m", 5400), ("14d", 1_209_600),
        ("1w", 604_800), ("1y", 31_536_000), ("1m500ms", 60.5), ("1d1h1m1s1ms", 90061.001), ("90s", 90),
    ],
)  # fmt: skip
def test_durations_are_read_as_prometheus_reads_them(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds, rel=1e-12)


@pytest.mark.parametrize(
    "text",
    ["", "15", "1.5h", "-5m", "5 m", "5M", "m", "5m3", "٣s", "9" * 400 + "y", 15, 15.0, 0, True, None, ["5m"]],
)
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="got") as caught:
        parse_duration(text)
    assert str(caught.value) == f"a duration such as 15s, 5m or 1h30m, got {text!r}"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"), (0.25, "0.25s"), (0.0004, "0.0004s"), (1.5, "1.5s"), (45, "45s"), (59.9, "59.9s"), (60, "1m"),
        (90, "1m30s"), (3599.6, "1h"), (5400, "1h30m"), (90_061, "1d1h"), (604_800, "7d"), (-90, "-1m30s"),
        (math.inf, "inf"), (-math.inf, "-inf"), (math.nan, "nan"),
    ],
)  # fmt: skip
def test_durations_are_told_as_people_say_them(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.integers(0, 10**9))
def test_what_is_told_reads_back_within_its_second_unit(seconds: int) -> None:
    back = parse_duration(format_duration(seconds))
    assert 0 <= seconds - back < (60 if seconds < 86_400 else 3600)
    assert parse_duration(format_duration(back)) == back


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "bytes", "0 B"), (1023, "bytes", "1023 B"), (1536, "bytes", "1.5 KiB"), (-2048, "bytes", "-2 KiB"),
        (12.5 * 2**20, "bytes", "12.5 MiB"), (2.0**50, "bytes", "1024 TiB"), (90, "seconds", "1m30s"),
        (0.12345, "ratio", "0.1235 ratio"), (1e6, "", "1e+06"), (math.nan, "seconds", "unknown"),
        (math.nan, "", "unknown"), (math.inf, "bytes", "inf TiB"),
    ],
)  # fmt: skip
def test_values_are_told_in_their_unit(value: float, unit: str, text: str) -> None:
    assert format_value(value, unit) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_size_is_told(size: float) -> None:
    number, unit = format_bytes(size).split(" ")
    assert unit in ("B", "KiB", "MiB", "GiB", "TiB")
    factor = 1024.0 ** ("B", "KiB", "MiB", "GiB", "TiB").index(unit)
    assert float(number) == pytest.approx(size / factor, rel=1e-3)


@pytest.mark.parametrize(("text", "size"), [("0B", 0), ("512MiB", 512 << 20), ("10GB", 10**10), ("1kB", 1000)])
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "1", 1, None, True, "1.5GiB", "-1B", "1 GiB", "1gib", "1KB", "9" * 13 + "B"])
def test_what_is_no_size_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="a size such as 512MiB"):
        parse_bytes(text)


class Limits(BaseModel):
    most: Size = 7


def test_bytes_are_for_code_and_sizes_for_files() -> None:
    assert Limits(most=5).most == 5
    assert Limits.model_validate({"most": "1kB"}, context=FROM_FILE).most == 1000
    with pytest.raises(ValidationError, match="a size such as 512MiB, 10GB or 0B, got 5"):
        Limits.model_validate({"most": 5}, context=FROM_FILE)


class Settings(BaseModel):
    every: Duration = 15.0


def test_seconds_are_for_code_and_durations_for_files() -> None:
    assert Settings(every=0.5).every == 0.5
    assert Settings.model_validate({"every": "5m"}, context=FROM_FILE).every == 300
    assert Settings.model_validate({}, context=FROM_FILE).every == 15
    with pytest.raises(ValidationError, match=r"a duration such as 15s, 5m or 1h30m, got 0\.5"):
        Settings.model_validate({"every": 0.5}, context=FROM_FILE)


@pytest.mark.parametrize("seconds", [math.inf, math.nan])
def test_no_time_at_all_is_refused_even_of_code(seconds: float) -> None:
    with pytest.raises(ValidationError, match="finite"):
        Settings(every=seconds)
