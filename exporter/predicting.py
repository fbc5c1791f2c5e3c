"""When failures are predicted: each in its turn, beside the scoring, whatever may go wrong with one of them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from presagio.exporter.config import ExporterConfig
from presagio.exporter.evaluation import Source
from presagio.exporter.failure_history import condition
from presagio.exporter.in_charge import InCharge
from presagio.exporter.kept_page import KeptPage
from presagio.exporter.metrics import INTERNAL
from presagio.exporter.panel import Panel
from presagio.exporter.panel_reader import PanelReader
from presagio.exporter.prediction import InUse, Predictions, drift, predictions
from presagio.exporter.prediction_metrics import PredictionMetrics
from presagio.exporter.publish_predictions import text
from presagio.exporter.signals import Naming, named
from presagio.toolkit.clock import Clock
from presagio.toolkit.errors import SourceError
from presagio.toolkit.log import Log
from presagio.toolkit.units import format_duration

_DRIFT_EVERY = 3600.0


@dataclass
class Watch:
    """One failure that is predicted; `naming` names the services of its condition, None if a file tells of it."""

    reader: PanelReader
    charge: InCharge
    naming: Naming | None
    newest: Predictions | None = None
    failing: set[str] = field(default_factory=set)
    models: list[InUse] = field(default_factory=list)
    drifts: dict[float, float] = field(default_factory=dict)
    measured: float = -np.inf

    @property
    def name(self) -> str:
        """The failure's name."""
        return self.charge.of.failure.name


class Predicting:
    """Predicts until it is stopped: for a thread of its own. `page` and `newest` may be asked by any."""

    def __init__(
        self, watches: Sequence[Watch], config: ExporterConfig, source: Source, folder: Path,
        metrics: PredictionMetrics, clock: Clock, log: Log,
    ) -> None:  # fmt: skip
        self.watches = list(watches)
        self.config = config
        self.source = source
        self.metrics = metrics
        self.clock = clock
        self.log = log
        self.stale_after = max(config.evaluation.stale_after, 2 * config.predictions.every, 2 * config.training.step)
        self.stop = threading.Event()
        self.page = KeptPage(folder, "predictions", self.stale_after, log)
        self._failing: set[str] = set()
        for watch in self.watches:
            metrics.know(watch.name)

    def run(self) -> None:
        """Predict all failures, wait, and again, until `stop` is set."""
        self.page.restore()
        every = self.config.predictions.every
        while self.watches and not self.stop.is_set():
            for watch in self.watches:
                if not self.stop.is_set():
                    self._take(watch)
            self._publish()
            now = self.clock.time()
            if self.clock.wait((np.floor(now / every) + 1) * every - now, self.stop):
                return

    def newest(self, now: float) -> list[Predictions]:
        """Return the newest predictions of each failure that are not too old."""
        found = (watch.newest for watch in self.watches)
        return [one for one in found if one is not None and abs(now - one.time) <= self.stale_after]

    def _take(self, watch: Watch) -> None:
        """Predict one failure; no error ends the loop."""
        try:
            self._predict(watch)
        except SourceError as error:
            self.metrics.errors.labels(watch.name, str(error.reason)).inc()
            if watch.name not in self._failing:
                self._failing.add(watch.name)
                self.log.warning("prediction failed, will be tried again", failure=watch.name, error=error)
        except Exception:
            self.metrics.errors.labels(watch.name, INTERNAL).inc()
            self.log.exception("prediction failed by a mistake of ours, please report it", failure=watch.name)
        else:
            self._failing.discard(watch.name)

    def _predict(self, watch: Watch) -> None:
        now = self.clock.time()
        models = watch.charge.models()
        if [id(one) for one in models] != [id(one) for one in watch.models]:
            watch.models, watch.measured, watch.newest = models, -np.inf, None
            self.metrics.tell(watch.name, models, [watch.charge.headers.get(one.horizon) for one in models])
        if not models:
            return  # nothing to predict by until a training brings it
        panel = watch.reader.read(now - self.config.evaluation.delay)
        failing = self._failing_now(watch, now)
        if watch.newest is None or (watch.newest.time, watch.failing) != (float(panel.times[-1]), failing):
            self._renew(watch, panel, failing, now)
        self.metrics.predictions.labels(watch.name).inc()
        self.metrics.last.labels(watch.name).set(now)

    def _renew(self, watch: Watch, panel: Panel, failing: set[str], now: float) -> None:
        """Predict anew: there is another moment of history, or something else has failed."""
        self._measure(watch, panel, now)
        drifts = [watch.drifts.get(one.horizon, np.nan) for one in watch.models]
        watch.failing = failing
        above = self.config.predictions.explain_above
        watch.newest = predictions(watch.name, panel, failing, watch.models, drifts, above)

    def _failing_now(self, watch: Watch, now: float) -> set[str]:
        """Return the services that have failed: that they will is no question."""
        if watch.naming is None:
            return set()
        answer = self.source.instant(condition(watch.charge.of.failure), now)
        return {key.service_id for key in named(watch.naming, answer).keys}

    def _measure(self, watch: Watch, panel: Panel, now: float) -> None:
        """Hold the inputs against those of training, once an hour."""
        if now - watch.measured < _DRIFT_EVERY:
            return
        watch.measured = now
        for model in watch.models:
            watch.drifts[model.horizon] = found = drift(model, panel, np.random.default_rng(0))
            if not np.isnan(found):
                self.metrics.drift.labels(watch.name, format_duration(model.horizon)).set(found)

    def _publish(self) -> None:
        found = self.newest(self.clock.time())
        if found:
            self.page.show(max(one.time for one in found), text(found))
