"""`combination`: the predictors together, each by what it was worth on later examples (stacking: Wolpert 1992).

With too few failures to learn from, the forecast speaks alone; without a limit to forecast, that is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import ClassVar, Self

import numpy as np
from pydantic import Field

from presagio.forecasters.base import (
    Examples,
    FailurePredictor,
    Floats,
    Inputs,
    PredictorParams,
    Progress,
    State,
    TooFewFailuresError,
)
from presagio.forecasters.calibration import Calibration, calibration, expit, logistic, logit
from presagio.forecasters.crossing import COLUMN
from presagio.forecasters.gradient_boosting import LATER
from presagio.forecasters.splitting import border, split
from presagio.toolkit import plugins

FORECAST, LSTM = "forecast", "lstm"
_JOINT = "combination"
_VALIDATED = 3
_FOR_A_NETWORK = 50
"""Distinct failures from which on the sequence model takes part: with thirty it did more harm than good."""

_INSIDE = "/"


class CombinationParams(PredictorParams):
    """Which predictors take part."""

    members: tuple[str, ...] = Field(
        ("gradient_boosting", FORECAST, LSTM), min_length=1,
        description="predictors that take part, each with its defaults; lstm only where PyTorch is installed and "
        "there are 50 failures",
    )  # fmt: skip


class Combination:
    """Adds the members' log odds. `members`: those that were fitted; `used`: what it came down to."""

    Params: ClassVar[type[CombinationParams]] = CombinationParams

    def __init__(self, params: CombinationParams | None = None, seed: int = 0) -> None:
        self.params = params or CombinationParams()
        self.seed = seed
        self.members: Mapping[str, FailurePredictor] = {}
        self.weights: Floats = np.zeros(0)
        self.calibration = Calibration()

    @property
    def used(self) -> str:
        """What it came down to: the name of its one member, or combination."""
        return next(iter(self.members)) if len(self.members) == 1 else _JOINT

    def fit(self, examples: Examples, progress: Progress) -> Self:
        """Learn. Raises TooFewFailuresError if there is nothing that could speak."""
        names = self._able(examples)
        earlier, later = split(examples, 0.0, border(examples, LATER))
        self.weights = np.append(np.full(len(names), 1.0 / len(names)), 0.0)
        if len(names) > 1 and earlier.distinct >= self.params.min_failures and later.distinct >= _VALIDATED:
            found = self._fitted(names, earlier, lambda share: progress(0.5 * share))
            self._stack(found, later)
        self.members = self._fitted(names, examples, lambda share: progress(0.5 + 0.5 * share))
        progress(1.0)
        return self

    def predict(self, inputs: Inputs) -> Floats:
        """Return the calibrated probability of each moment [m]; of a member that says nothing the others stand in."""
        return self.calibration(self._said(self.members, inputs))

    def explain(self, inputs: Inputs) -> Floats:
        """Return by how much each feature moved the log odds, [m, f]: the members' own, by their weights."""
        parts = [
            weight * member.explain(inputs)
            for weight, member in zip(self.weights, self.members.values(), strict=False)
        ]
        return np.sum(parts, axis=0) if parts else np.zeros(inputs.features.shape)

    def state(self) -> State:
        """Return the members' states, each under its name, their weights and the calibration."""
        found = {
            f"{name}{_INSIDE}{key}": value for name, one in self.members.items() for key, value in one.state().items()
        }
        names = np.frombuffer(",".join(self.members).encode(), dtype=np.uint8)
        return {**found, "members": names, "weights": self.weights, **self.calibration.state()}

    def restore(self, state: State) -> None:
        """Take what `state` returned. Raises ValueError or KeyError if it is not that."""
        names = state["members"].tobytes().decode().split(",")
        weights = np.asarray(state["weights"], dtype=np.float64)
        if weights.shape != (len(names) + 1,):
            raise ValueError(f"a weight for each of {', '.join(names)}, got shape {weights.shape}")
        members = {}
        for name in names:
            members[name] = one = _made(name, self.params.min_failures, self.seed)
            begin = f"{name}{_INSIDE}"
            one.restore({key.removeprefix(begin): value for key, value in state.items() if key.startswith(begin)})
        self.members, self.weights, self.calibration = members, weights, Calibration.restored(state)

    def _able(self, examples: Examples) -> Sequence[str]:
        """Return the members that can be fitted on the evidence there is."""
        has_forecast = FORECAST in self.params.members and COLUMN in examples.inputs.names
        has_network = find_spec("torch") is not None and examples.distinct >= _FOR_A_NETWORK
        absent = {*([] if has_forecast else [FORECAST]), *([] if has_network else [LSTM])}
        if examples.distinct >= self.params.min_failures and not examples.failed.all():
            return [name for name in self.params.members if name not in absent]
        if has_forecast:
            return [FORECAST]
        told = f"{examples.distinct} failures are known and {self.params.min_failures} are needed to learn from"
        raise TooFewFailuresError(f"{told}; a limit would let the forecast speak without any")

    def _fitted(self, names: Sequence[str], examples: Examples, progress: Progress) -> dict[str, FailurePredictor]:
        found = {}
        for number, name in enumerate(names):
            made = _made(name, self.params.min_failures, self.seed)

            def tell(share: float, number: int = number) -> None:
                progress((number + share) / len(names))

            found[name] = made.fit(examples, tell)
        return found

    def _stack(self, members: Mapping[str, FailurePredictor], later: Examples) -> None:
        """Learn the weights of members that know only what is earlier, and what their sum is worth."""
        odds = _odds(members, later.inputs)
        known = np.flatnonzero(~np.isnan(odds).any(axis=1))
        odds, later = odds[known], later.rows(known)
        design = np.append(odds, np.ones((len(later), 1)), axis=1)
        mass = later.weights * later.distinct / later.weights[later.failed].sum()
        positive = tuple(range(len(members)))
        self.weights = logistic(design, later.failed, mass, self.weights, positive)
        said = expit(design @ self.weights)
        self.calibration = calibration(said, later.failed, later.failures, later.weights)

    def _said(self, members: Mapping[str, FailurePredictor], inputs: Inputs) -> Floats:
        return expit(_odds(members, inputs) @ self.weights[:-1] + self.weights[-1])


def _odds(members: Mapping[str, FailurePredictor], inputs: Inputs) -> Floats:
    """Return the log odds that each member gives, [m, members]; where one says nothing, the mean of the others.

    NaN where none says anything.
    """
    odds = np.stack([logit(member.predict(inputs)) for member in members.values()], axis=1)
    known = ~np.isnan(odds)
    count = known.sum(axis=1)
    mean = np.where(known, odds, 0.0).sum(axis=1) / np.where(count > 0, count, np.nan)
    return np.where(known, odds, mean[:, None])


def _made(name: str, min_failures: int, seed: int) -> FailurePredictor:
    kind = plugins.load(plugins.PREDICTORS, name)
    made: FailurePredictor = kind(kind.Params(min_failures=min_failures), seed)
    return made
