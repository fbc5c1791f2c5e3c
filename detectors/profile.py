"""The default detector: level and spread of each series, and the tails of what deviates from them.

Residuals are measured from an exponentially weighted level in units of an exponentially weighted mean absolute
deviation; their two tails are extrapolated by peaks over threshold (tail.py), which calibrates the score whatever the
distribution. Zeros of a series that is otherwise never zero are judged by how rarely they came and how long they last
(runs.py). What is anomalous teaches little, until a changed level has held for `adapt_after`.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from presagio.detectors.arrays import Bools, take
from presagio.detectors.base import DetectorParams, Floats, Ints, State, Verdict, score_of
from presagio.detectors.runs import Runs
from presagio.detectors.tail import Tail

BAND_P = 0.0005
"""Each bound is exceeded once in 2,000 samples: together once in a thousand, where the score is 0.3."""

_FIELDS = ("count", "level", "spread", "anomaly", "held_since", "held_level", "held_spread", "held_bias")
_NEW = {"held_since": np.nan}
_PRIOR_WEIGHT, _PRIOR_SPREAD, _LEAST_SPREAD = 30.0, 0.02, 0.001
_HELD_RATE = 0.05
_SUSPECT, _ANOMALOUS, _REMARKABLE_P = 0.3, 0.6, 1e-4
_LEAST_WEIGHT = 0.01


class ProfileParams(DetectorParams):
    """Parameters of `profile`; nobody should need them at first."""

    memory: int = Field(500, ge=10, description="samples that level and spread remember")
    warm_up: int = Field(30, ge=2, description="samples before a score above 0.3 is given")


class Profile:
    """Level, spread and tails of n rows. About 200 bytes a row."""

    Params: ClassVar[type[DetectorParams]] = ProfileParams

    def __init__(self, params: ProfileParams) -> None:
        self.params = params
        self.arrays = {field: np.zeros(0) for field in _FIELDS}
        self.above, self.below, self.zeros = Tail(), Tail(), Runs(params.warm_up)

    def step(self, time: float, values: Floats) -> Verdict:
        """Score values[n] at `time` (Unix seconds), then learn from them."""
        seen = ~np.isnan(values)
        first = seen & (self.arrays["count"] == 0)
        self.arrays["level"] = np.where(first, values, self.arrays["level"])
        scale = self._scale()
        residual = np.where(seen, values - self.arrays["level"], 0.0)
        surprise, score = self._scores(values, residual, scale, seen)
        verdict = self._verdict(score, scale, seen)
        self._learn(time, values, residual / scale, surprise, seen)
        return verdict

    def _scale(self) -> Floats:
        """Return the spread, mixed with a prior guess that weighs less with every sample."""
        count, level = self.arrays["count"], np.abs(self.arrays["level"])
        known = np.minimum(count, self.params.memory)
        mixed = (_PRIOR_WEIGHT * _PRIOR_SPREAD * level + known * self.arrays["spread"]) / (_PRIOR_WEIGHT + known)
        return np.maximum(np.maximum(mixed, _LEAST_SPREAD * level), 1e-12)

    def _scores(self, values: Floats, residual: Floats, scale: Floats, seen: Bools) -> tuple[Floats, Floats]:
        """Return the surprise, which says how much to learn, and the score, which is for people.

        They differ where people do not care: on the other side, and within the dead-band. A leak that has not left
        the dead-band yet must not be learnt as normal.
        """
        r = np.abs(residual) / scale
        p = np.minimum(np.where(residual >= 0, self.above.chance(r), self.below.chance(r)) * self._sides(), 1.0)
        surprise = p
        p = np.where(np.abs(residual) <= self._dead_band(), 1.0, p)
        p = np.where(self._counts(residual), p, 1.0)
        # Zero is below a positive level and above a negative one: the direction decides whether it counts.
        rare_zero = self.zeros.step(values == 0, seen)
        p = np.where(self._counts(-self.arrays["level"]), np.minimum(p, rare_zero), p)
        return self._tempered(np.minimum(surprise, p)), self._tempered(p)

    def _tempered(self, p: Floats) -> Floats:
        """Return the score, kept low while warming up."""
        score = score_of(p)
        return np.where(self.arrays["count"] >= self.params.warm_up, score, np.minimum(score, _SUSPECT))

    def _sides(self) -> float:
        return 2.0 if self.params.direction == "both" else 1.0

    def _counts(self, residual: Floats) -> Bools:
        if self.params.direction == "both":
            return np.ones(len(residual), dtype=np.bool_)
        return residual > 0 if self.params.direction == "above" else residual < 0

    def _dead_band(self) -> Floats:
        band = self.params.dead_band
        return np.maximum(band.absolute, band.relative * np.abs(self.arrays["level"]))

    def _verdict(self, score: Floats, scale: Floats, seen: Bools) -> Verdict:
        count, level = self.arrays["count"], self.arrays["level"]
        warm = count >= self.params.warm_up
        known = count > 0
        band = self._dead_band()
        upper = level + np.maximum(scale * self.above.quantile(BAND_P), band)
        lower = level - np.maximum(scale * self.below.quantile(BAND_P), band)
        return Verdict(
            score=np.where(seen, score, np.nan),
            expected=np.where(known, level, np.nan),
            lower=np.where(known, lower, np.nan),
            upper=np.where(known, upper, np.nan),
            confidence=np.where(warm, 1 - self.params.warm_up / np.maximum(count + 1, 1), 0.0),
        )

    def _learn(self, time: float, values: Floats, r: Floats, surprise: Floats, seen: Bools) -> None:
        """Learn with a weight that falls from 1 to almost 0 while the surprise rises from 0.3 to 0.6."""
        surprise = np.where(seen, surprise, 0.0)
        doubt = np.clip((surprise - _SUSPECT) / (_ANOMALOUS - _SUSPECT), 0.0, 1.0)
        weight = np.where(seen, 1 - (1 - _LEAST_WEIGHT) * doubt, 0.0)
        self._learn_tails(r, surprise, seen & (self.arrays["count"] >= self.params.warm_up))
        self._learn_level(values, weight, seen)
        self._learn_held(time, values, surprise, seen)

    def _learn_tails(self, r: Floats, surprise: Floats, seen: Bools) -> None:
        """Learn from all that is rare, or the tail would forget how heavy it is.

        What seems impossible but keeps happening must become likelier; what merely lasts must not. So an anomaly
        teaches nothing while it lasts, and when it is over it counts as one value that was just remarkable.
        """
        side, before = np.where(r >= 0, 1.0, -1.0), self.arrays["anomaly"]
        anomalous = seen & (surprise >= _ANOMALOUS)
        weight = (seen & ~anomalous).astype(np.float64)
        for tail, sign in ((self.above, 1.0), (self.below, -1.0)):
            remarkable = tail.quantile(_REMARKABLE_P)
            learnt = np.where(before == sign, remarkable, np.minimum(sign * r, remarkable))
            tail.learn(np.where(seen, learnt, np.nan), weight)
        self.arrays["anomaly"] = np.where(anomalous, side, np.where(seen, 0.0, before))

    def _learn_level(self, values: Floats, weight: Floats, seen: Bools) -> None:
        arrays = self.arrays
        values = np.where(seen, values, arrays["level"])
        count = np.where(seen, arrays["count"] + 1, arrays["count"])
        rate = weight / np.clip(count, 1, self.params.memory)
        deviation = values - arrays["level"]
        arrays["count"] = count
        arrays["level"] = arrays["level"] + rate * deviation
        arrays["spread"] = arrays["spread"] + rate * (np.abs(deviation) - arrays["spread"])

    def _learn_held(self, time: float, values: Floats, surprise: Floats, seen: Bools) -> None:
        """Follow the level that an anomaly may have moved to; adopt it when it has held long enough."""
        arrays = self.arrays
        suspect = seen & (surprise >= _SUSPECT) & (arrays["count"] > self.params.warm_up)
        begins = suspect & np.isnan(arrays["held_since"])
        arrays["held_since"] = np.where(begins, time, np.where(seen & ~suspect, np.nan, arrays["held_since"]))
        arrays["held_level"] = np.where(begins, values, arrays["held_level"])
        rate = np.where(suspect, _HELD_RATE, 0.0)
        deviation = np.where(suspect, values - arrays["held_level"], 0.0)
        arrays["held_level"] = arrays["held_level"] + rate * deviation
        arrays["held_spread"] = np.where(
            begins, 0.0, arrays["held_spread"] + rate * (np.abs(deviation) - arrays["held_spread"])
        )
        arrays["held_bias"] = np.where(begins, 0.0, arrays["held_bias"] + rate * (deviation - arrays["held_bias"]))
        self._adopt(suspect & (time - arrays["held_since"] >= self.params.adapt_after) & self._is_level())

    def _is_level(self) -> Bools:
        """Return where the new level stands still: a ramp leaves all its deviations on one side."""
        held = self.arrays
        return np.abs(held["held_bias"]) <= np.maximum(0.5 * held["held_spread"], 1e-3 * np.abs(held["held_level"]))

    def _adopt(self, rows: Bools) -> None:
        arrays = self.arrays
        arrays["level"] = np.where(rows, arrays["held_level"], arrays["level"])
        arrays["spread"] = np.where(rows, np.maximum(arrays["held_spread"], arrays["spread"]), arrays["spread"])
        arrays["held_since"] = np.where(rows, np.nan, arrays["held_since"])

    def reindex(self, rows: Ints) -> None:
        """Follow churn: new row i was row rows[i]; -1 is a series never seen."""
        self.arrays = {field: take(array, rows, _NEW.get(field, 0.0)) for field, array in self.arrays.items()}
        for part in (self.above, self.below, self.zeros):
            part.reindex(rows)

    def state(self) -> State:
        """Return all that was learnt."""
        parts = {**self.above.state("above_"), **self.below.state("below_"), **self.zeros.state("zeros_")}
        return {**self.arrays, **parts}

    def restore(self, state: State) -> None:
        """Take what `state` returned. Raises ValueError if something is missing."""
        try:
            self.arrays = {field: np.array(state[field], dtype=np.float64) for field in _FIELDS}
            self.above.restore(state, "above_")
            self.below.restore(state, "below_")
            self.zeros.restore(state, "zeros_")
        except KeyError as error:
            raise ValueError(f"state of another version: it lacks {error.args[0]!r}") from error
