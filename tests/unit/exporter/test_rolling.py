"""Statistics over windows against numpy's own on each window."""

from collections.abc import Callable

import numpy as np
import pytest

from presagio.detectors.base import Floats
from presagio.exporter.rolling import Rolling, age, before

RNG = np.random.default_rng(3)
VALUES = RNG.normal(1e6, 2, (3, 40))
VALUES[0, 5:9] = np.nan
VALUES[1, :12] = np.nan
VALUES[2] = np.nan


PLAIN: dict[str, Callable[[Floats], float]] = {
    "mean": np.mean, "deviation": np.std, "highest": np.max, "lowest": np.min,
}  # fmt: skip


def slow(window: int, statistic: str) -> Floats:
    found = np.full(VALUES.shape, np.nan)
    for row in range(VALUES.shape[0]):
        for at in range(VALUES.shape[1]):
            part = VALUES[row, max(0, at - window + 1) : at + 1]
            times = np.flatnonzero(~np.isnan(part))
            known = part[times]
            if statistic == "slope" and len(known) >= 3:
                found[row, at] = np.polyfit(times, known - known.mean(), 1)[0]
            elif statistic != "slope" and len(known):
                found[row, at] = PLAIN[statistic](known)
    return found


@pytest.mark.parametrize("window", [2, 3, 8, 30, 99])
@pytest.mark.parametrize("statistic", ["mean", "deviation", "highest", "lowest", "slope"])
def test_it_is_what_numpy_says_of_each_window(statistic: str, window: int) -> None:
    ours = getattr(Rolling(VALUES), statistic)(window)
    np.testing.assert_allclose(ours, slow(window, statistic), rtol=1e-9, atol=1e-5)


def test_what_was_before() -> None:
    np.testing.assert_array_equal(before(np.array([[1.0, 2.0, 3.0]]), 2), [[np.nan, np.nan, 1.0]])
    assert np.isnan(before(np.array([[1.0]]), 5)).all()


def test_the_age_is_counted_from_the_last_sudden_fall() -> None:
    saw = np.array([[1.0, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1, 2]])
    assert age(saw, 4, 0.3)[0].tolist()[5:] == [0, 1, 2, 3, 4, 0, 1]
    assert np.isnan(age(saw, 4, 0.3)[0, :5]).all()
