"""incidents.csv: what really went wrong, as people remember it. Strict: all its mistakes in one report."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from presagio.exporter.backtest.alarms import Alarm
from presagio.exporter.backtest.times import exact, shown
from presagio.toolkit.errors import ConfigError
from presagio.toolkit.schema import Mistake

_NEEDED = ("service_id", "start", "end")
_COLUMNS = ("service_id", "signal", "start", "end", "name")


@dataclass(frozen=True)
class Incident:
    """Something was wrong with a service from `start` to `end`; with no `signal`, any of its signals may tell."""

    service_id: str
    signal: str
    start: float
    end: float
    name: str

    def told_by(self, alarm: Alarm) -> bool:
        """Return whether an alarm is of this incident: of its service and signal, and some of it at the same time."""
        same = alarm.key.service_id == self.service_id and self.signal in ("", alarm.key.signal)
        return same and alarm.overlaps(self.start, self.end)

    def __str__(self) -> str:
        what = f"{self.service_id} {self.signal}".rstrip()
        when = f"{what} {shown(self.start)}"
        return f"{self.name} ({when})" if self.name else when


def load(path: Path) -> list[Incident]:
    """Return the incidents in a file, the first to start first. Raises ConfigError with all mistakes."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError([Mistake(str(path), 1, "", "a readable file", error.strerror or str(error))]) from None
    except UnicodeDecodeError as error:
        raise ConfigError([Mistake(str(path), 1, "", "UTF-8 text", f"byte {error.start} is not")]) from None
    return sorted(_Reader(str(path)).read(text), key=lambda one: one.start)


class _Reader:
    def __init__(self, file: str) -> None:
        self.file = file
        self.mistakes: list[Mistake] = []

    def read(self, text: str) -> list[Incident]:
        rows = list(self._rows(text))
        line, header = rows[0] if rows else (1, [])
        columns = [one.strip() for one in header]
        self._check_header(line, columns)
        found = [] if self.mistakes else [self._incident(line, columns, row) for line, row in rows[1:]]
        if self.mistakes:
            raise ConfigError(self.mistakes)
        return [one for one in found if one is not None]

    def _rows(self, text: str) -> Iterator[tuple[int, list[str]]]:
        """Yield the rows that have anything, each with the line on which it begins."""
        reader = csv.reader(text.splitlines(keepends=True), strict=True)
        line = 1
        try:
            for row in reader:
                if row:
                    yield line, row
                line = reader.line_num + 1
        except csv.Error as error:
            self._wrong(line, "", "comma-separated values", str(error))

    def _check_header(self, line: int, columns: Sequence[str]) -> None:
        known = ", ".join(_COLUMNS)
        for name in _NEEDED:
            if name not in columns:
                self._wrong(line, name, f"a header with this column (known: {known})", ",".join(columns) or "nothing")
        for name in dict.fromkeys(columns):
            if name not in _COLUMNS:
                self._wrong(line, name, f"one of {known}", f"unknown column {name!r}")
            elif columns.count(name) > 1:
                self._wrong(line, name, "each column once", f"{name!r} again")

    def _incident(self, line: int, columns: Sequence[str], row: Sequence[str]) -> Incident | None:
        if len(row) != len(columns):
            self._wrong(line, "", f"{len(columns)} fields, as the header has", f"{len(row)}")
            return None
        fields = {name: field.strip() for name, field in zip(columns, row, strict=True)}
        if not fields["service_id"]:
            self._wrong(line, "service_id", "the service's id, as service_id has it", "nothing")
        start, end = self._time(line, "start", fields), self._time(line, "end", fields)
        if start is None or end is None:
            return None
        if end <= start:
            self._wrong(line, "end", f"a time after start ({fields['start']})", repr(fields["end"]))
        return Incident(fields["service_id"], fields.get("signal", ""), start, end, fields.get("name", ""))

    def _time(self, line: int, column: str, fields: dict[str, str]) -> float | None:
        try:
            return exact(fields[column])
        except ValueError as error:
            expected, _, got = str(error).rpartition(", got ")
            self._wrong(line, column, expected, got)
            return None

    def _wrong(self, line: int, column: str, expected: str, got: str) -> None:
        self.mistakes.append(Mistake(self.file, line, column, expected, got))
