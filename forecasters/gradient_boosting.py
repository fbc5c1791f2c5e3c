"""`gradient_boosting`: one model of trees over all services of a failure (LightGBM: Ke et al. 2017)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from pydantic import Field

from presagio.forecasters.base import Examples, Floats, Inputs, PredictorParams, Progress, State, TooFewFailuresError
from presagio.forecasters.calibration import Calibration, calibration, surest
from presagio.forecasters.splitting import border, split

if TYPE_CHECKING:
    from lightgbm import Booster

LATER = 0.3
_VALIDATED = 3
"""Distinct failures in the later part from which on it tells when to stop."""

_FEWEST_LEAVES, _FAILURES_A_LEAF = 4, 8
"""Trees as large as the failures allow: thirty failures told apart by thirty leaves are learnt by heart."""

_PLAIN_ROUNDS = 100
_PATIENCE = 30


class GradientBoostingParams(PredictorParams):
    """How the trees are grown."""

    rounds: int = Field(
        400, ge=1, description="most trees; fewer where later examples are foretold no better by more"
    )
    learning_rate: float = Field(0.05, gt=0, le=1, description="how much each tree counts")
    num_leaves: int = Field(31, ge=2, description="most leaves of a tree; one for each eight failures, four at least")
    min_leaf: int = Field(50, ge=1, description="fewest moments in a leaf")
    feature_fraction: float = Field(0.5, gt=0, le=1, description="share of the features that each tree may use")


class GradientBoosting:
    """Trees on the earlier examples, their number and their calibration by the later ones, then trees on all."""

    Params: ClassVar[type[GradientBoostingParams]] = GradientBoostingParams

    def __init__(self, params: GradientBoostingParams | None = None, seed: int = 0) -> None:
        self.params = params or GradientBoostingParams()
        self.seed = seed
        self.calibration = Calibration()
        self.booster: Booster | None = None

    def fit(self, examples: Examples, progress: Progress) -> Self:
        """Learn. Raises TooFewFailuresError."""
        enough(examples, self.params.min_failures)
        earlier, later = split(examples, 0.0, border(examples, LATER))
        if earlier.distinct == 0 or later.distinct < _VALIDATED:
            # too few to tell apart what is later: all are learnt from, and nothing is adjusted but what is too sure
            self.calibration = Calibration(highest=surest(examples.distinct))
            self.booster = self._grown(examples, _PLAIN_ROUNDS, None, progress)
            return self
        first = self._grown(earlier, self.params.rounds, later, lambda share: progress(0.6 * share))
        said = _predicted(first, later.inputs)
        self.calibration = calibration(said, later.failed, later.failures, later.weights)
        # what is learnt from more examples bears as many more trees
        rounds = max(1, round((first.best_iteration or first.current_iteration()) / (1 - LATER)))
        self.booster = self._grown(examples, rounds, None, lambda share: progress(0.6 + 0.4 * share))
        progress(1.0)
        return self

    def predict(self, inputs: Inputs) -> Floats:
        """Return the calibrated probability of each moment [m]."""
        return self.calibration(_predicted(self._fitted(), inputs))

    def explain(self, inputs: Inputs) -> Floats:
        """Return by how much each feature moved the trees' log odds, [m, f] (TreeSHAP: Lundberg et al. 2020)."""
        if not len(inputs):
            return np.zeros(inputs.features.shape)
        found = np.asarray(self._fitted().predict(inputs.features, pred_contrib=True), dtype=np.float64)
        return found[:, :-1]

    def state(self) -> State:
        """Return the trees as LightGBM's own text, and the calibration."""
        text = self._fitted().model_to_string().encode()
        return {"trees": np.frombuffer(text, dtype=np.uint8), **self.calibration.state()}

    def restore(self, state: State) -> None:
        """Take what `state` returned. Raises ValueError or KeyError if it is not that."""
        from lightgbm import Booster
        from lightgbm.basic import LightGBMError

        self.calibration = Calibration.restored(state)
        try:
            self.booster = Booster(model_str=state["trees"].tobytes().decode())
        except (LightGBMError, UnicodeDecodeError) as error:
            raise ValueError(f"trees of LightGBM, got {error}") from error

    def _fitted(self) -> Booster:
        if self.booster is None:
            raise ValueError("gradient_boosting has learnt nothing yet; call fit or restore before")
        return self.booster

    def _grown(self, examples: Examples, rounds: int, later: Examples | None, progress: Progress) -> Booster:
        import lightgbm

        data = _dataset(examples)
        checked = [] if later is None else [_dataset(later, data)]
        calls: list[Any] = [lambda told: progress((told.iteration + 1) / rounds)]
        if later is not None:
            calls.append(lightgbm.early_stopping(_PATIENCE, verbose=False))
        return lightgbm.train(self._settings(examples.distinct), data, rounds, valid_sets=checked, callbacks=calls)

    def _settings(self, failures: int) -> dict[str, Any]:
        how = self.params
        leaves = min(how.num_leaves, max(_FEWEST_LEAVES, failures // _FAILURES_A_LEAF))
        return {
            "objective": "binary", "learning_rate": how.learning_rate, "num_leaves": leaves,
            "min_data_in_leaf": how.min_leaf, "feature_fraction": how.feature_fraction, "lambda_l2": 1.0,
            "max_cat_to_onehot": 8, "cat_smooth": 10.0, "seed": self.seed, "num_threads": 1, "deterministic": True,
            "force_row_wise": True, "verbosity": -1,
        }  # fmt: skip


def enough(examples: Examples, least: int) -> None:
    """Raise TooFewFailuresError if there are fewer failures, or nothing else, among the examples."""
    if examples.distinct < least:
        told = f"{examples.distinct} failures are known and {least} are needed to learn from"
        raise TooFewFailuresError(f"{told}; wait for more, or lengthen training.lookback")
    if examples.failed.all():
        raise TooFewFailuresError("all moments that are known were before a failure; lengthen training.lookback")


def _dataset(examples: Examples, like: Any = None) -> Any:
    from lightgbm import Dataset

    inputs = examples.inputs
    kinds = [inputs.names.index(name) for name in inputs.categories]
    return Dataset(
        inputs.features, examples.failed.astype(np.float64), weight=examples.weights, reference=like,
        categorical_feature=kinds, params={"verbosity": -1}, free_raw_data=True,
    )  # fmt: skip


def _predicted(booster: Booster, inputs: Inputs) -> Floats:
    if not len(inputs):
        return np.zeros(0)
    return np.asarray(booster.predict(inputs.features), dtype=np.float64)
