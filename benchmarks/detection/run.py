"""One set after the other, one method after the other."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from detection import bootstrap, calibration, data, measures, nab
from detection.data import Series
from detection.measures import LOW, THRESHOLD, Facts
from detection.methods import METHODS
from detection.results import Results
from detection.table import Row, table


class Bench:
    """Runs methods over sets, and says what comes out as soon as it does."""

    def __init__(self, results: Results, methods: Sequence[str], limit: int | None) -> None:
        self.results = results
        self.methods = methods
        self.limit = limit
        self.curves: dict[str, calibration.Curve] = {}

    def run(self, name: str, path: Path) -> None:
        """Measure all methods on one set."""
        series, costs = data.load(path, self.limit), nab.profiles(path.parent)
        print(f"{name}: {_described(series)}", flush=True)
        rows = [self._method(name, method, series, costs) for method in self.methods if METHODS[method].there()]
        for method in set(self.methods) - {row.method for row in rows}:
            print(f"{name} {method}: not installed here, skipped; make bench-detection installs it")
        if rows:
            print("\n" + table(name, rows), flush=True)
            self._draw(name)

    def _draw(self, name: str) -> None:
        path = self.results.out.with_suffix(f".calibration.{name}.png")
        curves, self.curves = self.curves, {}
        if importlib.util.find_spec("matplotlib"):
            calibration.draw(path, name, curves)
            print(f"{path}\n")

    def _method(self, name: str, method: str, series: Sequence[Series], costs: nab.Profiles) -> Row:
        chosen, note = METHODS[method], ""
        if chosen.sample:
            series = chosen.sample(series)
            note = f", on a sample: {_described(series)}"
        began = time.perf_counter()
        scores = chosen.run(series, lambda part: _progress(f"{name} {method}", part))
        seconds = time.perf_counter() - began
        known = [measures.facts(one, score, costs) for one, score in zip(series, scores, strict=True)]
        figures = {**measures.figures(known, costs), "seconds": seconds}
        self.curves[method] = calibration.curve(known)
        spread = bootstrap.intervals(known, lambda drawn: measures.figures(drawn, costs))
        self.results.add(name, method, figures, spread)
        print(f"\r{name} {method}: {seconds:.1f} s, F1 {figures['event_f1']:.3f}{note}", flush=True)
        return Row(method, figures, spread, _others(known, costs))


def _others(known: Sequence[Facts], costs: nab.Profiles) -> dict[str, float]:
    low = measures.events([one.at[LOW] for one in known])
    chosen, second = measures.trained(known)
    f1, score = measures.bound(known, costs)
    return {
        "F1 at 0.3": low["event_f1"],
        "false/day at 0.3": low["false_alarms_per_series_day"],
        "share of time alarmed": measures.share_alarmed(known),
        "on time: F1": measures.on_time_f1([one.at[THRESHOLD] for one in known]),
        "best of first half": chosen,
        "its F1 on second half": second,
        "upper bound of F1": f1,
        "upper bound of NAB": score,
    }


def _described(series: Sequence[Series]) -> str:
    days = sum(one.scored.sum() * one.interval for one in series) / data.DAY
    signals = sum(one.values.shape[1] for one in series)
    return f"{len(series)} series of {signals} signals, {days:.0f} days scored, after {_before(series)}"


def _before(series: Sequence[Series]) -> str:
    if any(one.windows is not None for one in series):
        return "a probation of 15 %, at most 750 samples, as NAB has it"
    if any(np.isnan(one.labels).any() for one in series):
        return "the unlabelled part"
    return "a probation of the first 15 % of each"


def _progress(what: str, part: float) -> None:
    if sys.stderr.isatty():
        print(f"\r{what}: {part:4.0%}", end="", file=sys.stderr, flush=True)
