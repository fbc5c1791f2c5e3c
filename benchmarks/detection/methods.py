"""Every method by its name, ours and those that it is compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from detection import baselines, stream
from detection.data import Series
from detection.stream import Progress
from presagio.detectors.base import Floats

Method = Callable[[Sequence[Series], Progress], list[Floats]]
"""Scores all series of a set, from left to right: score[t] of each, 0..1 on the calibrated scale, NaN for none."""

METHODS: Mapping[str, Method] = {
    "presagio": stream.presagio,
    "presagio_dropped": lambda series, progress: stream.presagio(stream.dropped(series), progress),
    "presagio_restarted": lambda series, progress: stream.presagio(series, progress, restart=True),
    "random": baselines.each(baselines.random),
    "null": baselines.each(baselines.null),
    "one_step_difference": baselines.each(baselines.one_step_difference),
    "windowed_gaussian": baselines.each(baselines.windowed_gaussian),
    "promql_band": baselines.each(baselines.promql_band),
}
