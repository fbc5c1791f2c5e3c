"""One battery over every registered failure predictor: to register one brings its tests."""

from __future__ import annotations

import numpy as np
import pytest

from presagio.forecasters.base import Examples, FailurePredictor, Inputs, TooFewFailuresError
from presagio.forecasters.crossing import COLUMN
from presagio.toolkit import plugins

NAMES = plugins.names(plugins.PREDICTORS)
FEATURES = ("level", "noise", "always missing", "constant", "kind", COLUMN)
STEPS = 12


def make(name: str) -> FailurePredictor:
    kind = plugins.load(plugins.PREDICTORS, name)
    made: FailurePredictor = kind(kind.Params(), 1)
    return made


def examples(services: int = 8, moments: int = 400, seed: int = 5) -> Examples:
    """Return leaks that end in failures each 50 moments or so, with what is seen of them, and noise."""
    rng = np.random.default_rng(seed)
    phase = rng.integers(0, 50, services)
    at = np.arange(moments)
    since = (at[None, :] + phase[:, None]) % 50
    level = since / 50 + rng.normal(0, 0.05, since.shape)
    failed = since >= 44
    which = (at[None, :] + phase[:, None]) // 50 + 1000 * np.arange(services)[:, None]
    crossing = np.clip((since - 30) / 25 + rng.normal(0, 0.1, since.shape), 0, 1)
    columns = [
        level, rng.normal(0, 1, since.shape), np.full(since.shape, np.nan), np.full(since.shape, 3.0),
        np.broadcast_to(np.arange(services)[:, None] % 2, since.shape), crossing,
    ]  # fmt: skip
    features = np.stack([column.astype(np.float64).T.reshape(-1) for column in columns], axis=1)
    features[::17, 0] = np.nan
    padded = np.concatenate([np.full((services, STEPS - 1), np.nan), level], axis=1)
    recent = np.lib.stride_tricks.sliding_window_view(padded, STEPS, axis=1)
    roads = recent.transpose(1, 0, 2).reshape(-1, STEPS, 1).astype(np.float32)
    inputs = Inputs(features, roads, FEATURES, ("level",), ("kind",))
    times = np.repeat(at * 300.0, services)
    flat = failed.T.reshape(-1)
    failures = np.where(flat, which.T.reshape(-1), -1)
    groups = np.tile(np.arange(services), moments)
    return Examples(inputs, flat, times, groups, failures, np.ones(len(flat)))


WHOLE = examples()
EARLIER, LATER = WHOLE.rows(WHOLE.times < 80_000), WHOLE.rows(WHOLE.times >= 80_000)
QUIET = WHOLE.rows(~WHOLE.failed)


def silent(_: float) -> None:
    """Show no progress."""


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def fitted(name: str) -> FailurePredictor:
    return make(name).fit(EARLIER, silent)


def test_the_issues_are_registered() -> None:
    assert {"combination", "forecast", "gradient_boosting"} <= set(NAMES)


def test_the_constructor_only_stores(name: str) -> None:
    kind = plugins.load(plugins.PREDICTORS, name)
    params = kind.Params()
    assert kind(params).params is params


def test_probabilities_are_probabilities_and_never_certain(fitted: FailurePredictor) -> None:
    said = fitted.predict(LATER.inputs)
    assert said.shape == (len(LATER),)
    assert said.min() > 0
    assert said.max() < 1


def test_what_fails_is_likelier_than_what_does_not(fitted: FailurePredictor) -> None:
    said = fitted.predict(LATER.inputs)
    assert said[LATER.failed].mean() > 3 * said[~LATER.failed].mean()


def test_it_is_calibrated_on_later_time(fitted: FailurePredictor) -> None:
    """As many failures as it said, and more certainty where it was more certain."""
    said = fitted.predict(LATER.inputs)
    assert said.sum() == pytest.approx(LATER.failed.sum(), rel=0.25)
    sure = said > 0.5
    assert LATER.failed[sure].mean() > 0.6


def test_it_knows_more_than_the_base_rate(fitted: FailurePredictor) -> None:
    said, base = fitted.predict(LATER.inputs), LATER.failed.mean()
    assert ((said - LATER.failed) ** 2).mean() < 0.8 * ((base - LATER.failed) ** 2).mean()


def test_what_was_learnt_comes_back_from_its_state(name: str, fitted: FailurePredictor) -> None:
    again = make(name)
    again.restore(fitted.state())
    np.testing.assert_array_equal(again.predict(LATER.inputs), fitted.predict(LATER.inputs))
    np.testing.assert_array_equal(again.explain(LATER.inputs.rows(np.arange(9))),
                                  fitted.explain(LATER.inputs.rows(np.arange(9))))  # fmt: skip


def test_its_state_is_arrays_that_need_no_pickle(fitted: FailurePredictor) -> None:
    assert {type(value) for value in fitted.state().values()} == {np.ndarray}
    assert all(value.dtype != object for value in fitted.state().values())


def test_a_state_of_something_else_is_refused(name: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        make(name).restore({"something": np.zeros(3)})


def test_it_is_deterministic_and_leaves_its_examples_alone(name: str, fitted: FailurePredictor) -> None:
    before = EARLIER.inputs.features.copy()
    again = make(name).fit(EARLIER, silent)
    np.testing.assert_array_equal(again.predict(LATER.inputs), fitted.predict(LATER.inputs))
    np.testing.assert_array_equal(EARLIER.inputs.features, before)


def test_reasons_have_a_number_for_each_feature_and_the_right_one_counts_most(fitted: FailurePredictor) -> None:
    moved = fitted.explain(LATER.inputs)
    assert moved.shape == LATER.inputs.features.shape
    assert np.isfinite(moved).all()
    assert FEATURES[int(np.abs(moved[LATER.failed]).mean(axis=0).argmax())] in ("level", COLUMN)


def test_one_moment_and_none_can_be_predicted(fitted: FailurePredictor) -> None:
    assert fitted.predict(LATER.inputs.rows(np.array([3]))).shape == (1,)
    nothing = LATER.inputs.rows(np.zeros(0, dtype=np.int64))
    assert fitted.predict(nothing).shape == (0,)
    assert fitted.explain(nothing).shape == (0, len(FEATURES))


def test_kinds_never_seen_are_predicted_too(fitted: FailurePredictor) -> None:
    inputs = LATER.inputs.rows(np.arange(50))
    inputs.features[:, FEATURES.index("kind")] = np.nan
    assert np.isfinite(fitted.predict(inputs)).all()


@pytest.mark.parametrize("few", [0, 1, 3])
def test_with_too_few_failures_it_says_so_or_lets_the_forecast_speak(name: str, few: int) -> None:
    """Never a model of three failures that looks like one of three hundred."""
    chosen = np.unique(EARLIER.failures[EARLIER.failed])[:few]
    known = EARLIER.rows(~EARLIER.failed | np.isin(EARLIER.failures, chosen))
    found = make(name)
    if hasattr(found, "used") or name == "forecast":
        found.fit(known, silent)
        assert getattr(found, "used", name) == "forecast"
        np.testing.assert_allclose(
            found.predict(LATER.inputs), np.clip(LATER.inputs.features[:, -1], 0.001, 0.99), atol=1e-6
        )
    else:
        with pytest.raises(TooFewFailuresError, match=f"^{few} failures are known and 8 are needed"):
            found.fit(known, silent)


def test_failures_that_all_came_at_once_make_nobody_surer_than_they_allow(name: str) -> None:
    """One outage of eight services cannot be told apart by time: what is said stays below (n + 1) / (n + 2)."""
    begun = EARLIER.times // 15_000 == 2
    known = EARLIER.rows(~EARLIER.failed | begun)
    assert known.distinct >= 8
    said = make(name).fit(known, silent).predict(LATER.inputs)
    assert said.max() <= (known.distinct + 1) / (known.distinct + 2)


def test_progress_rises_to_the_end(name: str) -> None:
    told: list[float] = []
    make(name).fit(EARLIER, told.append)
    assert told == sorted(told)
    assert 0 <= told[0] <= told[-1] == pytest.approx(1.0)


def test_it_can_be_interrupted(name: str) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(name).fit(EARLIER, interrupt)
