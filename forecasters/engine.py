"""Where models are at work: in this process, or on the workers of a Dask cluster that is there already.

statsforecast's own way to a cluster (Fugue) takes each sample as a row of a data frame and each series by itself, and
knows only its own models. So whole batches of rows are mapped instead: every forecaster goes that way, a vectorised
one stays vectorised, and since rows know nothing of each other, the numbers are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from presagio.forecasters.base import Examples, FailurePredictor, Floats, Forecast, State
from presagio.toolkit import plugins
from presagio.toolkit.errors import PresagioError

LOCAL = "local"
_DASK = "dask://"
_ROWS = 64
"""Series sent to a worker at once: enough to be worth the way, few enough to spread evenly."""

_PATIENCE = "10s"


class EngineError(PresagioError):
    """The cluster cannot be reached, or what it is to be reached by is not installed."""


@dataclass(frozen=True)
class Model:
    """A forecaster by its name among the plug-ins, and its parameters: both sides know what is meant."""

    name: str
    params: Mapping[str, Any]

    def forecast(self, history: Floats, step: float, horizons: Sequence[float]) -> Forecast:
        """Return the forecast of history[n, t], made here."""
        kind = plugins.load(plugins.FORECASTERS, self.name)
        made: Forecast = kind(kind.Params.model_validate(dict(self.params))).forecast(history, step, horizons)
        return made


def forecast(engine: str, model: Model, history: Floats, step: float, horizons: Sequence[float]) -> Forecast:
    """Return the forecast of history[n, t], made where `engine` says: local, or dask://host:port.

    Raises EngineError, PluginError, and what the forecaster raises, wherever it runs.
    """
    if engine == LOCAL or not len(history):
        return model.forecast(history, step, horizons)
    if not engine.startswith(_DASK):
        raise EngineError(f"no engine {engine!r}; there are {LOCAL!r} and {_DASK + 'host:port'!r}")
    return _distributed(engine.removeprefix(_DASK), model, history, step, horizons)


def fit(engine: str, predictor: str, params: Mapping[str, Any], seed: int, examples: Examples) -> State:
    """Return the state of a failure predictor that was fitted where `engine` says.

    A model is sent whole to one worker: LightGBM's own way to a cluster shares out the rows, but it cannot stop
    early, and its numbers are not those of one machine. Raises EngineError, PluginError and TooFewFailuresError.
    """
    if engine == LOCAL:
        return _fitted(predictor, params, seed, examples)
    with _client(engine.removeprefix(_DASK)) as client:
        there = client.scatter(examples, hash=False)
        state: State = client.submit(_fitted, predictor, dict(params), seed, there, pure=False).result()
    return state


def _fitted(predictor: str, params: Mapping[str, Any], seed: int, examples: Examples) -> State:
    kind = plugins.load(plugins.PREDICTORS, predictor)
    made: FailurePredictor = kind(kind.Params.model_validate(dict(params)), seed)
    return made.fit(examples, lambda _: None).state()


def _distributed(address: str, model: Model, history: Floats, step: float, horizons: Sequence[float]) -> Forecast:
    batches = [history[at : at + _ROWS] for at in range(0, len(history), _ROWS)]
    with _client(address) as client:
        # not pure: that a history came twice is no reason for the cluster to keep it
        futures = client.map(model.forecast, batches, step=step, horizons=tuple(horizons), pure=False)
        parts: list[Forecast] = client.gather(futures)
    mean = np.concatenate([part.mean for part in parts])
    return Forecast(mean, np.concatenate([part.quantiles for part in parts]), parts[0].levels)


def _client(address: str) -> Any:
    try:
        from dask import distributed
    except ImportError as error:
        raise EngineError(f"engine {_DASK + address!r} needs an extra: pip install presagio[distributed]") from error
    connect: Any = distributed.Client  # it has no types of its own
    try:
        return connect(f"tcp://{address}", timeout=_PATIENCE, set_as_default=False)
    except OSError as error:
        raise EngineError(f"no Dask scheduler at {address!r} ({error}); start one, or set engine: local") from error
