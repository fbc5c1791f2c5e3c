"""When signals are forecast: each at its own moments, spread evenly, within a budget of CPU, beside the scoring."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import orjson

from presagio.detectors.base import Floats
from presagio.exporter.config import Signal
from presagio.exporter.evaluation import Source
from presagio.exporter.forecast_config import ForecastsConfig, Threshold
from presagio.exporter.forecast_metrics import LIMIT, WORKER, ForecastMetrics
from presagio.exporter.forecast_quality import ForecastQuality
from presagio.exporter.forecast_worker import Task, Worker, WorkerError
from presagio.exporter.history import History, Reader
from presagio.exporter.metrics import INTERNAL
from presagio.exporter.outlook import Outlook, grid, levels, limits, outlook
from presagio.exporter.publish_forecasts import text
from presagio.forecasters.base import Forecast
from presagio.toolkit.clock import Clock
from presagio.toolkit.durable import read_snapshot, write_snapshot
from presagio.toolkit.errors import SnapshotError, SourceError
from presagio.toolkit.log import Log
from presagio.toolkit.units import format_duration

VERSION = 1
_KIND = "forecasts"
_ROWS = 500
"""Series forecast at once: so that a stop, and the budget, never wait for long."""


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
        self.path = folder / f"{_KIND}.snapshot"
        self.metrics = metrics
        self.clock = clock
        self.log = log
        self.stale_after = max(stale_after, 2 * settings.every)
        self.stop = threading.Event()
        self._newest: tuple[float, bytes] = (-np.inf, b"")
        self._failing: set[str] = set()
        for turn in self.turns:
            metrics.know(turn.signal.name)

    def run(self) -> None:
        """Forecast what is due, the longest overdue first, until `stop` is set."""
        self._restore()
        while not self.stop.is_set() and self.turns:
            turn = min(self.turns, key=lambda one: one.due)
            if self.clock.wait(turn.due - self.clock.time(), self.stop):
                break
            self._take(turn)
            turn.due = self._next(turn)
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

    def _next(self, turn: Turn) -> float:
        """Return when a signal is due again: each has its own moment between two multiples of the interval."""
        every = self.settings.every
        offset = every * self.turns.index(turn) / len(self.turns)
        return float((np.floor((self.clock.time() - offset) / every) + 1) * every + offset)

    def _take(self, turn: Turn) -> None:
        """Forecast one signal; no error ends the loop."""
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
            self._failing.discard(name)

    def _forecast(self, turn: Turn) -> None:
        name, now = turn.signal.name, self.clock.time()
        history = self._read(turn, now)
        turn.quality.compare(history)
        history = history.rows(history.alive)
        time = float(history.times[-1])
        bounds = [(one, self._limit(one, history, time, name)) for one in turn.signal.thresholds]
        forecast = self._modelled(turn.signal, history)
        if forecast is None:
            return
        newest = _newest(history.values)
        turn.newest = outlook(time, history.keys, newest, forecast, self.settings, bounds)
        turn.quality.note(turn.newest)
        self._tell(turn)
        self._publish()

    def _limit(self, threshold: Threshold, history: History, time: float, name: str) -> Floats:
        found = limits(self.source, threshold, history.keys, time)
        if np.isnan(found).any():
            self.metrics.failures.labels(name, LIMIT).inc()
            self._complain(f"{name} {threshold.name}", "threshold's query has no single series for some", name)
        return found

    def _read(self, turn: Turn, now: float) -> History:
        """Read as many series as the cap has room for, besides those of the other signals."""
        others = sum(len(one.newest.keys) for one in self.turns if one is not turn and one.newest is not None)
        history = turn.reader.read(now, max(0, self.settings.series - others))
        self.metrics.refused.labels(turn.signal.name).set(turn.reader.refused)
        if turn.reader.refused:
            self._complain("series", "forecasts.series is reached, further series are not forecast", turn.signal.name)
        return history

    def _modelled(self, signal: Signal, history: History) -> Forecast | None:
        """Return the forecast of all series, made in parts; None if it was stopped in between."""
        params = {
            "levels": levels(self.settings), **_range(signal), "season": signal.season, **self.settings.params,
        }  # fmt: skip
        parts: list[Forecast] = []
        for begin in range(0, max(len(history.keys), 1), _ROWS):
            begun = self.clock.time()
            values = history.values[begin : begin + _ROWS]
            horizons = grid(self.settings)
            task = Task(self.settings.forecaster, params, self.settings.step, horizons, values)
            forecast, cpu = self.worker.run(task)
            self.metrics.duration.labels(signal.name).observe(cpu)
            parts.append(forecast)
            if self.clock.wait(begun + cpu / self.settings.cpu - self.clock.time(), self.stop):
                return None
        mean = np.concatenate([part.mean for part in parts])
        return Forecast(mean, np.concatenate([part.quantiles for part in parts]), parts[0].levels)

    def _tell(self, turn: Turn) -> None:
        assert turn.newest is not None  # noqa: S101 # for the type checker: it was just set
        name = turn.signal.name
        self.metrics.forecasts.labels(name).inc()
        self.metrics.last.labels(name).set(turn.newest.time)
        self.metrics.series.labels(name).set(len(turn.newest.keys))
        for quality in turn.quality.told():
            horizon = format_duration(quality.horizon)
            self.metrics.error.labels(name, horizon).set(quality.scaled_error)
            self.metrics.coverage.labels(name, horizon).set(quality.coverage)

    def _publish(self) -> None:
        found = self.outlooks(self.clock.time())
        self._newest = (max(one.time for one in found), text(found).encode())
        try:
            write_snapshot(self.path, _KIND, VERSION, orjson.dumps(self._newest[0]) + b"\n" + self._newest[1])
        except OSError as error:
            self._complain("snapshot", f"forecasts will not survive a restart: {error}", "all")

    def _restore(self) -> None:
        """Show what was shown before the restart until there is something newer."""
        try:
            time, _, page = read_snapshot(self.path, _KIND, VERSION).partition(b"\n")
            self._newest = (float(time), page)
        except (FileNotFoundError, SnapshotError, ValueError, OSError):
            return  # a first start, or another version: the next forecasts are minutes away

    def _fails(self, name: str, reason: str, error: Exception) -> None:
        self.metrics.failures.labels(name, reason).inc()
        if name not in self._failing:
            self._failing.add(name)
            self.log.warning("forecast failed, will be tried again", signal=name, reason=reason, error=error)

    def _complain(self, what: str, message: str, name: str) -> None:
        """Log once of each kind: the metrics tell the rest."""
        if what not in self._failing:
            self._failing.add(what)
            self.log.warning(message, signal=name)


def _newest(values: Floats) -> Floats:
    """Return the newest sample of each series, NaN if it has none."""
    present = ~np.isnan(values)
    last = values.shape[1] - 1 - present[:, ::-1].argmax(axis=1)
    return np.where(present.any(axis=1), values[np.arange(len(values)), last], np.nan)


def _range(signal: Signal) -> dict[str, float]:
    bounds = {"minimum": signal.range.min, "maximum": signal.range.max}
    return {name: value for name, value in bounds.items() if np.isfinite(value)}
