"""`presagio backtest`: the command as it is typed, and what it prints."""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from fake_source import STEP, FakeSource, steady

from presagio.exporter.backtest import report as command
from presagio.exporter.backtest.report import report
from presagio.exporter.commands import BacktestCommand
from presagio.exporter.feedback import Judged
from presagio.exporter.feedback_book import Book
from presagio.toolkit.clock import ManualClock
from presagio.toolkit.errors import ConfigError, PresagioError, SourceError
from presagio.toolkit.log import get_log
from presagio.toolkit.prometheus import Matrix

NOW = 700 * STEP + 7


def typed(*argv: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    BacktestCommand().add_arguments(parser)
    return parser.parse_args(argv)


def run(*argv: str) -> int:
    return report(typed(*argv), ManualClock(NOW))


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> FakeSource:
    load = steady()
    load.update(dict.fromkeys(range(500, 510), 5000.0))
    source = FakeSource(load={"a": load})
    source.data["count(up)"] = source.data["up"]
    source.chunk = 300
    monkeypatch.setattr(command, "Prometheus", lambda config: source)
    return source


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "exporter.yml"
    path.write_text("signals: [{name: load, query: load}]")
    return f"--config={path}"


@pytest.fixture
def incidents(tmp_path: Path) -> str:
    path = tmp_path / "incidents.csv"
    path.write_text("service_id,start,end,name\na,7485,7700,fire\na,9000,9300,rain\nb,9000,9300,fog\na,1,2,old\n")
    return f"--incidents={path}"


def test_flags_as_they_are_typed() -> None:
    assert typed("--from", "-7d", "--to", "-1h").begin == "-7d"
    defaults = typed()
    assert (defaults.begin, defaults.end, defaults.threshold, defaults.lookback) == ("-1d", "now", 0.6, None)
    with pytest.raises(SystemExit):
        typed("--pictures.most=0")


def test_alarms_of_the_span_are_listed(source: FakeSource, config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(config, "--from", "-2h") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:4] == ["a", "load", "1970-01-01", "02:05:00"]
    assert lines[3].startswith("1 alarm at 0.6 from 1970-01-01 00:55:07 to 1970-01-01 02:55:00 UTC, every 15s: ")
    assert lines[3].endswith("1 series of 1 service, 0.0119 service-weeks")
    assert [line.split()[0] for line in lines[5:10]] == ["threshold", "0.3", "0.45", "0.6", "0.8"]
    assert lines[10:] == ["without --incidents every alarm counts as false"]


def test_a_threshold_of_ones_own_has_a_line_of_its_own(
    source: FakeSource, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(config, "--from", "-2h", "--threshold=0.7") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[6:11]] == ["0.3", "0.45", "0.6", "0.7", "0.8"]


def test_without_alarms_there_is_no_table(
    source: FakeSource, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(config, "--from", "-15m", "--to", "-30m") == 0
    assert capsys.readouterr().out.startswith("0 alarms at 0.6 from ")


def test_incidents_are_caught_missed_or_outside(
    source: FakeSource, config: str, incidents: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(config, "--from", "-2h", incidents) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].endswith("fire")
    (line,) = [line for line in lines if line.startswith("0.6 ")]
    assert line.split() == ["0.6", "1", "0", "0", "33%", "100%", "15s"]
    assert [line for line in lines if "rain" in line] == ["missed from 0.3 on: rain (a 1970-01-01 02:30:00)"]
    assert lines[-2:] == [
        "nothing was scored of its service and signal: fog (b 1970-01-01 02:30:00)",
        "outside of the span, not counted: old (a 1970-01-01 00:00:01)",
    ]


def test_as_json_all_is_one_object(
    source: FakeSource, config: str, incidents: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(config, "--from", "-2h", "--json", incidents) == 0
    told = json.loads(capsys.readouterr().out)
    (alarm,) = told["alarms"]
    assert (alarm["service_id"], alarm["signal"], alarm["labels"]) == ("a", "load", {})
    assert (alarm["begin"], alarm["value"]) == (500 * STEP, 5000.0)
    assert alarm["incidents"] == ["fire (a 1970-01-01 02:04:45)"]
    (at,) = [one for one in told["thresholds"] if one["threshold"] == 0.6]
    assert (at["false"], at["precision"], at["median_delay"]) == (0, 1.0, 15.0)
    assert [one["name"] for one in at["missed"]] == ["rain", "fog"]
    assert [one["name"] for one in told["incidents_outside"]] == ["old"]


def asked(source: FakeSource) -> int:
    return min(first for kind, query, first, _ in source.asked if (kind, query) == ("history", "load"))


def test_learning_begins_a_lookback_before_the_span(source: FakeSource, config: str, tmp_path: Path) -> None:
    run(config, "--from=6000", "--to=7500", "--lookback=15m")
    assert asked(source) == 400 - 60
    source.asked.clear()
    Path(config.partition("=")[2]).write_text("warm_start: {lookback: 30m}\nsignals: [{name: load, query: load}]")
    run(config, "--from=6000", "--to=7500")
    assert asked(source) == 400 - 120


def test_what_is_there_to_learn_from_has_no_alarms(
    source: FakeSource, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run(config, "--from=8000", "--to=10500", "--lookback=1h")
    assert capsys.readouterr().out.startswith("0 alarms at 0.6 from 1970-01-01 02:13:20 to 1970-01-01 02:55:00 ")


@pytest.mark.parametrize(("kind", "is_told"), [("expected", False), ("fault", True)])
def test_what_people_said_is_heeded(
    source: FakeSource, config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, is_told: bool
) -> None:
    book = Book(tmp_path / "storage", ManualClock(NOW), get_log("test"))
    book.folder.mkdir()
    period = {"from": 499 * STEP, "to": 511 * STEP}
    book.give(Judged.model_validate({"service_id": "a", "signal": "load", "kind": kind, **period}))
    assert run(config, "--from=7000", "--to=8000", f"--storage.path={book.folder}", "--json") == 0
    begins = [alarm["begin"] for alarm in json.loads(capsys.readouterr().out)["alarms"]]
    assert (500 * STEP in begins) == is_told
    with pytest.raises(PresagioError, match=r"--storage.path '.*none' is no folder; name the one of the exporter"):
        run(config, f"--storage.path={tmp_path / 'none'}")


class Coarse(FakeSource):
    """A source that is asked every two minutes."""

    def history(self, query: str, start: float, end: float, step: float, series: int = 1) -> Iterator[Matrix]:
        assert step == 8 * STEP
        for matrix in super().history(query, start, end, STEP, series):
            kept = np.flatnonzero(matrix.times % step == 0)
            yield Matrix(matrix.labels, matrix.times[kept], matrix.values[:, kept])

    def range(self, query: str, start: float, end: float, step: float) -> Matrix:
        matrix = super().range(query, start, end, STEP)
        return Matrix(matrix.labels, matrix.times[::8], matrix.values[:, ::8])


def test_a_coarser_step_looks_at_fewer_moments(
    config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = Coarse(load={"a": steady()})
    source.data["count(up)"] = source.data["up"]
    source.chunk = 80
    monkeypatch.setattr(command, "Prometheus", lambda config: source)
    assert run(config, "--from=4800", "--to=9600", "--lookback=1h", "--step=2m") == 0
    assert "every 2m: 1 series of 1 service, 0.00813 service-weeks" in capsys.readouterr().out  # 41 moments


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--from", "now"], r"--from 'now' is not before --to 'now'"),
        (["--from=-0"], r"--from '-0' is not before --to 'now'"),
        (["--from=5000", "--to=4000"], r"--from '5000' is not before --to '4000'"),
        (["--step=60"], r"--step: expected a duration such as 15s, 5m or 1h30m, got '60'"),
        (["--step=100ms"], r"--step '100ms' is too short; write 1s or more"),
        (["--step=1d"], r"--step '1d' is too long: signal 'load' forgets a series after 6h; write at most half"),
        (["--lookback=x"], r"--lookback: expected a duration such as 15s, 5m or 1h30m, got 'x'"),
        (["--write=blocks", "--promtool=/none/promtool"], r"promtool '/none/promtool' is not found; it comes with"),
        (
            ["--write=blocks", "--write.label=job"],
            r"--write.label: expected NAME=VALUE such as job=presagio, got 'job'",
        ),
        (
            ["--write=blocks", "--write.label=1=2"],
            r"--write.label: expected NAME=VALUE such as job=presagio, got '1=2'",
        ),
    ],
)
def test_flags_that_mean_nothing_are_refused(
    source: FakeSource, config: str, flags: Sequence[str], words: str
) -> None:
    with pytest.raises(PresagioError, match=words):
        run(config, *flags)
    assert source.asked == []


def test_files_with_mistakes_are_refused(source: FakeSource, config: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a readable file"):
        run(f"--config={tmp_path / 'absent.yml'}")
    with pytest.raises(ConfigError, match="a readable file"):
        run(config, f"--incidents={tmp_path / 'absent.csv'}")
    assert source.asked == []


def test_a_query_that_fails_is_told_with_its_signal(source: FakeSource, config: str) -> None:
    source.fails_at = {600}
    with pytest.raises(SourceError, match="signal 'load': too slow"):
        run(config, "--from", "-2h")


def test_what_was_found_until_an_interruption_is_told(
    source: FakeSource,
    config: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = source._answer

    def interrupted(kind: str, query: str, first: int, last: int, stride: int = 1) -> Matrix:
        if (kind, query) == ("history", "load") and last >= 650:
            raise KeyboardInterrupt
        return answer(kind, query, first, last, stride)

    monkeypatch.setattr(source, "_answer", interrupted)
    source.chunk = 50
    assert run(config, "--from", "-2h", f"--pictures={tmp_path / 'pictures'}") == 130
    told = capsys.readouterr()
    assert "interrupted: what follows covers the time until then" in told.err
    assert "1 alarm at 0.6 from 1970-01-01 00:55:07 to 1970-01-01 02:3" in told.out
    assert (tmp_path / "pictures" / "backtest.html").exists()


def test_progress_is_logged_where_there_is_no_terminal(
    source: FakeSource, config: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Hurried(ManualClock):
        def time(self) -> float:
            self.now += 0.02
            return self.now

    with caplog.at_level("INFO"):
        report(typed(config, "--from", "-2h"), Hurried(NOW))
    shares = [record.__dict__["fields"]["percent"] for record in caplog.records if record.message == "backtest"]
    assert shares == sorted(shares)
    assert len(shares) > 5
