"""Predictions at one moment: who is left out, what rises with the horizon, how sure one may be, and their page."""

from dataclasses import replace

import numpy as np
import pytest

from presagio.exporter.drift import reference
from presagio.exporter.failure_config import Limit
from presagio.exporter.features import Featuriser
from presagio.exporter.panel import Channel, Panel
from presagio.exporter.prediction import InUse, Predictions, confidence, drift, predictions
from presagio.exporter.publish_predictions import text
from presagio.forecasters.base import Floats, Inputs
from presagio.forecasters.crossing import Crossing

HOUR, STEP = 3600.0, 300.0
MEMORY = Channel("memory", unit="ratio")
LIMIT = Limit(signal="memory", value=1.0)
RNG = np.random.default_rng(1)


def panel() -> Panel:
    """Return a day of five services: a leak near its limit, a flat one, one that has failed, one gone, one new."""
    t = 288
    values = np.full((5, t, 1), np.nan, dtype=np.float32)
    values[0, :, 0] = np.linspace(0.1, 0.985, t)
    values[1, :, 0] = 0.3 + RNG.normal(0, 0.01, t)
    values[2, :, 0] = 1.0
    values[3, :-10, 0] = 0.5
    values[4, -30:, 0] = np.linspace(0.1, 0.3, 30)
    times = 1_700_000_100.0 + STEP * np.arange(t, dtype=np.float64)
    return Panel(("leak", "flat", "failed", "gone", "new"), ("web",) * 5, times, STEP, (MEMORY,), values)


def featuriser() -> Featuriser:
    return Featuriser((MEMORY,), STEP, (HOUR, 24 * HOUR), 0, LIMIT, ("web",))


def in_use(horizon: float, predictor: Crossing | None = None) -> InUse:
    return InUse("forecast", horizon, predictor or Crossing(), featuriser())


def found(*models: InUse, failing: tuple[str, ...] = ("failed",)) -> Predictions:
    return predictions("oom", panel(), set(failing), models, [np.nan] * len(models), 0.5)


def test_what_has_failed_or_is_gone_is_left_out() -> None:
    assert found(in_use(HOUR)).services == ("leak", "flat", "new")


def test_the_leak_is_likely_and_has_reasons_and_the_flat_one_neither() -> None:
    one = found(in_use(HOUR))
    assert one.probability[0, 0] > 0.9
    assert one.probability[1, 0] < 0.01
    assert list(one.reasons) == [(0, 0)]
    assert one.reasons[0, 0][0].text.startswith("the forecast gives memory a chance of")


class Fixed(Crossing):
    """Says the same of all."""

    def __init__(self, said: float) -> None:
        super().__init__()
        self.said = said

    def predict(self, inputs: Inputs) -> Floats:
        return np.full(len(inputs), self.said)


def test_a_longer_horizon_is_never_less_likely() -> None:
    one = found(in_use(HOUR, Fixed(0.4)), in_use(2 * HOUR, Fixed(0.2)), in_use(3 * HOUR, Fixed(0.6)))
    assert one.probability[0].tolist() == [0.4, 0.4, 0.6]


def test_what_says_nothing_takes_nothing_from_the_others() -> None:
    one = found(in_use(HOUR, Fixed(0.4)), in_use(2 * HOUR, Fixed(np.nan)), in_use(3 * HOUR, Fixed(0.6)))
    np.testing.assert_array_equal(one.probability[0], [0.4, np.nan, 0.6])
    np.testing.assert_array_equal(np.isnan(one.confidence), np.isnan(one.probability))


def test_a_forecast_that_was_never_tried_is_half_sure_at_most_and_less_of_a_new_service() -> None:
    one = found(in_use(HOUR))
    leak, _, new = one.confidence[:, 0].tolist()
    assert leak == pytest.approx(0.5)
    assert new == pytest.approx(0.5 * 30 / 288)


def model(failures: int) -> InUse:
    past = featuriser().inputs(panel(), np.repeat([0, 1], 100), np.tile(np.arange(150, 250), 2), HOUR)
    known = reference(past.features, np.ones(len(past.names)))
    return replace(in_use(HOUR), name="gradient_boosting", failures=failures, reference=known)


@pytest.mark.parametrize(("failures", "expected"), [(8, 0.5), (24, 0.75), (72, 0.9)])
def test_a_model_is_as_sure_as_it_has_seen_failures(failures: int, expected: float) -> None:
    inputs = featuriser().inputs(panel(), np.array([1]), np.array([287]), HOUR)
    inputs.features[np.isnan(inputs.features)] = 0.0
    assert confidence(model(failures), inputs, 0.0)[0] == pytest.approx(expected)


def test_drift_takes_from_it() -> None:
    inputs = featuriser().inputs(panel(), np.array([1]), np.array([287]), HOUR)
    sure = [float(confidence(model(24), inputs, index)[0]) for index in (np.nan, 0.05, 0.35, 2.0)]
    assert sure[0] == sure[1] > sure[2] > sure[3]
    assert sure[2] == pytest.approx(sure[0] / 2)


def test_inputs_like_those_of_training_have_not_drifted_and_others_have() -> None:
    flat = panel()
    values = 0.3 + RNG.normal(0, 0.01, (6, 900, 1)).astype(np.float32)
    times = 1_700_000_100.0 + STEP * np.arange(900, dtype=np.float64)
    whole = Panel(tuple("abcdef"), ("web",) * 6, times, STEP, (MEMORY,), values)
    made = Featuriser((MEMORY,), STEP, (HOUR,), 0, None, ("web",))
    past = made.inputs(whole, np.repeat(np.arange(6), 500), np.tile(np.arange(300, 800), 6), HOUR)
    counts = np.array([not name.startswith("time of") for name in past.names], dtype=np.float64)
    one = InUse("gradient_boosting", HOUR, Crossing(), made, 9, reference(past.features, counts))
    moved = replace(whole, values=whole.values + np.float32(0.2))
    assert drift(one, whole, np.random.default_rng(0)) < 0.25 < drift(one, moved, np.random.default_rng(0))
    assert np.isnan(drift(in_use(HOUR), flat, np.random.default_rng(0)))


def test_the_page_of_them() -> None:
    one = Predictions(
        "oom", 1.0, ("shop/a", 'b"c'), (3600.0, 21_600.0), ("m", "m"),
        np.array([[0.25, 0.5], [np.nan, 1.0]]), np.array([[0.5, 0.5], [np.nan, 0.75]]), {},
    )  # fmt: skip
    lines = [line for line in text([one]).splitlines() if not line.startswith("#")]
    assert lines == [
        'presagio_failure_probability{service_id="shop/a",failure="oom",horizon="1h"} 0.25',
        'presagio_failure_probability{service_id="shop/a",failure="oom",horizon="6h"} 0.5',
        'presagio_failure_probability{service_id="b\\"c",failure="oom",horizon="6h"} 1.0',
        'presagio_failure_probability_confidence{service_id="shop/a",failure="oom",horizon="1h"} 0.5',
        'presagio_failure_probability_confidence{service_id="shop/a",failure="oom",horizon="6h"} 0.5',
        'presagio_failure_probability_confidence{service_id="b\\"c",failure="oom",horizon="6h"} 0.75',
    ]
    assert text([]) == ""


def test_without_services_there_is_nothing_and_no_error() -> None:
    empty = replace(panel(), services=(), kinds=(), values=np.zeros((0, 288, 1), dtype=np.float32))
    one = predictions("oom", empty, set(), [in_use(HOUR)], [np.nan], 0.5)
    assert (one.services, one.probability.shape) == ((), (0, 1))
