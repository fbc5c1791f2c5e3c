"""Where the exporter is put together: the only place that knows all its parts."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from zoneinfo import ZoneInfo

from prometheus_client import CollectorRegistry

from presagio.detectors.base import Detector
from presagio.detectors.calendar import Calendar
from presagio.detectors.together import Combiner
from presagio.exporter.config import ExporterConfig, Limits, Signal
from presagio.exporter.engine import Engine
from presagio.exporter.evaluation import Evaluation, Source, Timing
from presagio.exporter.failure_config import Failure
from presagio.exporter.failure_history import condition
from presagio.exporter.failures import configured_failures, forecast_signals
from presagio.exporter.feedback_book import MOST, Book
from presagio.exporter.forecast_metrics import ForecastMetrics
from presagio.exporter.forecast_worker import Worker
from presagio.exporter.forecasting import Forecasting, Turn
from presagio.exporter.history import Reader
from presagio.exporter.in_charge import InCharge
from presagio.exporter.in_force import InForce
from presagio.exporter.lockstep import Rendezvous
from presagio.exporter.loop import Loop
from presagio.exporter.metrics import FeedbackMetrics, Metrics
from presagio.exporter.models import MODELS, Shelf
from presagio.exporter.panel_reader import live_reader, subject
from presagio.exporter.predicting import Predicting, Watch
from presagio.exporter.prediction_metrics import PredictionMetrics
from presagio.exporter.publish import Page
from presagio.exporter.relearn import Relearning
from presagio.exporter.sharding import WHOLE, Shard
from presagio.exporter.signals import configured, namings
from presagio.exporter.store import Store
from presagio.exporter.together import Together
from presagio.exporter.training_process import Training
from presagio.toolkit import plugins
from presagio.toolkit.clock import Clock
from presagio.toolkit.durable import locked
from presagio.toolkit.log import Log, get_log
from presagio.toolkit.prometheus import Prometheus


def detector(signal: Signal, calendar: Calendar) -> Detector:
    """Return a new detector for a signal, with the signal's parameters, that tells days and weeks by the calendar."""
    kind = plugins.load(plugins.DETECTORS, signal.detector)
    made: Detector = kind(kind.Params.model_validate({"calendar": calendar, **signal.params()}))
    return made


def rendezvous(config: ExporterConfig, when: Timing) -> Rendezvous | None:
    """Return where all signals of a service come together; None if no signal takes part."""
    signals = {one.name: one for one in configured(config) if (one.outputs or config.outputs).service}
    if not signals:
        return None
    kind = plugins.load(plugins.COMBINERS, config.together.combiner)
    params = kind.Params.model_validate(config.together.params)
    made: Combiner = kind(params)
    patience = {name: signal.forget_after for name, signal in signals.items()}
    together = Together(made, patience, f"{config.together.combiner} {params.model_dump_json()}")
    return Rendezvous(together, when, patience)


def timing(config: ExporterConfig) -> Timing:
    """Return the moments of evaluation."""
    warm = config.warm_start
    return Timing(config.evaluation.interval, warm.lookback, config.evaluation.control, warm.fine, warm.coarse)


def evaluations(
    config: ExporterConfig, source: Source, when: Timing, registry: CollectorRegistry, shard: Shard = WHOLE
) -> Sequence[Evaluation]:
    """Return one evaluation for each signal; together they stay within the cap on series."""
    signals = configured(config)
    names = namings(config, signals, shard)
    engines = [Engine(naming.signal, detector(naming.signal, config.calendar), naming.definition) for naming in names]
    metrics = Metrics(registry)
    metrics.limit.set(config.limits.series)
    metrics.soft_limit.set(config.limits.soft_series)
    log = get_log("exporter.evaluation")

    for signal in signals:
        metrics.know(signal.name)
    room = _room(engines, config.limits, log)
    return [
        Evaluation(engine, naming, source, when, room, metrics, log)
        for engine, naming in zip(engines, names, strict=True)
    ]


def _room(engines: Sequence[Engine], limits: Limits, log: Log) -> Callable[[], AbstractContextManager[int]]:
    """Return what lends the room that is left for new series; it warns once that there is little."""
    taking, warned = threading.Lock(), threading.Event()

    @contextmanager
    def room() -> Iterator[int]:
        with taking:  # two signals must not take the same room
            yield limits.series - sum(len(engine.keys) for engine in engines)
            series = sum(len(engine.keys) for engine in engines)
            if series >= limits.soft_series and not warned.is_set():
                warned.set()
                log.warning("limits.soft_series is reached", series=series, limit=limits.series)

    return room


def loop(
    config: ExporterConfig, folder: Path, registry: CollectorRegistry, clock: Clock, shard: Shard = WHOLE
) -> tuple[Page, Loop]:
    """Return the page and the loop that fills it; what people said is kept in `folder`, snapshots in the shard's."""
    when = timing(config)
    page = Page(configured(config), config.outputs, config.evaluation.stale_after)
    store = Store(shard.folder(folder), clock, get_log("exporter.store"))
    store.load_page(page)
    parts = evaluations(config, Prometheus(config.prometheus), when, registry, shard)
    return page, Loop(
        parts, when, config.evaluation, page, store, lambda: locked(folder / "lock"), clock, get_log("exporter.loop"),
        rendezvous(config, when), relearning(config, parts, folder, registry, clock),
    )  # fmt: skip


def forecasting(
    config: ExporterConfig, source: Source, folder: Path, registry: CollectorRegistry, clock: Clock,
    shard: Shard = WHOLE,
) -> Forecasting:  # fmt: skip
    """Return what forecasts the signals that are to be, each by its own query."""
    wanted = forecast_signals(config, configured_failures(config))
    how = config.forecasts
    turns = [
        Turn(one.signal, Reader(source, one, one.signal.query, how.step, how.lookback))
        for one in namings(config, wanted, shard)
    ]
    metrics, log = ForecastMetrics(registry), get_log("exporter.forecasts")
    stale = config.evaluation.stale_after
    return Forecasting(turns, how, source, Worker(), shard.folder(folder), metrics, clock, log, stale)


def predicting(
    config: ExporterConfig, source: Source, arguments: argparse.Namespace, registry: CollectorRegistry, clock: Clock,
    shard: Shard = WHOLE,
) -> tuple[Predicting, Training]:  # fmt: skip
    """Return what predicts the failures of a shard's services, and what learns them from those of all."""
    failures = configured_failures(config) if config.predictions.enabled else []
    folder: Path = arguments.storage_path
    metrics, log = PredictionMetrics(registry), get_log("exporter.predictions")
    watches = [_watch(config, source, failure, Shelf(folder / MODELS), shard) for failure in failures]
    names = [failure.name for failure in failures]
    training = Training(
        names, config.training, arguments, folder / MODELS, metrics, clock, get_log("exporter.training")
    )
    return Predicting(watches, config, source, shard.folder(folder), metrics, clock, log), training


def _watch(config: ExporterConfig, source: Source, failure: Failure, shelf: Shelf, shard: Shard) -> Watch:
    of = subject(config, failure)
    naming = None
    if failure.csv is None:
        signal = Signal(name=failure.name, query=condition(failure), service_id=failure.service_id)
        naming = namings(config, [signal], shard)[0]
    return Watch(live_reader(source, config, of, shard), InCharge(of, shelf, get_log("exporter.predictions")), naming)


def relearning(
    config: ExporterConfig, parts: Sequence[Evaluation], folder: Path, registry: CollectorRegistry, clock: Clock
) -> Relearning:
    """Return what heeds the feedback that is kept in `folder`; feedback counts with or without the API."""

    def make(engine: Engine) -> Engine:
        return Engine(engine.signal, detector(engine.signal, config.calendar), engine.names)

    log = get_log("exporter.feedback")
    return Relearning(parts, in_force(config, folder, clock), make, FeedbackMetrics(registry), clock, log)


def in_force(config: ExporterConfig, folder: Path, clock: Clock) -> InForce:
    """Return the feedback that is kept in `folder`."""
    most = config.api.max_feedback if config.api else MOST
    book = Book(folder, clock, get_log("exporter.feedback"), most)
    return InForce(book, ZoneInfo(config.calendar.time_zone))
