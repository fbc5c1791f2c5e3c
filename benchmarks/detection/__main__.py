"""Measure how well anomalies are found in labelled data; docs/benchmarks.md explains the figures.

make bench-detection DATA=../shared/data OUT=results.json [ARGS="--sets nab,asd --methods presagio,null --limit 4"]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from detection import data
from detection.methods import METHODS
from detection.results import Results
from detection.run import Bench

Found = tuple[str, Path | None]


def main() -> int:
    """Measure, print, and write OUT."""
    arguments = _arguments()
    bench = Bench(Results(arguments.out), arguments.methods, arguments.limit)
    try:
        for name, path in _chosen(list(data.found(arguments.data)), arguments.sets):
            if path is None:
                print(f"{name}: not in {arguments.data}, skipped", flush=True)
            else:
                bench.run(name, path)
    except KeyboardInterrupt:
        print(f"\ninterrupted; what was finished is in {arguments.out}", file=sys.stderr)
        return 130
    except (FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _chosen(there: Sequence[Found], sets: Sequence[str] | None) -> Sequence[Found]:
    names = [name for name, _ in there]
    for name in sets or ():
        if name not in names:
            raise ValueError(f"expected sets of {', '.join(names)}, got {name!r}")
    return [(name, path) for name, path in there if not sets or name in sets]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench-detection", description="measure how well anomalies are found")
    parser.add_argument("--data", type=Path, required=True, help="folder of data sets, one folder each")
    parser.add_argument(
        "--out", type=Path, default=Path("results.json"), help="JSON: {set: {method: {measure: number}}}"
    )
    parser.add_argument("--sets", type=_names, help="only these sets, separated by commas")
    parser.add_argument(
        "--methods", type=_methods, default=list(METHODS), help=f"of {', '.join(METHODS)}; default: all"
    )
    parser.add_argument("--limit", type=int, help="only so many series of each set")
    return parser.parse_args()


def _names(text: str) -> Sequence[str]:
    return [name.strip() for name in text.split(",")]


def _methods(text: str) -> Sequence[str]:
    for name in (names := _names(text)):
        if name not in METHODS:
            raise argparse.ArgumentTypeError(f"expected methods of {', '.join(METHODS)}, got {name!r}")
    return names


if __name__ == "__main__":
    sys.exit(main())
