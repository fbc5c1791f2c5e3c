"""Our trained predictors on a recorded set: they learn from its earlier part, by the product's own features."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from presagio.exporter.episodes import Episodes
from presagio.exporter.failure_config import Limit
from presagio.exporter.features import Featuriser
from presagio.exporter.learning import new_predictor
from presagio.exporter.panel import Channel, Panel
from presagio.exporter.training import examples, labelled

PREDICTORS = ("gradient_boosting", "combination")
WINDOWS = (10.0, 30.0, 90.0)
USED = Channel("used")
EVERY, SUSTAINED = 3, 3
ALARM = 0.5

_FIRST = 30


def alarms(
    values: pd.DataFrame, episodes: pd.DataFrame, limits: Mapping[str, float], horizon: float, name: str, border: int
) -> dict[str, npt.NDArray[np.int64]]:
    """Return for each service the seconds at which a predictor that learnt what is before `border` alarms."""
    panel = whole(values, limits)
    featuriser = Featuriser(
        (USED,), 1.0, WINDOWS, 0, Limit(signal="used", value=1.0), tuple(sorted(set(panel.kinds)))
    )
    known = failed(panel.times, episodes, border)
    moments = labelled(panel, known, horizon, 0.0)
    moments = moments.rows((moments.moments % EVERY == 0) & (moments.moments >= _FIRST))
    fitted = new_predictor(name, {}).fit(examples(panel, moments, featuriser, horizon), lambda _: None)
    looks = np.arange(border, len(values), EVERY)
    found = {}
    for row, service in enumerate(panel.services):
        inputs = featuriser.inputs(panel, np.full(len(looks), row), looks, horizon)
        held = fitted.predict(inputs) >= ALARM
        lasting = [at for at in range(SUSTAINED - 1, len(held)) if held[at + 1 - SUSTAINED : at + 1].all()]
        found[service] = looks[lasting]
    return found


def whole(values: pd.DataFrame, limits: Mapping[str, float]) -> Panel:
    """Return all services side by side, each in shares of its limit; what it is, is its kind."""
    services = tuple(map(str, values.columns))
    kinds = tuple(service.partition("-")[0] for service in services)
    shares = values.to_numpy(np.float64).T / np.array([limits[kind] for kind in kinds])[:, None]
    times = np.asarray(values.index, dtype=np.float64)
    return Panel(services, kinds, times, 1.0, (USED,), shares[:, :, None].astype(np.float32))


def failed(times: npt.NDArray[np.float64], episodes: pd.DataFrame, border: int) -> Episodes:
    """Return when services were at their limit before `border`: what came later is not known yet."""
    own = episodes[episodes["failed"].notna() & (episodes["failed"] < times[border])]
    begins, ends = own["failed"].to_numpy(np.float64), own["end"].to_numpy(np.float64)
    return Episodes(own["service"].astype(str).tolist(), begins, ends, float(times[0]), float(times[border]))
