"""Measure how well failures are predicted and signals forecast; docs/benchmarks.md explains the figures.

make bench-prediction TRAIN=../shared/data DATA=../shared/data OUT=results.json [ARGS="--sets cmapss --methods lstm"]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from prediction import forecasts
from prediction.forecast_data import SETS as FORECAST_SETS
from prediction.results import Results
from prediction.sets import ALL, SETS
from prediction.table import table

NAMES = (*SETS, *FORECAST_SETS)
METHODS = tuple(dict.fromkeys((*ALL, *forecasts.METHODS)))


def main() -> int:
    """Measure, print, and write OUT."""
    arguments = _arguments()
    results = Results(arguments.out)
    try:
        for name in arguments.sets:
            if (arguments.data / name).is_dir():
                _measured(name, arguments, results)
                print("\n" + table(name, results.figures.get(name, {})), flush=True)
            else:
                print(f"{name}: not in {arguments.data}, skipped", flush=True)
    except KeyboardInterrupt:
        print(f"\ninterrupted; what was finished is in {arguments.out}", file=sys.stderr)
        return 130
    except (FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _measured(name: str, arguments: argparse.Namespace, results: Results) -> None:
    """Measure the methods that are of this set, one after the other."""
    if name in SETS:
        methods = [method for method in arguments.methods if method in ALL]
        for method, figures in SETS[name](arguments.train, arguments.data, methods, _progress):
            print(
                f"\r{name} {method}: " + ", ".join(f"{key} {value:.3g}" for key, value in figures.items()), flush=True
            )
            results.add(name, method, figures)
        return
    same = arguments.train.resolve() == arguments.data.resolve()
    folders = [arguments.data] if same or not (arguments.train / name).is_dir() else [arguments.train, arguments.data]
    for method in arguments.methods:
        if method in forecasts.METHODS:
            for one, figures in forecasts.measure(name, folders, [method], _say).items():
                results.add(name, one, figures)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench-prediction", description="measure how well failures are predicted")
    parser.add_argument("--train", type=Path, help="folder of the sets that are learnt from; default: DATA, split")
    parser.add_argument("--data", type=Path, required=True, help="folder of the sets that are scored, a folder each")
    parser.add_argument(
        "--out", type=Path, default=Path("results.json"), help="JSON: {set: {method: {measure: number}}}, added to"
    )
    parser.add_argument("--sets", type=_of(NAMES), default=list(NAMES), help=f"of {', '.join(NAMES)}; default: all")
    parser.add_argument(
        "--methods", type=_of(METHODS), default=list(METHODS), help=f"of {', '.join(METHODS)}; default: all"
    )
    found = parser.parse_args()
    found.train = found.train or found.data
    return found


def _of(known: Sequence[str]) -> Callable[[str], list[str]]:
    """Return what reads names separated by commas, each one of those that there are."""

    def read(text: str) -> list[str]:
        names = [name.strip() for name in text.split(",")]
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"expected names of {', '.join(known)}, got {name!r}")
        return names

    return read


def _progress(part: float) -> None:
    if sys.stderr.isatty():
        print(f"\r{part:4.0%}", end="", file=sys.stderr, flush=True)


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
