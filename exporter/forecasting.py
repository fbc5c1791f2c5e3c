"""When signals are forecast: each at its own moments, spread evenly, within a budget of CPU, beside the scoring."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from presagio.detectors.base import Floats
from presagio.exporter.config import Signal
from presagio.exporter.evaluation import Source
from presagio.exporter.forecast_config import ForecastsConfig, Threshold
from presagio.exporter.forecast_metrics import LIMIT, WORKER, ForecastMetrics
from presagio.exporter.forecast_quality import ForecastQuality
from presagio.exporter.forecast_store import ForecastStore
from presagio.exporter.forecast_worker import Task, Worker, WorkerError
from presagio.exporter.history import History, Reader
from presagio.exporter.limits import limits
from presagio.exporter.metrics import INTERNAL
from presagio.exporter.outlook import Outlook, grid, levels, outlook
from presagio.exporter.publish_forecasts import text
from presagio.exporter.signals import Key
from presagio.forecasters.base import Forecast
from presagio.toolkit.clock import Clock
from presagio.toolkit.errors import SourceError
from presagio.toolkit.log import Log
from presagio.toolkit.units import format_duration

_ROWS = 500
"""Series forecast at once: so that a stop, and the budget, never wait for long."""

_RETRY = 60.0
"""Seconds after which a forecast that failed is tried again."""


@dataclass
class Turn:
    """One signal that is forecast: when it is due, and what came of it."""

    signal: Signal
    reader: Reader
    due: float = -np.inf
    quality: ForecastQuality = field(default_factory=ForecastQuality)
    newest: Outlook | None = None


class Forecasting:
    """Forecasts signal after signal until it is stopped: for a thread of its own. `page` may be asked by any."""

    def __init__(
        self, turns: Sequence[Turn], settings: ForecastsConfig, source: Source, worker: Worker, folder: Path,
        metrics: ForecastMetrics, clock: Clock, log: Log, stale_after: float,
    ) -> None:  # fmt: skip
        self.turns = list(turns)
        self.settings = settings
        self.source = source
        self.worker = worker
        self.store = ForecastStore(folder, settings, log)
        self.metrics = metrics
        self.clock = clock
        self.log = log
        # a forecast is of the last step, up to a step old when it is made, and lives until the next one
        self.stale_after = max(stale_after, 2 * settings.every, settings.step + settings.every)
        self.stop = threading.Event()
        self._newest: tuple[float, bytes] = (-np.inf, b"")
        self._failing: set[str] = set()
        self._complained: set[str] = set()
        for turn in self.turns:
            metrics.know(turn.signal.name)

    def run(self) -> None:
        """Forecast what is due, the longest overdue first, until `stop` is set."""
        self._restore()
        while not self.stop.is_set() and self.turns:
            turn = min(self.turns, key=lambda one: one.due)
            if self.clock.wait(turn.due - self.clock.time(), self.stop):
                break
            went_well = self._take(turn)
            now = self.clock.time()
            turn.due = self._next(turn, now) if went_well else min(self._next(turn, now), now + _RETRY)
        self.worker.stop()

    def end(self) -> None:
        """Let `run` end soon."""
        self.stop.set()
        self.worker.stop()

    def page(self, now: float) -> bytes:
        """Return this part of the metrics page, or nothing if all of it is too old at `now` (Unix seconds)."""
        time, page = self._newest
        return page if abs(now - time) <= self.stale_after else b""

    def outlooks(self, now: float) -> list[Outlook]:
        """Return the newest forecast of each signal that is not too old."""
        found = (turn.newest for turn in self.turns)
        return [one for one in found if one is not None and abs(now - one.time) <= self.stale_after]

    def _next(self, turn: Turn, time: float) -> float:
        """Return when a signal is due after `time`: each has its own moment between two multiples of the interval."""
        every = self.settings.every
        offset = every * self.turns.index(turn) / len(self.turns)
        return float((np.floor((time - offset) / every) + 1) * every + offset)

    def _take(self, turn: Turn) -> bool:
        """Forecast one signal and return whether it could be; no error ends the loop."""
        name = turn.signal.name
        try:
            self._forecast(turn)
        except SourceError as error:
            self._fails(name, str(error.reason), error)
        except WorkerError as error:
            if not self.stop.is_set():
                self._fails(name, WORKER, error)
        except Exception:
            self.metrics.failures.labels(name, INTERNAL).inc()
            self.log.exception("forecast failed by a mistake of ours, please report it", signal=name)
        else:
            self._recovers(name)
            return True
        return False

    def _forecast(self, turn: Turn) -> None:
        known = self._read(turn, self.clock.time())
        turn.quality.compare(known)
        history = known.rows(known.alive)
        time = float(history.times[-1])
        bounds = [(one, self._limit(one, turn, history.keys, time)) for one in turn.signal.thresholds]
        forecast = self._modelled(turn.signal, history)
        if forecast is None:
            return
        turn.newest = outlook(time, history.keys, _newest(history.values), forecast, self.settings, bounds)
        turn.quality.note(turn.newest)
        self._tell(turn, turn.newest)
        self._publish()
        self.store.save({one.signal.name: (one.signal, one.newest) for one in self.turns if one.newest is not None})

    def _read(self, turn: Turn, now: float) -> History:
        """Read as many series as the cap has room for, besides those of the other signals."""
        others = sum(len(one.newest.keys) for one in self.turns if one is not turn and one.newest is not None)
        history = turn.reader.read(now, max(0, self.settings.series - others))
        self.metrics.refused.labels(turn.signal.name).set(turn.reader.refused)
        if turn.reader.refused:
            self._complain("series", "forecasts.series is reached, further series are not forecast", turn.signal.name)
        return history

    def _limit(self, threshold: Threshold, turn: Turn, keys: Sequence[Key], time: float) -> Floats:
        """Return the limit of each series; a query that fails costs its own threshold and not the forecast."""
        name, reason = turn.signal.name, LIMIT
        try:
            found = limits(self.source, threshold, turn.reader.naming, keys, time)
        except SourceError as error:
            found, reason = np.full(len(keys), np.nan), str(error.reason)
        if np.isnan(found).any():
            self.metrics.failures.labels(name, reason).inc()
            self._complain(f"{name} {threshold.name}", f"threshold {threshold.name!r} has no limit for some", name)
        return found

    def _modelled(self, signal: Signal, history: History) -> Forecast | None:
        """Return the forecast of all series, made in parts; None if it was stopped in between."""
        how, asked = self.settings, levels(self.settings)
        params = {"levels": asked, **_range(signal), "season": signal.season, **how.params}
        horizons, time = grid(how), float(history.times[-1])
        parts = [_nothing(len(horizons), asked)]
        for begin in range(0, len(history.keys), _ROWS):
            begun = self.clock.time()
            rows = slice(begin, begin + _ROWS)
            names = [f"{signal.name} {key}" for key in history.keys[rows]]
            task = Task(
                how.forecaster, params, how.step, horizons, history.values[rows], names, time, how.choose_every,
                how.engine,
            )  # fmt: skip
            forecast, cpu = self.worker.run(task)
            self.metrics.duration.labels(signal.name).observe(cpu)
            parts.append(forecast)
            if self.clock.wait(begun + cpu / how.cpu - self.clock.time(), self.stop):
                return None
        mean = np.concatenate([part.mean for part in parts])
        return Forecast(mean, np.concatenate([part.quantiles for part in parts]), asked)

    def _tell(self, turn: Turn, newest: Outlook) -> None:
        name = turn.signal.name
        self.metrics.forecasts.labels(name).inc()
        self._count(name, newest)
        for quality in turn.quality.told():
            horizon = format_duration(quality.horizon)
            if quality.scaled_error is not None:
                self.metrics.error.labels(name, horizon).set(quality.scaled_error)
            self.metrics.coverage.labels(name, horizon).set(quality.coverage)

    def _count(self, name: str, newest: Outlook) -> None:
        self.metrics.last.labels(name).set(newest.time)
        self.metrics.series.labels(name).set(len(newest.keys))

    def _publish(self) -> None:
        found = self.outlooks(self.clock.time())
        self._newest = (max((one.time for one in found), default=-np.inf), text(found).encode())

    def _restore(self) -> None:
        """Show what was shown before a restart; what is still fresh is not made anew at once."""
        kept = self.store.load({turn.signal.name: turn.signal for turn in self.turns})
        now = self.clock.time()
        for turn in self.turns:
            newest = kept.get(turn.signal.name)
            if newest is not None and abs(now - newest.time) <= self.stale_after:
                turn.newest = newest
                turn.due = self._next(turn, newest.time)
                self._count(turn.signal.name, newest)
        self._publish()

    def _fails(self, name: str, reason: str, error: Exception) -> None:
        """Log the first failure of a signal in a row: the counter tells of the others."""
        self.metrics.failures.labels(name, reason).inc()
        if name not in self._failing:
            self._failing.add(name)
            self.log.warning("forecast failed, will be tried again", signal=name, reason=reason, error=error)

    def _recovers(self, name: str) -> None:
        if name in self._failing:
            self._failing.discard(name)
            self.log.info("forecast works again", signal=name)

    def _complain(self, what: str, message: str, name: str) -> None:
        """Log once of each kind: the metrics tell the rest."""
        if what not in self._complained:
            self._complained.add(what)
            self.log.warning(message, signal=name)


def _nothing(horizons: int, asked: tuple[float, ...]) -> Forecast:
    """Return the forecast of no series, with which there is always one to begin with."""
    return Forecast(np.zeros((0, horizons)), np.zeros((0, horizons, len(asked))), asked)


def _newest(values: Floats) -> Floats:
    """Return the newest sample of each series, NaN if it has none."""
    present = ~np.isnan(values)
    last = values.shape[1] - 1 - present[:, ::-1].argmax(axis=1)
    return np.where(present.any(axis=1), values[np.arange(len(values)), last], np.nan)


def _range(signal: Signal) -> dict[str, float]:
    bounds = {"minimum": signal.range.min, "maximum": signal.range.max}
    return {name: value for name, value in bounds.items() if np.isfinite(value)}
