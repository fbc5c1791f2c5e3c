"""OUT: {set: {method: {measure: number}}}, written after each method: what is finished stays, whatever comes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path


class Results:
    """What was measured so far, of this run and of the ones before it into the same file."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.figures: dict[str, dict[str, dict[str, float | None]]] = (
            json.loads(out.read_text()) if out.exists() else {}
        )

    def add(self, name: str, method: str, figures: Mapping[str, float]) -> None:
        """Keep the figures of a method on a set, beside those it has already, and write all."""
        own = self.figures.setdefault(name, {}).setdefault(method, {})
        own.update({measure: _number(value) for measure, value in figures.items()})
        new = self.out.with_name(self.out.name + ".new")
        new.write_text(json.dumps(self.figures, indent=1, allow_nan=False) + "\n")
        new.replace(self.out)


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
