"""incidents.csv: what is read, and every mistake of a file in one report."""

from pathlib import Path

import pytest

from presagio.exporter.backtest.alarms import Alarm
from presagio.exporter.backtest.incidents import Incident, load
from presagio.exporter.signals import Key
from presagio.toolkit.errors import ConfigError


def read(folder: Path, text: str) -> list[Incident]:
    path = folder / "incidents.csv"
    path.write_bytes(text.encode())
    return load(path)


def mistakes(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as error:
        read(folder, text)
    return str(error.value).replace(f"{folder}/", "").splitlines()


def test_all_columns_in_any_order_sorted_by_their_start(tmp_path: Path) -> None:
    text = "\ufeffname,start,end,signal,service_id\r\nlate,1700000000,1700000600,,b\r\n\r\n"
    text += '"early, or so",2023-11-14T22:00:00Z,2023-11-14T23:10:00+01:00, load ,a\r\n'
    assert read(tmp_path, text) == [
        Incident("a", "load", 1699999200.0, 1699999800.0, "early, or so"),
        Incident("b", "", 1700000000.0, 1700000600.0, "late"),
    ]


def test_signal_and_name_may_be_left_out(tmp_path: Path) -> None:
    assert read(tmp_path, "service_id,start,end\na,10,20\n") == [Incident("a", "", 10, 20, "")]


def test_a_file_may_tell_of_no_incident(tmp_path: Path) -> None:
    assert read(tmp_path, "service_id,start,end\n") == []


def test_every_mistake_is_told_with_its_line(tmp_path: Path) -> None:
    text = 'service_id,start,end,name\n,1,2,a\nb,tomorrow,2026-01-31T12:00:00,"two\nlines"\nc,5,5,x\nd,1\n'
    assert mistakes(tmp_path, text) == [
        "incidents.csv:2: service_id: expected the service's id, as service_id has it, got nothing",
        "incidents.csv:3: start: expected a time such as 2026-01-31T12:00:00Z or Unix time, got 'tomorrow'",
        "incidents.csv:3: end: expected a time such as 2026-01-31T12:00:00Z or Unix time, got '2026-01-31T12:00:00'",
        "incidents.csv:5: end: expected a time after start (5), got '5'",
        "incidents.csv:6: expected 4 fields, as the header has, got 2",
    ]


def test_every_mistake_of_the_header_is_told(tmp_path: Path) -> None:
    known = "service_id, signal, start, end, name"
    needed = f"expected a header with this column (known: {known}), got service,start,start,name"
    assert mistakes(tmp_path, "service,start,start,name\n") == [
        f"incidents.csv:1: service_id: {needed}",
        f"incidents.csv:1: end: {needed}",
        f"incidents.csv:1: service: expected one of {known}, got unknown column 'service'",
        "incidents.csv:1: start: expected each column once, got 'start' again",
    ]


def test_an_empty_file_is_none(tmp_path: Path) -> None:
    assert [line.rpartition(", got ")[2] for line in mistakes(tmp_path, "")] == ["nothing"] * 3


def test_what_is_no_csv_is_told(tmp_path: Path) -> None:
    assert mistakes(tmp_path, 'service_id,start,end\n"a"b,1,2\n') == [
        "incidents.csv:2: expected comma-separated values, got ',' expected after '\"'"
    ]


def test_an_unreadable_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none.csv:1: expected a readable file, got No such file"):
        load(tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes(b"service_id,start,end\n\xe9,1,2\n")
    with pytest.raises(ConfigError, match="expected UTF-8 text, got byte 21 is not"):
        load(tmp_path / "latin.csv")


@pytest.mark.parametrize(
    ("service", "signal", "begin", "end", "is_told"),
    [
        ("a", "load", 12, 15, True),
        ("a", "load", 0, 10, True),
        ("a", "load", 20, 99, True),
        ("a", "load", 0, 99, True),
        ("a", "load", 0, 9, False),
        ("a", "load", 21, 99, False),
        ("a", "other", 12, 15, False),
        ("b", "load", 12, 15, False),
    ],
)
def test_an_alarm_is_of_an_incident_that_it_overlaps(
    service: str, signal: str, begin: float, end: float, is_told: bool
) -> None:
    alarm = Alarm(Key(service, signal, ()), begin, end)
    assert Incident("a", "load", 10, 20, "").told_by(alarm) == is_told
    assert Incident("a", "", 10, 20, "").told_by(alarm) == (is_told or signal == "other")


def test_an_incident_has_a_name_even_without_one() -> None:
    assert str(Incident("a", "load", 0, 20, "")) == "a load 1970-01-01 00:00:00"
    assert str(Incident("a", "", 0, 20, "the fire")) == "the fire (a 1970-01-01 00:00:00)"
