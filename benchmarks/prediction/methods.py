"""Every predictor by its name: ours, as they are registered, and those that they are compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from prediction import baselines
from prediction.baselines import Learned
from presagio.forecasters.base import Examples, Progress
from presagio.toolkit import plugins

Method = Callable[[Examples, Progress], Learned]
"""Learns from examples. Raises TooFewFailuresError."""

OURS = ("gradient_boosting", "lstm", "combination")


def presagio(name: str, examples: Examples, progress: Progress) -> Learned:
    """Fit one of our predictors, with its defaults."""
    kind = plugins.load(plugins.PREDICTORS, name)
    fitted: Learned = kind(kind.Params(), 0).fit(examples, progress).predict
    return fitted


METHODS: Mapping[str, Method] = {
    "base_rate": baselines.base_rate,
    "logistic_regression": baselines.logistic_regression,
    "lightgbm_raw": baselines.lightgbm_raw,
    **{name: partial(presagio, name) for name in OURS},
}
"""Those that can be learnt on any set; sets add rules of their own."""


def there(name: str) -> bool:
    """Return whether a method can run here: a predictor may not be installed."""
    return name not in OURS or name in plugins.names(plugins.PREDICTORS)
