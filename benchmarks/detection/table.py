"""The figures as people read them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from detection.bootstrap import Interval

COLUMNS = {
    "event_f1": "F1", "event_precision": "precision", "event_recall": "recall",
    "false_alarms_per_series_day": "false/day", "delay_seconds": "delay s", "vus_pr": "VUS-PR", "auc_pr": "AUC-PR",
    "nab_standard": "NAB", "nab_low_fp": "NAB low FP", "nab_low_fn": "NAB low FN",
    "calibration_ratio_at_0_3": "calibration",
}  # fmt: skip
"""The measures of the first table, each with its interval."""


@dataclass(frozen=True)
class Row:
    """One method on one set. `others`: figures at other thresholds, which OUT does not hold."""

    method: str
    figures: Mapping[str, float]
    intervals: Mapping[str, Interval]
    others: Mapping[str, float]


def table(title: str, rows: Sequence[Row]) -> str:
    """Return the tables of a set: at 0.6 with 95 % intervals, and beside it other thresholds."""
    shown = {name: head for name, head in COLUMNS.items() if any(_there(row.figures[name]) for row in rows)}
    first = [["method", *shown.values(), "seconds"]]
    first += [
        [row.method, *(_with_interval(row, name) for name in shown), _number(row.figures["seconds"])] for row in rows
    ]
    other = [["method", *rows[0].others]]
    other += [[row.method, *(_number(value) for value in row.others.values())] for row in rows]
    return "\n".join(
        [
            f"== {title}: threshold 0.6 [95 % interval]",
            *_aligned(first),
            "",
            f"== {title}: other thresholds; the bounds choose them on the labels, which nobody can",
            *_aligned(other),
            "",
        ]
    )


def _with_interval(row: Row, name: str) -> str:
    low, high = row.intervals.get(name, (math.nan, math.nan))
    around = f" [{_number(low)}, {_number(high)}]" if _there(low) else ""
    return _number(row.figures[name]) + around


def _there(value: float) -> bool:
    return not math.isnan(value)


def _number(value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}" if abs(value) < 1000 else f"{value:.0f}"


def _aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
