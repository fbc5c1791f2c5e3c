"""Pictures of what the score promises against what happens: one for each set, beside OUT."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from detection.measures import GRID, Facts

_LEAST_SEEN = 3
"""Of fewer samples no frequency is drawn."""

Curve = tuple[Sequence[float], Sequence[float]]


def curve(known: Sequence[Facts]) -> Curve:
    """Return the nominal chance of each score, and how often samples away from events reached it."""
    normal = sum(one.normal for one in known)
    seen = {at: sum(one.normal_above[at] for one in known) for at in GRID}
    drawn = [at for at in GRID if seen[at] >= _LEAST_SEEN]
    return [10 ** (-10 * at) for at in drawn], [seen[at] / normal for at in drawn]


def draw(path: Path, title: str, curves: Mapping[str, Curve]) -> None:
    """Write the picture of all methods of a set. Needs matplotlib."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.use("Agg")
    figure = Figure(figsize=(8, 6), layout="constrained")
    axes = figure.subplots()
    ends = [1e-10, 1.0]
    axes.plot(ends, ends, color="black", linewidth=1, label="as promised")
    axes.fill_between(ends, [end / 2 for end in ends], [end * 2 for end in ends], color="black", alpha=0.1)
    for method, (nominal, observed) in curves.items():
        wide = 2.5 if method == "presagio" else 1.0
        axes.plot(nominal, observed, label=method, linewidth=wide)
    axes.set(xscale="log", yscale="log", xlim=(1.0, 1e-10), ylim=(1e-7, 1.5), title=f"{title}: calibration")
    axes.set(xlabel="chance that the score promises", ylabel="share of samples away from events")
    axes.axvline(math.pow(10, -3), color="grey", linestyle=":")
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=100)
