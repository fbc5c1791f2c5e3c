"""Log lines, to the letter."""

import io
import json
import logging
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from presagio.toolkit import log as logs

MOMENT = datetime(2026, 1, 31, 12, 0, 0, 123_456, UTC).timestamp()


def record(
    message: str = "evaluated", level: int = logging.INFO, fields: Mapping[str, object] | None = None
) -> logging.LogRecord:
    made = logging.LogRecord("presagio.exporter", level, "file.py", 1, message, (), None)
    made.created, made.fields = MOMENT, fields or {}
    return made


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Log to memory, and leave the root logger as it was."""
    root, urllib3 = logging.getLogger(), logging.getLogger("urllib3")
    handlers, level, of_urllib3 = root.handlers[:], root.level, urllib3.level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    urllib3.setLevel(of_urllib3)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, ""),
        ({"signal": "cpu", "series": 12}, " signal=cpu series=12"),
        ({"text": "two words"}, ' text="two words"'),
        ({"text": 'say "x"\n\\'}, ' text="say \\"x\\"\\n\\\\"'),
        ({"text": ""}, ' text=""'),
        ({"text": "a=b"}, ' text="a=b"'),
        ({"text": "größe", "path": "große dateien"}, ' text=größe path="große dateien"'),
        ({"text": "\x1b[31mred"}, ' text="\\u001b[31mred"'),
        ({"none": None, "yes": True, "error": ValueError("no")}, " none=None yes=True error=no"),
        ({"share": 0.123456789, "tiny": 1e-9, "nan": math.nan}, " share=0.123457 tiny=1e-09 nan=nan"),
        ({"time": 1_700_000_000.25, "huge": 1e300}, " time=1700000000.25 huge=1e+300"),
    ],
)
def test_logfmt_to_the_letter(fields: dict[str, object], text: str) -> None:
    head = "ts=2026-01-31T12:00:00.123Z level=info logger=presagio.exporter msg=evaluated"
    assert logs.Formatter().format(record(fields=fields)) == head + text


@pytest.mark.parametrize(
    ("level", "name"),
    [(logging.DEBUG, "debug"), (logging.WARNING, "warn"), (logging.ERROR, "error"), (50, "critical")],
)
def test_levels_are_named_as_prometheus_names_them(level: int, name: str) -> None:
    assert f" level={name} " in logs.Formatter().format(record(level=level))


def test_json_to_the_letter() -> None:
    fields = {"signal": "cpu", "series": 12, "share": 0.5, "error": ValueError("no")}
    assert logs.Formatter("json").format(record('say "x"', fields=fields)) == (
        '{"ts": "2026-01-31T12:00:00.123Z", "level": "info", "logger": "presagio.exporter", "msg": "say \\"x\\"", '
        '"signal": "cpu", "series": 12, "share": 0.5, "error": "no"}'
    )


@given(st.dictionaries(st.sampled_from("abc"), st.text() | st.floats() | st.integers() | st.none()))
def test_every_line_is_one_line_and_json_is_json(fields: dict[str, object]) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    for form in logs.FORMATS:
        assert "\n" not in logs.Formatter(form).format(record("two\nlines", fields=fields))
    line = logs.Formatter("json").format(record("two\nlines", fields=fields))
    read = json.loads(line, parse_constant=refuse)
    assert {name: value for name, value in fields.items() if not isinstance(value, float)}.items() <= read.items()


def test_a_logger_writes_its_fields_to_the_stream(stream: io.StringIO) -> None:
    logs.configure("debug", "logfmt", stream)
    log = logs.get_log("exporter.loop")
    for write in (log.debug, log.info, log.warning, log.error):
        write("happened", count=1)
    lines = [line.partition(" ")[2] for line in stream.getvalue().splitlines()]
    assert lines == [
        f"level={level} logger=presagio.exporter.loop msg=happened count=1"
        for level in ("debug", "info", "warn", "error")
    ]


def test_an_exception_brings_its_traceback_on_the_same_line(stream: io.StringIO) -> None:
    logs.configure("info", "json", stream)
    try:
        dict[str, int]()["boom"]
    except KeyError:
        logs.get_log("test").exception("failed", signal="cpu")
    [line] = stream.getvalue().splitlines()
    read = json.loads(line)
    assert (read["level"], read["msg"], read["signal"]) == ("error", "failed", "cpu")
    assert read["error"].startswith("Traceback (most recent call last):\n")
    assert read["error"].endswith("KeyError: 'boom'")


def test_below_the_level_nothing_is_written_and_libraries_are_quiet(stream: io.StringIO) -> None:
    logs.configure("warn", "logfmt", stream)
    logs.get_log("test").info("not this")
    logs.configure("debug", "logfmt", stream)
    logging.getLogger("urllib3.connectionpool").debug("nor this")
    logging.getLogger("some.library").info("but %s", "this")
    assert [line.partition("msg=")[2] for line in stream.getvalue().splitlines()] == ['"but this"']


def test_configuring_again_replaces_the_form_and_doubles_no_line(stream: io.StringIO) -> None:
    logs.configure("info", "json", stream)
    logs.configure("info", "logfmt", stream)
    logs.get_log("test").info("once")
    assert stream.getvalue().count("once") == 1
    assert "msg=once" in stream.getvalue()
