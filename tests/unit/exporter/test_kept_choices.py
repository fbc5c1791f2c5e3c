"""When it is chosen which model is best, and for whom."""

from collections.abc import Sequence

import numpy as np
import pytest

from presagio.detectors.base import Floats
from presagio.exporter.kept_choices import KeptChoices
from presagio.forecasters.base import Forecast
from presagio.forecasters.rolling import Choice

STEP, HORIZONS, EVERY = 60.0, (60.0,), 3600.0


class Chooser:
    """Chooses for a series what its last value is, and forecasts what was chosen."""

    def __init__(self) -> None:
        self.chosen: list[list[float]] = []

    def choose(self, history: Floats, step_seconds: float, horizons: Sequence[float]) -> Choice:
        last = history[:, -1]
        self.chosen.append(last.tolist())
        return Choice(("one",), last[:, None, None], np.zeros((len(last), 1, 1)))

    def forecast(
        self, history: Floats, step_seconds: float, horizons: Sequence[float], choice: Choice | None = None
    ) -> Forecast:
        assert choice is not None
        mean = choice.weights[:, :, 0]
        return Forecast(mean, mean[..., None], (0.5,))


class House:
    def __init__(self) -> None:
        self.kept = KeptChoices()
        self.chooser = Chooser()

    def forecast(self, time: float, samples: int = 100, **last: float) -> list[float]:
        history = np.full((len(last), 100), np.nan)
        history[:, -samples:] = np.array(list(last.values()))[:, None]
        made = self.kept.forecast(self.chooser, list(last), history, STEP, HORIZONS, time, EVERY)
        return [float(one) for one in made.mean[:, 0]]


@pytest.fixture
def house() -> House:
    return House()


def test_a_choice_is_kept_until_it_is_too_old(house: House) -> None:
    assert house.forecast(0.0, a=1, b=2) == [1, 2]
    assert house.forecast(EVERY - 1, a=3, b=4) == [1, 2]
    assert house.forecast(EVERY, a=5, b=6) == [5, 6]
    assert house.chooser.chosen == [[1, 2], [5, 6]]


def test_only_for_who_is_new_it_is_chosen_and_each_keeps_its_own_in_any_order(house: House) -> None:
    house.forecast(0.0, a=1, b=2)
    assert house.forecast(60.0, b=8, c=3, a=9) == [2, 3, 1]
    assert house.chooser.chosen == [[1, 2], [3]]


def test_a_young_series_is_chosen_for_again_when_it_is_twice_as_old(house: House) -> None:
    house.forecast(0.0, samples=5, a=1)
    assert house.forecast(4 * STEP, samples=9, a=2) == [1]
    assert house.forecast(5 * STEP, samples=10, a=3) == [3]
    assert house.forecast(14 * STEP, samples=19, a=4) == [3]
    assert house.forecast(15 * STEP, samples=20, a=5) == [5]


def test_who_was_not_forecast_for_long_is_forgotten(house: House) -> None:
    house.forecast(0.0, a=1, b=2)
    house.forecast(2 * EVERY, b=3)
    assert set(house.kept._kept) == {"b"}
