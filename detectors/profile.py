"""The default detector: what is usual for each series at each time, and how unlikely what deviates from it is.

What is expected comes from the level, the day and the week of the series itself (levels.py, season.py). Three views
of the deviation (views.py) are each judged by their own tails (tail.py), series that hardly ever change by how rare
their changes are (constancy.py), and the whole by how often it was right of late (frequency.py). What is anomalous
teaches little, until a changed level has held for `adapt_after`; what recurs at the same time of day is a habit.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from presagio.detectors.arrays import Arrays, Bools
from presagio.detectors.base import DetectorParams, Floats, Ints, State, Verdict, score_of
from presagio.detectors.constancy import Constancy
from presagio.detectors.frequency import Frequency
from presagio.detectors.held import Held
from presagio.detectors.levels import Levels
from presagio.detectors.runs import Runs
from presagio.detectors.season import Season, Usual
from presagio.detectors.views import EFFECTIVE_VIEWS, MEAN, Views

BAND_P = 0.0005 / EFFECTIVE_VIEWS
"""How often each bound is exceeded: there the score is 0.3. A jump or a slow drift may reach it inside the band."""

_SUSPECT, _ANOMALOUS, _LEAST_WEIGHT = 0.3, 0.6, 0.01
_DRIFTING, _DRIFT_WEIGHT = 0.15, 0.1
"""From here on a mean distance is doubted: what rises slowly must not widen the spread it is measured by."""
_UNUSUAL_P, _NOT_RARE = 0.01, 0.1
_HABIT_SHARE, _HABIT_SPREADS = 0.25, 1.5
"""How far beyond the range of the last two days, as a share of its width and in spreads, a habit may go."""

_HABIT_LEAST = 100
_USUAL_ELAPSED, _MOST_ELAPSED = 60.0, 3_600.0


class ProfileParams(DetectorParams):
    """Parameters of `profile`; nobody should need them at first."""

    warm_up: int = Field(30, ge=2, description="samples before a score above 0.3 is given")


class _Clock(Arrays):
    fields: ClassVar[tuple[str, ...]] = ("last",)
    new: ClassVar[dict[str, float]] = {"last": np.nan}
    last: Floats


class Profile:
    """The profiles of n rows. Under 2 kB a row."""

    Params: ClassVar[type[DetectorParams]] = ProfileParams

    def __init__(self, params: ProfileParams) -> None:
        self.params = params
        self.clock, self.season, self.levels = _Clock(), Season(), Levels(seasonal=params.season == "auto")
        self.views, self.constancy, self.frequency = Views(), Constancy(), Frequency()
        self.zeros, self.held = Runs(params.warm_up), Held()

    def step(self, time: float, values: Floats, trust: Floats | None = None) -> Verdict:
        """Score values[n] at `time` (Unix seconds), then learn from them, as far as trust[n] has it."""
        seen = ~np.isnan(values)
        said = np.full(len(values), np.nan) if trust is None else trust
        outside = seen & ((values < self.params.range.min) | (values > self.params.range.max))
        taught, expecting = seen & ~outside & (said != 0), said == 1
        levels, phase = self.levels, self.params.calendar.phase(time)
        levels.begin(values, taught & (levels.count == 0))
        self.season.turn(phase, self.views.spread(levels.level), taught)
        usual = self.season.usual(phase)
        expected = levels.expect(usual)
        values = np.where(seen, values, expected)
        level, count, elapsed = levels.level, levels.count, self._elapsed(time)
        p, above = self.views.look(values - expected, elapsed, level, count)
        surprise, score, habit = self._scores(values, expected, p, above, usual, seen, taught)
        verdict = self._verdict(np.where(outside, 1.0, score), expected, level, seen)
        surprise = np.where(taught & ~expecting, surprise, 0.0)
        calm = surprise < _ANOMALOUS
        drift = np.where(taught & ~expecting & ~habit & levels.settled, score_of(p[MEAN]), 0.0)
        weight = 1 - (1 - _LEAST_WEIGHT) * _rise(surprise, _SUSPECT, _ANOMALOUS)
        weight = np.minimum(weight, 1 - (1 - _DRIFT_WEIGHT) * _rise(drift, _DRIFTING, _SUSPECT))
        weight = np.where(taught, weight, 0.0)
        levels.seen(taught)
        self.views.learn(values - expected, weight, levels.count, taught & calm & self._warm(count), habit)
        self.views.remember(taught, taught & ~calm, habit, p)
        self.constancy.learn(values, taught & calm)
        moved = levels.learn(
            values,
            weight,
            elapsed,
            self.views.spread(level),
            usual,
            taught & (surprise < _SUSPECT),
            drift < _DRIFTING,
        )
        if moved.any():
            self.views.restart(moved, expected - levels.expect(usual))
        self.season.learn(values, taught)
        self._follow(time, values, expected, taught & (surprise >= _SUSPECT) & self._warm(count), taught)
        self.clock.last = np.where(taught, time, self.clock.last)
        return verdict

    def _elapsed(self, time: float) -> Floats:
        """Return the seconds since each row's last sample; a gap is no reason to forget."""
        elapsed = np.where(np.isnan(self.clock.last), _USUAL_ELAPSED, time - self.clock.last)
        return np.clip(elapsed, 1.0, _MOST_ELAPSED)

    def _warm(self, count: Floats) -> Bools:
        warm: Bools = count >= self.params.warm_up
        return warm

    def _scores(
        self, values: Floats, expected: Floats, p: Floats, above: Bools, usual: Usual, seen: Bools, taught: Bools
    ) -> tuple[Floats, Floats, Bools]:
        """Return the surprise, which says how much to learn, the score, which is for people, and what is a habit.

        The first two differ where people do not care: on the other side, and within the dead-band. A leak that has
        not left the dead-band yet must not be learnt as normal.
        """
        least, still = self.constancy.step(values, seen, taught)
        all_views = self._together(p)
        habit = seen & (all_views < _UNUSUAL_P) & self._is_habit(values, usual)
        quiet = still | habit
        surprise = np.where(quiet, 1.0, np.maximum(all_views, least))
        counted = np.where(self._counts(above) & self._counts(values >= expected), p * self._sides(), 1.0)
        counted = np.where(np.abs(values - expected) <= self._dead_band(expected), 1.0, counted)
        chance = np.where(quiet, 1.0, np.maximum(self._together(counted), least))
        # Zero is below a positive level and above a negative one: the direction decides whether it counts.
        rare_zero = self.zeros.step(values == 0, taught)
        rare_zero = np.where(self._counts(expected < 0) & ~quiet, rare_zero, 1.0)
        factor = self.frequency.factor()
        surprise = np.minimum(np.where(surprise < _NOT_RARE, surprise * factor, surprise), rare_zero)
        chance = np.minimum(np.where(chance < _NOT_RARE, chance * factor, chance), rare_zero)
        surprised = self._tempered(np.minimum(surprise, 1.0))
        self.frequency.learn(
            np.where(quiet, 1.0, np.maximum(all_views, least)), taught & (surprised < _ANOMALOUS) & ~habit
        )
        return surprised, self._tempered(np.minimum(chance, 1.0)), habit

    def _together(self, p: Floats) -> Floats:
        together: Floats = np.minimum(p.min(axis=0) * EFFECTIVE_VIEWS, 1.0)
        return together

    def _is_habit(self, values: Floats, usual: Usual) -> Bools:
        """Return where the series was at about this time on both of the last two days, or weeks."""
        if self.params.season != "auto":
            return np.zeros(len(values), dtype=np.bool_)
        slack = _HABIT_SPREADS * self.views.spread(self.levels.level)
        slack = slack + _HABIT_SHARE * (usual.high - usual.low)
        habit: Bools = (values <= usual.high + slack) & (values >= usual.low - slack)
        return habit & (self.levels.count > _HABIT_LEAST)

    def _tempered(self, p: Floats) -> Floats:
        """Return the score, kept low while warming up."""
        score = score_of(p)
        return np.where(self._warm(self.levels.count), score, np.minimum(score, _SUSPECT))

    def _sides(self) -> float:
        return 1.0 if self.params.direction == "both" else 0.5

    def _counts(self, above: Bools) -> Bools:
        if self.params.direction == "both":
            return np.ones_like(above)
        return above if self.params.direction == "above" else ~above

    def _dead_band(self, expected: Floats) -> Floats:
        band = self.params.dead_band
        return np.maximum(band.absolute, band.relative * np.abs(expected))

    def _verdict(self, score: Floats, expected: Floats, level: Floats, seen: Bools) -> Verdict:
        count = self.levels.count
        known, possible, band = count > 0, self.params.range, self._dead_band(expected)
        down, up = self.views.bounds(BAND_P, level, count)
        upper = np.clip(expected + np.maximum(up, band), possible.min, possible.max)
        lower = np.clip(expected - np.maximum(down, band), possible.min, possible.max)
        warm_up = self.params.warm_up
        return Verdict(
            score=np.where(seen, score, np.nan),
            expected=np.where(known, np.clip(expected, possible.min, possible.max), np.nan),
            lower=np.where(known, lower, np.nan),
            upper=np.where(known, upper, np.nan),
            confidence=np.where(self._warm(count), 1 - warm_up / np.maximum(count + 1, 1), 0.0),
        )

    def _follow(self, time: float, values: Floats, expected: Floats, suspect: Bools, taught: Bools) -> None:
        """Follow a level that may have changed, and adopt it when it has held."""
        self.held.step(time, values, suspect, taught & ~suspect)
        due = suspect & self.held.is_due(time, self.params.adapt_after)
        if due.any():
            self.levels.shift(due, self.held.level - expected)
            self.views.widen(due, self.held.spread)
            self.held.since = np.where(due, np.nan, self.held.since)

    def _parts(self) -> dict[str, Arrays | Runs | Constancy | Held]:
        named = (*self.season.parts(), *self.levels.parts(), *self.views.parts())
        own = {"clock_": self.clock, "frequency_": self.frequency, "zeros_": self.zeros, "held_": self.held}
        return {**dict(named), **own, "constancy_": self.constancy}

    def reindex(self, rows: Ints) -> None:
        """Follow churn: new row i was row rows[i]; -1 is a series never seen."""
        for part in self._parts().values():
            part.reindex(rows)
        self.season.forget_known()

    def inherit(self, rows: Ints, donors: Ints, kin: Bools, values: Floats) -> None:
        """Let new rows[m] begin from donors[m], stretched to their first values[m]; `kin` share the season, too."""
        mapping = np.arange(len(self.levels.count))
        mapping[rows] = donors
        self.reindex(mapping)
        level = self.levels.level[rows]
        ratio = np.clip(np.where(level == 0, 1.0, np.abs(values / np.where(level == 0, 1.0, level))), 0.1, 10.0)
        self.season.inherit(rows, ratio, kin)
        self.levels.inherit(rows, ratio, kin, values, self.params.warm_up // 2)
        self.views.inherit(rows, ratio)
        fresh = np.arange(len(self.levels.count))
        fresh[rows] = -1
        for part in (self.clock, self.constancy, self.zeros, self.held):
            part.reindex(fresh)

    def state(self) -> State:
        """Return all that was learnt."""
        return {name: array for prefix, part in self._parts().items() for name, array in part.state(prefix).items()}

    def restore(self, state: State) -> None:
        """Take what `state` returned. Raises ValueError if something is missing."""
        try:
            for prefix, part in self._parts().items():
                part.restore(state, prefix)
        except KeyError as error:
            raise ValueError(f"state of another version: it lacks {error.args[0]!r}") from error
        self.season.forget_known()


def _rise(values: Floats, begin: float, end: float) -> Floats:
    """Return 0..1 while the values rise from begin to end."""
    risen: Floats = np.clip((values - begin) / (end - begin), 0.0, 1.0)
    return risen
