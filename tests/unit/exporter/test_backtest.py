"""`presagio backtest`: alarms from scores, the table, the span, and the command as it is typed."""

import argparse
import json
import math
import time as machine
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from fake_source import STEP, FakeSource, steady

from presagio.exporter import backtest_report
from presagio.exporter.backtest import Alarm, Alarms, table
from presagio.exporter.backtest_report import moment, report
from presagio.exporter.commands import BacktestCommand
from presagio.exporter.engine import Scores
from presagio.exporter.signals import Key
from presagio.toolkit.clock import ManualClock
from presagio.toolkit.errors import ConfigError, PresagioError

A, B = Key("shop/web", "load", (("pod", "web-1"), ("node", "n"))), Key("b", "memory", ())
NAN = math.nan
NOW = 1_700_000_000.0


def scores(step: int, *score: float, value: float = 7.0, expected: float = 5.0) -> Scores:
    count = len(score)
    column = np.full(count, expected)
    return Scores(
        step * STEP, [A, B][:count], np.full(count, value), np.array(score), column, column, column, np.ones(count)
    )


def alarms(*column: float, gap: int = 2) -> Alarms:
    found = Alarms(0.6, gap * STEP)
    for step, score in enumerate(column):
        found.add(scores(step, score))
    return found


class TestAlarms:
    def test_what_reaches_the_threshold_is_an_alarm_and_what_does_not_is_none(self) -> None:
        assert alarms(0.59, NAN, 0.0).found == []
        (alarm,) = alarms(0.0, 0.6, 0.0).found
        assert (alarm.begin, alarm.end, alarm.score) == (STEP, STEP, 0.6)

    def test_a_short_pause_does_not_end_an_alarm_and_a_longer_one_does(self) -> None:
        spans = [(one.begin / STEP, one.end / STEP) for one in alarms(0.7, 0.1, 0.7, NAN, NAN, 0.7, 0.7).found]
        assert spans == [(0, 2), (5, 6)]
        assert len(alarms(0.7, 0.1, 0.1, 0.7, gap=3).found) == 1

    def test_its_value_and_expectation_are_those_of_its_peak(self) -> None:
        found = Alarms(0.6, STEP)
        for step, (score, value) in enumerate([(0.7, 1.0), (0.9, 2.0), (0.9, 3.0), (0.8, 4.0)]):
            found.add(scores(step, score, value=value, expected=10 * value))
        (alarm,) = found.found
        assert (alarm.score, alarm.value, alarm.expected) == (0.9, 2.0, 20.0)

    def test_each_series_has_alarms_of_its_own(self) -> None:
        found = Alarms(0.6, STEP)
        for step in range(3):
            found.add(scores(step, 0.7, 0.8))
        assert [(one.key, one.score) for one in found.found] == [(A, 0.7), (B, 0.8)]
        assert found.moments == 3

    def test_no_series_have_none(self) -> None:
        found = Alarms(0.0, STEP)
        found.add(scores(0))
        assert (found.found, found.moments) == ([], 1)


class TestTable:
    def test_its_text(self) -> None:
        later = Alarm(A, NOW, NOW + 105, 0.734, NAN, 0.25)
        sooner = Alarm(B, NOW - 3600, NOW - 3600, 1.0, 3 * 2**20, 2**20)
        lines = table([later, sooner], {"load": "seconds", "memory": "bytes"}, STEP).splitlines()
        assert lines == [
            "service   signal  labels            begin (UTC)          lasted  score  value   expected",
            "b         memory                    2023-11-14 21:13:20  15s     1.00   3 MiB   1 MiB",
            "shop/web  load    pod=web-1,node=n  2023-11-14 22:13:20  2m      0.73   absent  0.25s",
        ]

    def test_what_was_expected_of_a_series_never_known_is_unknown(self) -> None:
        assert table([Alarm(B, NOW, NOW, 1.0, 1.0, NAN)], {}, STEP).endswith("1.00   1      unknown")

    def test_no_alarms_are_a_heading_alone(self) -> None:
        assert len(table([], {}, STEP).splitlines()) == 1


class TestMoment:
    def test_a_time_without_a_zone_is_in_utc_as_the_table_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TZ", "EST5")
        machine.tzset()
        try:
            assert moment("2026-01-31 12:00:00", NOW) == 1769860800.0
        finally:
            monkeypatch.undo()
            machine.tzset()

    @pytest.mark.parametrize(
        ("text", "time"),
        [
            ("now", NOW),
            ("-7d", NOW - 7 * 86400),
            ("-1h30m", NOW - 5400),
            ("-0", NOW),
            ("1600000000", 1.6e9),
            ("1600000000.5", 1600000000.5),
            ("2026-01-31T12:00:00Z", 1769860800.0),
            ("2026-01-31T13:00:00+01:00", 1769860800.0),
            ("2026-01-31T12:00:00", 1769860800.0),
            ("2026-01-31", 1769817600.0),
        ],
    )
    def test_times_as_people_write_them(self, text: str, time: float) -> None:
        assert moment(text, NOW) == time

    @pytest.mark.parametrize(
        "text", ["", "-", "-7", "7d", "yesterday", "1e9", "nan", "inf", "-inf", "2026-13-01", "-1D"]
    )
    def test_what_is_no_time_is_told_with_what_would_be_one(self, text: str) -> None:
        with pytest.raises(PresagioError) as error:
            moment(text, NOW)
        assert str(error.value) == f"{text!r} is no time; write -7d, Unix time or 2026-01-31T12:00:00Z"


def typed(*argv: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    BacktestCommand().add_arguments(parser)
    return parser.parse_args(argv)


class TestCommand:
    @pytest.fixture
    def source(self, monkeypatch: pytest.MonkeyPatch) -> FakeSource:
        load = steady()
        load.update(dict.fromkeys(range(500, 510), 5000.0))
        source = FakeSource(load={"a": load})
        source.data["count(up)"] = source.data["up"]
        source.chunk = 300
        monkeypatch.setattr(backtest_report, "Prometheus", lambda config: source)
        return source

    @pytest.fixture
    def config(self, tmp_path: Path) -> str:
        path = tmp_path / "exporter.yml"
        path.write_text("signals: [{name: load, query: load}]")
        return f"--config.file={path}"

    def run(self, *argv: str) -> int:
        return report(typed(*argv), ManualClock(700 * STEP + 7))

    def test_flags_as_they_are_typed(self) -> None:
        assert typed("--from", "-7d", "--to", "-1h").begin == "-7d"
        assert (typed("--from=-7d").begin, typed().begin, typed().end, typed().threshold) == (
            "-7d",
            "-1d",
            "now",
            0.6,
        )

    def test_alarms_of_the_span_are_listed(
        self, source: FakeSource, config: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.run(config, "--from", "-2h") == 0
        _, row, total = capsys.readouterr().out.splitlines()
        assert row.split()[:3] == ["a", "load", "1970-01-01"]
        assert row.split()[3:5] == ["02:05:00", "2m30s"]
        assert total == "1 alarms at 0.6 in 962 moments of 15s"
        assert {first for kind, query, first, _ in source.asked if query == "load"} >= {220, 520, 700}

    def test_without_alarms_there_is_no_table(
        self, source: FakeSource, config: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.run(config, "--from", "-15m", "--to", "-30m") == 0
        assert capsys.readouterr().out == "0 alarms at 0.6 in 122 moments of 15s\n"

    def test_as_json_each_alarm_is_one_line(
        self, source: FakeSource, config: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.run(config, "--from", "-2h", "--json")
        alarm = json.loads(capsys.readouterr().out)
        assert alarm["key"] == {"service_id": "a", "signal": "load", "labels": []}
        assert (alarm["begin"], alarm["end"], alarm["value"]) == (500 * STEP, 509 * STEP, 5000.0)

    @pytest.mark.parametrize("span", [["--from", "now"], ["--from=-0"], ["--from=5000", "--to=4000"]])
    def test_a_span_that_ends_before_it_begins_is_refused(
        self, source: FakeSource, config: str, span: Sequence[str]
    ) -> None:
        with pytest.raises(PresagioError, match=r"--from '.*' is not before --to '.*'"):
            self.run(config, *span)
        assert source.asked == []

    def test_a_file_with_mistakes_is_refused(self, source: FakeSource, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="a readable file"):
            self.run(f"--config.file={tmp_path / 'absent.yml'}")
