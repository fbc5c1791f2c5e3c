"""The exporter's sub-commands. Loaded at `presagio --help`: everything heavy is imported when it runs."""

from __future__ import annotations

import argparse
import getpass
import re
from pathlib import Path

from presagio.toolkit.cli import add_client_flags, add_log_flags, add_server_flags

_CONFIG = "exporter.yml"
_STORAGE = "data/exporter"


class ExporterCommand:
    """`presagio exporter`: read, score, publish."""

    help = "score the signals of services and publish the scores on /metrics"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the flags of a server."""
        from presagio.exporter.sharding import ordinal

        add_server_flags(parser, config=_CONFIG, address=":8000", storage=_STORAGE)
        parser.add_argument(
            "--shard.count", dest="shard_count", type=_count, default=1, metavar="N",
            help="exporters that share the services, each with the same configuration (default: 1)",
        )  # fmt: skip
        parser.add_argument(
            "--shard.index", dest="shard_index", type=ordinal, metavar="INDEX|POD",
            help="which of them this is, from 0: a number, or a name that ends so, as StatefulSets' pods have",
        )  # fmt: skip

    def run(self, arguments: argparse.Namespace) -> int:
        """Serve until told to stop."""
        from presagio.exporter import sharding
        from presagio.exporter.server import ExporterWing
        from presagio.toolkit.serve import serve

        sharding.of(arguments)  # a mistake in the flags is told before anything has started
        return serve(ExporterWing(), arguments)


class BacktestCommand:
    """`presagio backtest`: what the exporter would have seen."""

    help = "score a past span with the same engine and list the alarms"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the span and the threshold."""
        # Else argparse takes the -7d of `--from -7d` for a flag.
        parser._negative_number_matcher = re.compile(r"-\d.*")
        parser.add_argument(
            "--config.file", "--config", dest="config_file", type=Path, default=Path(_CONFIG), metavar="FILE",
            help=f"configuration (default: {_CONFIG})",
        )  # fmt: skip
        parser.add_argument(
            "--from", dest="begin", default="-1d", metavar="TIME",
            help="begin: -7d before the end, Unix time or ISO 8601 (default: -1d)",
        )  # fmt: skip
        parser.add_argument(
            "--to", dest="end", default="now", metavar="TIME", help="end: now, Unix time or ISO 8601 (default: now)"
        )
        parser.add_argument(
            "--threshold", type=float, default=0.6, metavar="SCORE", help="least score of an alarm (default: 0.6)"
        )
        parser.add_argument(
            "--lookback", metavar="DURATION",
            help="how long before --from learning begins (default: warm_start.lookback of the configuration)",
        )  # fmt: skip
        parser.add_argument(
            "--step", metavar="DURATION",
            help="time between two moments; longer is faster and coarser (default: evaluation.interval)",
        )  # fmt: skip
        parser.add_argument(
            "--incidents", type=Path, metavar="FILE",
            help="CSV of what really went wrong: service_id, start, end, and perhaps signal and name",
        )  # fmt: skip
        parser.add_argument(
            "--storage.path", dest="storage_path", type=Path, metavar="DIR",
            help="the exporter's folder: what people said of the past is heeded as the exporter heeds it",
        )  # fmt: skip
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
        self._add_files(parser)
        add_log_flags(parser)

    def _add_files(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--pictures", type=Path, metavar="DIR", help="folder for backtest.html, with a picture of each alarm"
        )
        parser.add_argument(
            "--pictures.most", dest="pictures_most", type=_count, default=50, metavar="N",
            help="most alarms that are drawn, the worst first (default: 50)",
        )  # fmt: skip
        parser.add_argument(
            "--write", choices=["blocks"], help="write the scores of the past as blocks of Prometheus, by promtool"
        )
        parser.add_argument(
            "--write.path", dest="write_path", type=Path, default=Path("backtest-blocks"), metavar="DIR",
            help="empty or new folder for the blocks (default: backtest-blocks)",
        )  # fmt: skip
        parser.add_argument(
            "--write.label", dest="write_labels", action="append", default=[], metavar="NAME=VALUE",
            help="label that scraping adds to series without one of this name, such as job=presagio; may be repeated",
        )  # fmt: skip
        parser.add_argument(
            "--promtool", default="promtool", metavar="FILE", help="promtool (default: the one on PATH)"
        )

    def run(self, arguments: argparse.Namespace) -> int:
        """Print the alarms."""
        from presagio.exporter.backtest.report import report

        return report(arguments)


class FeedbackCommand:
    """`presagio feedback`: what people know of a period."""

    help = "say of a past period that it was expected, or a fault; list and revert what was said"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare expected, fault, list and revert."""
        actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True, dest="feedback_action")
        expected = actions.add_parser("expected", help="learn a period, and do not alarm of its like at that hour")
        fault = actions.add_parser("fault", help="unlearn a period: it was not normal")
        listing = actions.add_parser("list", help="list what is in force, the newest first")
        listing.add_argument("service", nargs="?", metavar="SERVICE", help="of this service only")
        listing.add_argument("--all", action="store_true", help="what was reverted too")
        revert = actions.add_parser("revert", help="take back what was said; a record of it stays")
        revert.add_argument("id", type=int, metavar="ID", help="its number")
        for action in (expected, fault):
            self._judge(action)
        for action in (expected, fault, revert):
            action.add_argument("--author", default=_user(), metavar="NAME", help="who says so (default: your login)")
        for action in (expected, fault, listing, revert):
            self._common(action)

    def _judge(self, parser: argparse.ArgumentParser) -> None:
        # Else argparse takes the -1h of `--from -1h` for a flag.
        parser._negative_number_matcher = re.compile(r"-\d.*")
        parser.add_argument("service", metavar="SERVICE", help="the service's id, as service_id has it")
        parser.add_argument("--signal", metavar="NAME", help="one of its signals (default: all)")
        parser.add_argument(
            "--from", dest="begin", required=True, metavar="TIME",
            help="begin: -1h before the end, Unix time or ISO 8601",
        )  # fmt: skip
        parser.add_argument(
            "--to", dest="end", default="now", metavar="TIME", help="end: now, Unix time or ISO 8601 (default: now)"
        )
        parser.add_argument("--comment", default="", metavar="TEXT", help="why, for whoever reads it later")

    def _common(self, parser: argparse.ArgumentParser) -> None:
        add_client_flags(parser, "exporter", "http://localhost:8000")
        add_log_flags(parser)

    def run(self, arguments: argparse.Namespace) -> int:
        """Ask the exporter."""
        from presagio.exporter.feedback_command import run

        return run(arguments)


class TrainCommand:
    """`presagio train`: learn from past failures."""

    help = "learn from past failures; list the models there are, go back to the one before"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare what is trained, and what is only shown."""
        parser.add_argument(
            "--config.file", "--config", dest="config_file", type=Path, default=Path(_CONFIG), metavar="FILE",
            help=f"configuration (default: {_CONFIG})",
        )  # fmt: skip
        parser.add_argument(
            "--storage.path", dest="storage_path", type=Path, default=Path(_STORAGE), metavar="DIR",
            help=f"the exporter's folder: models are kept in it (default: {_STORAGE})",
        )  # fmt: skip
        parser.add_argument(
            "--failure", dest="failures", action="append", default=[], metavar="NAME",
            help="train this failure only; may be repeated (default: all)",
        )  # fmt: skip
        parser.add_argument("--dry-run", action="store_true", help="train and say how good it is, but keep no model")
        parser.add_argument("--list", action="store_true", help="train nothing: list the models and their quality")
        parser.add_argument(
            "--rollback", metavar="NAME", help="train nothing: use the models before those in use, for this failure"
        )
        parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
        add_log_flags(parser)

    def run(self, arguments: argparse.Namespace) -> int:
        """Train, or show."""
        from presagio.exporter.train_command import run

        return run(arguments)


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on, got {text!r}")
    return number


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""  # a container's user may have no name
