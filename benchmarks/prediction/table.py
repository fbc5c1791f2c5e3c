"""The figures as people read them: a row for each method, a column for each measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_WIDE = 6
"""Measures side by side, at most."""


def table(title: str, figures: Mapping[str, Mapping[str, float | None]]) -> str:
    """Return the tables of a set: {method: {measure: number}}."""
    measures = list(dict.fromkeys(measure for row in figures.values() for measure in row))
    parts = [measures[begin : begin + _WIDE] for begin in range(0, len(measures), _WIDE)]
    return "\n".join(f"== {title}\n{_part(figures, part)}\n" for part in parts)


def _part(figures: Mapping[str, Mapping[str, float | None]], measures: Sequence[str]) -> str:
    lines = [["method", *measures]]
    lines += [[method, *(_number(row.get(measure)) for measure in measures)] for method, row in figures.items()]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if abs(value) < 1 else f"{value:.2f}"
