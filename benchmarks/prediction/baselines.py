"""What predictors must be better than: fitted on the raw values of the moment, without a word of their past."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from presagio.detectors.base import Floats
from presagio.forecasters.base import Examples, Inputs, Progress

Learned = Callable[[Inputs], Floats]
"""Returns the probability [m] of each moment."""

NOW = ", now"
_TREES = 100


def base_rate(examples: Examples, progress: Progress) -> Learned:
    """Say what share failed, always."""
    progress(1.0)
    rate = float(np.average(examples.failed, weights=examples.weights))
    return lambda inputs: np.full(len(inputs), rate)


def logistic_regression(examples: Examples, progress: Progress) -> Learned:
    """Fit scikit-learn's, with its defaults, on standardised raw values; what is missing is the median."""
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(max_iter=1000),
    )
    model.fit(raw(examples.inputs), examples.failed, logisticregression__sample_weight=examples.weights)
    progress(1.0)
    return lambda inputs: np.asarray(model.predict_proba(raw(inputs))[:, 1], dtype=np.float64)


def lightgbm_raw(examples: Examples, progress: Progress) -> Learned:
    """Fit LightGBM's, with its defaults, on raw values."""
    import lightgbm

    truth = examples.failed.astype(np.float64)
    data = lightgbm.Dataset(raw(examples.inputs), truth, weight=examples.weights, params={"verbosity": -1})
    how = {
        "objective": "binary", "verbosity": -1, "num_threads": 1, "seed": 0, "deterministic": True,
        "force_row_wise": True,
    }  # fmt: skip
    model = lightgbm.train(how, data, _TREES, callbacks=[lambda told: progress((told.iteration + 1) / _TREES)])
    return lambda inputs: np.asarray(model.predict(raw(inputs)), dtype=np.float64)


def raw(inputs: Inputs) -> Floats:
    """Return the columns that are values of the moment."""
    return inputs.features[:, [number for number, name in enumerate(inputs.names) if name.endswith(NOW)]]
