"""Every method by its name, ours and those that it is compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from detection import baselines, learned, prophet_sample, stream
from detection.baselines import each
from detection.data import Series
from detection.stream import Progress
from presagio.detectors.base import Floats


@dataclass(frozen=True)
class Method:
    """How all series of a set are scored, from left to right: score[t] of each, 0..1, NaN for none.

    sample: which series, for a method that cannot have all. there: whether it can run here.
    """

    run: Callable[[Sequence[Series], Progress], list[Floats]]
    sample: Callable[[Sequence[Series]], Sequence[Series]] | None = None
    there: Callable[[], bool] = lambda: True


def _dropped(series: Sequence[Series], progress: Progress) -> list[Floats]:
    return stream.presagio(stream.dropped(series), progress)


def _restarted(series: Sequence[Series], progress: Progress) -> list[Floats]:
    return stream.presagio(series, progress, restart=True)


METHODS: Mapping[str, Method] = {
    "presagio": Method(stream.presagio),
    "presagio_dropped": Method(_dropped),
    "presagio_restarted": Method(_restarted),
    "random": Method(each(baselines.random)),
    "null": Method(each(baselines.null)),
    "ewma_zscore": Method(each(baselines.ewma_zscore)),
    "seasonal_median": Method(each(baselines.seasonal_median)),
    "one_step_difference": Method(each(baselines.one_step_difference)),
    "windowed_gaussian": Method(each(baselines.windowed_gaussian)),
    "promql_band": Method(each(baselines.promql_band)),
    "isolation_forest": Method(each(learned.isolation_forest)),
    "kmeans_votes": Method(each(learned.kmeans_votes)),
    "prophet": Method(prophet_sample.prophet, prophet_sample.sample, prophet_sample.has_prophet),
}
