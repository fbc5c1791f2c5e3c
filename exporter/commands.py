"""The exporter's sub-commands. Loaded at `presagio --help`: everything heavy is imported when it runs."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from presagio.toolkit.cli import add_log_flags, add_server_flags

_CONFIG = "exporter.yml"


class ExporterCommand:
    """`presagio exporter`: read, score, publish."""

    help = "score the signals of services and publish the scores on /metrics"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the flags of a server."""
        add_server_flags(parser, config=_CONFIG, address=":8000", storage="data/exporter")

    def run(self, arguments: argparse.Namespace) -> int:
        """Serve until told to stop."""
        from presagio.exporter.server import ExporterWing
        from presagio.toolkit.serve import serve

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
        parser.add_argument("--json", action="store_true", help="print one JSON object a line instead of a table")
        add_log_flags(parser)

    def run(self, arguments: argparse.Namespace) -> int:
        """Print the alarms."""
        from presagio.exporter.backtest_report import report

        return report(arguments)
