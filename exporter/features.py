"""Features: what is known of services at moments, for the predictors. None of them looks ahead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from presagio.detectors.base import Floats, Ints
from presagio.exporter.failure_config import Limit
from presagio.exporter.panel import Channel, Floats32, Panel
from presagio.exporter.rolling import Rolling, age, before
from presagio.forecasters.base import ForecasterParams, Inputs
from presagio.forecasters.quick import Quick
from presagio.forecasters.threshold import crossing
from presagio.toolkit.units import format_duration

CROSSING = "crossing"
"""The feature that is the forecast's own probability of reaching the limit within the horizon."""

KIND = "kind"
_DAY = 86_400.0
_SERVICES = 256
"""Services worked on at once: the dense arrays of a window are dropped before the next ones."""

_ROWS = 2_000
_CONTEXT = 7 * _DAY
_MOST_CONTEXT = 600
_GRID = 8
_FELL = 0.3
_PEERS = 3


@dataclass(frozen=True)
class Feature:
    """What a feature is, for people: a statistic of a channel over a window in seconds (0: of the moment)."""

    name: str
    statistic: str
    signal: str = ""
    window: float = 0.0
    unit: str = ""


class Featuriser:
    """Makes features of a panel's channels; `kinds` are those that were there in training, others are unknown.

    windows: seconds. recent: steps that sequence models see as they are. limit: whose crossing is the failure.
    """

    def __init__(
        self, channels: Sequence[Channel], step: float, windows: Sequence[float], recent: int = 0,
        limit: Limit | None = None, kinds: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self.channels = tuple(channels)
        self.step = step
        self.windows = tuple(sorted({max(2, round(window / step)) for window in windows}))
        self.recent = recent
        self.limit = limit
        self.kinds = tuple(kinds)

    @property
    def context(self) -> int:
        """Steps of the past that are looked at, at most."""
        return max(self.windows[-1] + 1, self.recent, self._day + 1, self._forecast_from)

    @property
    def _forecast_from(self) -> int:
        """Steps that the crossing of the limit is forecast from."""
        return min(_MOST_CONTEXT, round(_CONTEXT / self.step)) if self._limited is not None else 0

    def inputs(self, panel: Panel, services: Ints, moments: Ints, horizon: float) -> Inputs:
        """Return the inputs at services[m] and moments[m], indices of the panel; horizon in seconds."""
        columns: list[tuple[Feature, Floats]] = []
        for number, channel in enumerate(self.channels):
            columns += self._channel(panel, number, channel, services, moments)
        columns += self._clock(panel, moments)
        columns += self._kind(panel, services)
        columns += self._crossing(panel, services, moments, horizon)
        features = np.stack([column for _, column in columns], axis=1) if columns else np.zeros((len(services), 0))
        names = tuple(feature.name for feature, _ in columns)
        channels = tuple(channel.name for channel in self.channels)
        return Inputs(features, self._recent(panel, services, moments), names, channels, (KIND,))

    def describe(self) -> dict[str, Feature]:
        """Return what each feature is, by name."""
        nothing = np.zeros(0, dtype=np.int64)
        empty = np.zeros((0, 2, len(self.channels)), dtype=np.float32)
        panel = Panel((), (), np.zeros(2), self.step, self.channels, empty)
        found: list[Feature] = []
        for number, channel in enumerate(self.channels):
            found += [one for one, _ in self._channel(panel, number, channel, nothing, nothing)]
        found += [one for one, _ in self._clock(panel, nothing)]
        found += [one for one, _ in self._kind(panel, nothing)]
        found += [one for one, _ in self._crossing(panel, nothing, nothing, self.step)]
        return {one.name: one for one in found}

    @property
    def _day(self) -> int:
        day = round(_DAY / self.step)
        return day if day >= 4 else 0

    @property
    def _limited(self) -> int | None:
        """Which channel the limit is of."""
        for number, channel in enumerate(self.channels):
            if self.limit and channel.signal == self.limit.signal and channel.aggregate == "worst":
                return number
        return None

    def _channel(
        self, panel: Panel, number: int, channel: Channel, services: Ints, moments: Ints
    ) -> list[tuple[Feature, Floats]]:
        """Return the features of one channel, worked out for some services at a time."""
        found: dict[Feature, Floats] = {}
        for begin in range(0, max(len(panel.services), 1), _SERVICES):
            rows = np.flatnonzero((services >= begin) & (services < begin + _SERVICES))
            values = panel.values[begin : begin + _SERVICES, :, number].astype(np.float64)
            at = (services[rows] - begin, moments[rows])
            for feature, dense in self._dense(channel, number, values):
                found.setdefault(feature, np.full(len(services), np.nan))[rows] = dense[at] if len(values) else 0.0
        peers = Feature(f"{channel.name}, beside peers", "peers", channel.signal, 0.0, channel.unit)
        found[peers] = self._beside_peers(panel, number, services, moments)
        return list(found.items())

    def _dense(self, channel: Channel, number: int, values: Floats) -> Iterator[tuple[Feature, Floats]]:
        """Yield the features of one channel at every moment of some services."""

        def feature(statistic: str, steps: int = 0) -> Feature:
            window = steps * self.step
            name = f"{channel.name}, {statistic}" + (f" {format_duration(window)}" if steps else "")
            return Feature(name, statistic, channel.signal, window, channel.unit)

        rolling = Rolling(values)
        yield feature("now"), values
        for window in self.windows:
            slope = rolling.slope(window)
            yield feature("mean", window), rolling.mean(window)
            yield feature("deviation", window), rolling.deviation(window)
            yield feature("highest", window), rolling.highest(window)
            yield feature("lowest", window), rolling.lowest(window)
            yield feature("slope", window), slope / self.step
            yield feature("known", window), rolling.count(window) / window
            if number == self._limited:
                yield feature("time to limit", window), self._time_to_limit(values, slope)
        yield feature("age"), age(values, self.windows[-1], _FELL) * self.step
        if self._day:
            yield feature("change", self._day), values - before(values, self._day)
        if number == self._limited:
            yield feature("room"), self._room(values)

    def _room(self, values: Floats) -> Floats:
        assert self.limit is not None  # noqa: S101 # for the type checker: there is a limited channel
        return self.limit.value - values if self.limit.direction == "above" else values - self.limit.value

    def _time_to_limit(self, values: Floats, slope: Floats) -> Floats:
        """Return the seconds until a straight line is at the limit; far away is as good as never."""
        assert self.limit is not None  # noqa: S101 # as above
        towards = slope if self.limit.direction == "above" else -slope
        most = 100.0 * self.windows[-1]
        with np.errstate(divide="ignore", invalid="ignore"):
            steps = np.where(towards > 0, np.maximum(self._room(values), 0.0) / towards, most)
        return np.where(np.isnan(slope), np.nan, np.minimum(steps, most)) * self.step

    def _beside_peers(self, panel: Panel, number: int, services: Ints, moments: Ints) -> Floats:
        """Return by how much a service differs from the median of its kind; NaN where it has no peers."""
        found = np.full(len(services), np.nan)
        times, column = np.unique(moments, return_inverse=True)
        kinds = np.array([panel.kinds.index(kind) for kind in panel.kinds], dtype=np.int64)
        for kind in np.unique(kinds):
            members = np.flatnonzero(kinds == kind)
            rows = np.flatnonzero(kinds[services] == kind)
            if len(members) < _PEERS or not len(rows):
                continue
            values = panel.values[members][:, times, number].astype(np.float64)
            few = (~np.isnan(values)).sum(axis=0) < _PEERS
            usual = np.where(few, np.nan, np.nanmedian(np.where(few, 0.0, values), axis=0))
            found[rows] = panel.values[services[rows], moments[rows], number] - usual[column[rows]]
        return found

    def _clock(self, panel: Panel, moments: Ints) -> Iterator[tuple[Feature, Floats]]:
        """Yield where in the day and the week a moment is, on a circle."""
        if not self._day:
            return
        times = panel.times[moments]
        for name, period in (("day", _DAY), ("week", 7 * _DAY)):
            turn = 2 * np.pi * (times % period) / period
            yield Feature(f"time of {name}, sine", "clock"), np.sin(turn)
            yield Feature(f"time of {name}, cosine", "clock"), np.cos(turn)

    def _kind(self, panel: Panel, services: Ints) -> Iterator[tuple[Feature, Floats]]:
        codes = {kind: float(code) for code, kind in enumerate(self.kinds)}
        own = np.array([codes.get(kind, np.nan) for kind in panel.kinds], dtype=np.float64)
        yield Feature(KIND, "kind"), own[services] if len(own) else np.zeros(len(services))

    def _crossing(
        self, panel: Panel, services: Ints, moments: Ints, horizon: float
    ) -> Iterator[tuple[Feature, Floats]]:
        """Yield the forecast's probability that the limit is reached within the horizon."""
        number = self._limited
        if number is None or self.limit is None:
            return
        forecaster = Quick(ForecasterParams(levels=(0.1, 0.25, 0.5, 0.75, 0.9)))
        horizons = [horizon * (part + 1) / _GRID for part in range(_GRID)]
        found = np.full(len(services), np.nan)
        for begin in range(0, len(services), _ROWS):
            rows = slice(begin, begin + _ROWS)
            history = _windows(panel.values[:, :, number], services[rows], moments[rows], self._forecast_from).astype(
                np.float64
            )
            forecast = forecaster.forecast(history, panel.step, horizons)
            limit, now = np.full(len(history), self.limit.value), history[:, -1]
            found[rows] = crossing(forecast, horizons, limit, self.limit.direction, now, [horizon])[:, 0]
        signal = self.channels[number]
        yield Feature(CROSSING, "crossing", signal.signal, 0.0, signal.unit), found

    def _recent(self, panel: Panel, services: Ints, moments: Ints) -> Floats32:
        if not self.recent:
            return np.zeros((len(services), 0, len(self.channels)), dtype=np.float32)
        parts = [
            _windows(panel.values[:, :, number], services, moments, self.recent)
            for number in range(len(self.channels))
        ]
        return np.stack(parts, axis=-1).astype(np.float32)


def _windows(values: Floats32, services: Ints, moments: Ints, steps: int) -> Floats32:
    """Return the last `steps` values [m, steps] up to each moment, NaN before the first."""
    at = moments[:, None] - np.arange(steps - 1, -1, -1)[None, :]
    found = values[services[:, None], np.maximum(at, 0)]
    return np.where(at >= 0, found, np.float32(np.nan))
