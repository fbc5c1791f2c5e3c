"""`lstm`: a sequence model of the road to each moment (Hochreiter and Schmidhuber 1997), beside the features.

It needs PyTorch: pip install 'presagio[lstm]'. It runs on the CPU, with one thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from pydantic import Field

from presagio.forecasters.base import Examples, Floats, Floats32, Inputs, PredictorParams, Progress, State
from presagio.forecasters.calibration import Calibration, calibration, expit, surest
from presagio.forecasters.gradient_boosting import LATER, enough
from presagio.forecasters.splitting import border, split
from presagio.toolkit.errors import PluginError

if TYPE_CHECKING:
    from presagio.forecasters.lstm_network import Lessons, Network

_VALIDATED = 3
_PLAIN_EPOCHS = 10
_FAR = 5.0
"""Standard deviations beyond which a value is no further away."""

_NOW = ", now"


class LstmParams(PredictorParams):
    """How large the network is and how it learns."""

    hidden: int = Field(32, ge=1, description="units of the sequence layer, and of the layer for the features")
    epochs: int = Field(40, ge=1, description="most passes over the examples; fewer where later ones gain no more")
    learning_rate: float = Field(0.003, gt=0, description="step of the optimiser, which is Adam")
    dropout: float = Field(0.2, ge=0, lt=1, description="share of units left out at random while learning")


@dataclass(frozen=True)
class Scale:
    """Means and deviations, [2, f] of features and [2, k] of channels."""

    features: Floats
    channels: Floats

    def dense(self, inputs: Inputs) -> Floats32:
        """Return [m, 2f]: how many deviations each feature is off, and whether it is there."""
        return _scaled(inputs.features, self.features)

    def road(self, inputs: Inputs) -> Floats32:
        """Return [m, w, 2k], likewise."""
        return _scaled(inputs.recent.astype(np.float64), self.channels)


class Lstm:
    """A network fitted on the earlier examples, its epochs and calibration by the later ones, then one on all."""

    Params: ClassVar[type[LstmParams]] = LstmParams

    def __init__(self, params: LstmParams | None = None, seed: int = 0) -> None:
        self.params = params or LstmParams()
        self.seed = seed
        self.calibration = Calibration()
        self.network: Network | None = None
        self.scale = Scale(np.zeros((2, 0)), np.zeros((2, 0)))

    def fit(self, examples: Examples, progress: Progress) -> Self:
        """Learn. Raises TooFewFailuresError, and PluginError without PyTorch."""
        enough(examples, self.params.min_failures)
        torch = _torch()
        inputs = examples.inputs
        self.scale = Scale(_measured(inputs.features), _measured(inputs.recent))
        earlier, later = split(examples, 0.0, border(examples, LATER))
        epochs = _PLAIN_EPOCHS
        self.calibration = Calibration(highest=surest(examples.distinct))
        with torch.seeded(self.seed):
            if earlier.distinct and later.distinct >= _VALIDATED:
                self.network, most = self._new(), self.params.epochs
                of_both = self._lessons(earlier), self._lessons(later)
                rate = self.params.learning_rate
                epochs = torch.learnt(self.network, *of_both, most, rate, lambda share: progress(0.6 * share))
                said = expit(self._odds(later.inputs))
                self.calibration = calibration(said, later.failed, later.failures, later.weights)
            self.network = self._new()
            torch.learnt(
                self.network, self._lessons(examples), None, epochs, self.params.learning_rate,
                lambda share: progress(0.6 + 0.4 * share),
            )  # fmt: skip
        return self

    def predict(self, inputs: Inputs) -> Floats:
        """Return the calibrated probability of each moment [m]."""
        return self.calibration(expit(self._odds(inputs)))

    def explain(self, inputs: Inputs) -> Floats:
        """Return by how much each feature moved the log odds, [m, f]: gradient times distance from the mean.

        (Shrikumar, Greenside and Kundaje 2017.) The road of a channel counts for its feature `<channel>, now`.
        """
        torch, f, k = _torch(), len(inputs.names), len(inputs.channels)
        by_feature, by_channel = torch.moved(self._fitted(), self.scale.dense(inputs), self.scale.road(inputs))
        found: Floats = by_feature[:, :f] + by_feature[:, f:]
        for number, channel in enumerate(inputs.channels):
            if channel + _NOW in inputs.names and by_channel.shape[1]:
                found[:, inputs.names.index(channel + _NOW)] += by_channel[:, number] + by_channel[:, k + number]
        return found

    def state(self) -> State:
        """Return the weights of the network, the scale and the calibration."""
        weights = {f"network/{name}": one.detach().numpy() for name, one in self._fitted().state_dict().items()}
        scale = {"features": self.scale.features, "channels": self.scale.channels}
        return {**weights, **scale, **self.calibration.state()}

    def restore(self, state: State) -> None:
        """Take what `state` returned. Raises ValueError or KeyError if it is not that, and PluginError."""
        from torch import from_numpy

        self.calibration = Calibration.restored(state)
        self.scale = Scale(state["features"], state["channels"])
        network = self._new()
        begin = "network/"
        weights = {
            name.removeprefix(begin): from_numpy(np.array(one))
            for name, one in state.items()
            if name.startswith(begin)
        }
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise ValueError(f"the weights of a network of {self.params.hidden} units, got {error}") from error
        self.network = network.eval()

    def _new(self) -> Network:
        features, channels = self.scale.features.shape[1], self.scale.channels.shape[1]
        made: Network = _torch().Network(2 * features, 2 * channels, self.params.hidden, self.params.dropout)
        return made

    def _lessons(self, examples: Examples) -> Lessons:
        dense, road = self.scale.dense(examples.inputs), self.scale.road(examples.inputs)
        made: Lessons = _torch().Lessons(dense, road, examples.failed, examples.weights)
        return made

    def _odds(self, inputs: Inputs) -> Floats:
        found: Floats = _torch().odds(self._fitted(), self.scale.dense(inputs), self.scale.road(inputs))
        return found

    def _fitted(self) -> Network:
        if self.network is None:
            raise ValueError("lstm has learnt nothing yet; call fit or restore before")
        return self.network


def _torch() -> Any:
    """Return what needs PyTorch. Raises PluginError with the remedy where that is not installed."""
    try:
        from presagio.forecasters import lstm_network
    except ModuleNotFoundError as error:
        raise PluginError(f"predictor 'lstm' needs PyTorch: pip install 'presagio[lstm]' ({error})") from error
    return lstm_network


def _measured(values: Floats | Floats32) -> Floats:
    """Return mean and deviation over all but the last axis, [2, n]; where there is nothing, nothing is there."""
    if not values.size:
        return np.zeros((2, 0))
    flat = values.reshape(-1, values.shape[-1]).astype(np.float64)
    known = ~np.isnan(flat)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, flat, 0.0).sum(axis=0) / count
    deviation = np.sqrt(np.where(known, (flat - mean) ** 2, 0.0).sum(axis=0) / count)
    return np.stack([mean, np.where(deviation > 0, deviation, 1.0)])


def _scaled(values: Floats, scale: Floats) -> Floats32:
    """Return [..., 2n]: deviations from the mean, 0 for what is missing, and 1 for what is there."""
    if not scale.shape[1]:
        return np.zeros((*values.shape[:-1], 0), dtype=np.float32)
    there = ~np.isnan(values)
    off = np.clip((np.where(there, values, scale[0]) - scale[0]) / scale[1], -_FAR, _FAR)
    return np.concatenate([off, there], axis=-1).astype(np.float32)
