"""OUT: {set: {method: {measure: number}}}, written after each method: an interruption costs one of them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from detection.bootstrap import Interval
from detection.measures import MEASURES


class Results:
    """What was measured so far. Intervals stand beside OUT, in a file of their own."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.figures: dict[str, dict[str, dict[str, float | None]]] = {}
        self.intervals: dict[str, dict[str, dict[str, list[float | None]]]] = {}

    def add(self, name: str, method: str, figures: Mapping[str, float], spread: Mapping[str, Interval]) -> None:
        """Keep the figures of a method on a set, and write all."""
        self.figures.setdefault(name, {})[method] = {measure: _number(figures[measure]) for measure in MEASURES}
        pairs = {measure: [_number(low), _number(high)] for measure, (low, high) in spread.items()}
        self.intervals.setdefault(name, {})[method] = pairs
        _write(self.out, self.figures)
        _write(self.out.with_suffix(".intervals.json"), self.intervals)


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _write(path: Path, content: Any) -> None:
    new = path.with_name(path.name + ".new")
    new.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
    new.replace(path)
