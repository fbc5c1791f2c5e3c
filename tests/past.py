"""History for the exporter: every kind of trouble that a series can be in; and what was made of it."""

import math
from collections.abc import Iterable, Iterator

import numpy as np

from presagio.exporter.engine import Scores

INTERVAL = 15.0
SAMPLES = 800
BEGIN = 1_700_000_010.0
END = BEGIN + (SAMPLES - 1) * INTERVAL

Points = list[tuple[float, float]]


def times(first: int = 0, last: int = SAMPLES) -> list[float]:
    return [BEGIN + step * INTERVAL for step in range(first, last)]


def series(values: Iterable[float], first: int = 0) -> Points:
    return [(BEGIN + (first + step) * INTERVAL, float(value)) for step, value in enumerate(values)]


def history() -> dict[str, Points]:
    """Every kind of trouble that a series can be in, and an `up` that says Prometheus was there."""
    rng = np.random.default_rng(0)
    noise = rng.normal(100, 5, (8, SAMPLES))
    outage = noise[1].copy()
    outage[600:] = 0.0
    spiky = noise[2].copy()
    spiky[500:520] *= 3
    holed = [point for step, point in enumerate(series(noise[3])) if not 300 <= step < 360]
    strange = noise[6].copy()
    strange[100:110], strange[200:205] = math.nan, math.inf
    counter = np.cumsum(rng.poisson(30, SAMPLES)).astype(float)
    counter[400:] -= counter[400]
    return {
        'up{job="a"}': series([1.0] * SAMPLES),
        'load{service_id="steady"}': series(noise[0]),
        'load{service_id="outage"}': series(outage),
        'load{service_id="spiky"}': series(spiky),
        'load{service_id="holed"}': holed,
        'load{service_id="vanished"}': series(noise[4][:600]),
        'load{service_id="late"}': series(noise[5][:500], first=300),
        'load{service_id="strange"}': series(strange),
        'requests_total{service_id="counted"}': series(counter),
        'pods{service_id="rolled",pod="one"}': series(noise[7][:450]),
        'pods{service_id="rolled",pod="two"}': series(noise[7][440:], first=440),
    }


Found = dict[tuple[float, object], tuple[float, ...]]


def collect(results: Iterator[Scores | None], into: Found) -> None:
    """Take down all numbers of all rows that have a score."""
    for scores in results:
        if scores is None:
            continue
        arrays = (scores.value, scores.score, scores.expected, scores.lower, scores.upper, scores.confidence)
        for row, key in enumerate(scores.keys):
            if not math.isnan(scores.score[row]):
                into[scores.time, key] = tuple(float(array[row]).hex() for array in arrays)  # type: ignore[misc]
