"""The exporter as a server: the loop in the background, the metrics page and the REST API in front."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from flask import Flask
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from presagio.exporter import api, feedback_api, prediction_api, score_api, sharding, wiring
from presagio.exporter.config import FILE, ExporterConfig
from presagio.exporter.forecasting import Forecasting
from presagio.exporter.loop import Loop
from presagio.exporter.predicting import Predicting
from presagio.exporter.prediction import Predictions
from presagio.exporter.registry import Registry
from presagio.exporter.together import ServiceScores
from presagio.exporter.training_process import Training
from presagio.toolkit import web
from presagio.toolkit.clock import Clock
from presagio.toolkit.log import get_log
from presagio.toolkit.prometheus import Prometheus
from presagio.toolkit.serve import Context
from presagio.toolkit.webconfig import Guard

Part = Callable[[float], bytes]
"""A part of the metrics page at a time, in Unix seconds."""

_PATIENCE = 20.0
"""Seconds for the loop's last turn and its snapshot; one that still waits for the storage has nothing to write."""


class Exporter:
    """A running exporter: what toolkit.serve starts and stops in the worker."""

    def __init__(
        self, app: Flask, loop: Loop, forecasting: Forecasting, predicting: Predicting, training: Training,
        registry: Registry | None,
    ) -> None:  # fmt: skip
        self.app = app
        self.loop = loop
        self.forecasting = forecasting
        self.predicting = predicting
        self.training = training
        self.registry = registry
        self.thread = threading.Thread(target=loop.run, name="loop", daemon=True)
        self.relearning = threading.Thread(target=loop.relearn, name="relearning", daemon=True)
        self.beside = [
            threading.Thread(target=forecasting.run, name="forecasts", daemon=True),
            threading.Thread(target=predicting.run, name="predictions", daemon=True),
            threading.Thread(target=training.run, args=(lambda: loop.ready,), name="training", daemon=True),
        ]

    def start(self) -> None:
        """Start the loop; it waits for an older worker to let go of the storage."""
        self.thread.start()
        self.relearning.start()
        for thread in self.beside:
            thread.start()

    def stop(self) -> None:
        """Stop the loop, which writes its snapshot, and write the submitted values."""
        self.loop.stop.set()
        self.forecasting.end()
        self.predicting.stop.set()
        self.training.end()
        if self.thread.ident is not None:
            self.thread.join(_PATIENCE)
        if self.registry:
            self.registry.save()


class ExporterWing:
    """`presagio exporter` for toolkit.serve."""

    name = "exporter"
    file = FILE

    def build(self, config: ExporterConfig, context: Context) -> Exporter:
        """Put the exporter together. Raises SecretError if the API has no key."""
        folder = context.arguments.storage_path
        shard = sharding.of(context.arguments)
        shard.folder(folder).mkdir(parents=True, exist_ok=True)
        page, loop = wiring.loop(config, folder, context.registry, context.clock, shard)
        source = Prometheus(config.prometheus)
        forecasting = wiring.forecasting(config, source, folder, context.registry, context.clock, shard)
        predicting, training = wiring.predicting(
            config, Prometheus(config.prometheus), context.arguments, context.registry, context.clock, shard
        )
        registry = _registry(config, context) if config.api else None
        parts = (page.text, forecasting.page, predicting.page.text, *([registry.page] if registry else []))
        app = web.create(_site(parts, loop, context), context.registry, context.log)

        def newest() -> list[Predictions]:
            return predicting.newest(context.clock.time())

        app.register_blueprint(prediction_api.page(newest))
        if config.api and registry:
            guard = Guard(config.api, context.log)
            app.register_api(api.create(registry, guard))
            app.register_api(prediction_api.create(newest, guard))
            if loop.relearning:
                app.register_api(feedback_api.create(loop, loop.relearning, context.clock, guard, shard))
            if loop.rendezvous:
                app.register_api(score_api.create(lambda: _newest(loop, config, context.clock), guard, shard))
        return Exporter(app, loop, forecasting, predicting, training, registry)


def _newest(loop: Loop, config: ExporterConfig, clock: Clock) -> ServiceScores | None:
    """Return the services' scores, unless they are so old that the page does not show them either."""
    scores = loop.services
    if scores is None or abs(clock.time() - scores.time) > config.evaluation.stale_after:
        return None
    return scores


def _registry(config: ExporterConfig, context: Context) -> Registry:
    assert config.api is not None  # noqa: S101 # for the type checker: the caller has looked
    registry = Registry(context.arguments.storage_path, config.api, context.clock, get_log("exporter.registry"))
    services = Gauge("presagio_registered_services", "Services registered.", registry=context.registry)
    services.set_function(lambda: len(registry.services()))
    return registry


def _site(parts: Sequence[Part], loop: Loop, context: Context) -> web.Site:
    return web.Site(
        title="Presagio exporter",
        description="Anomaly scores of services, for Prometheus to scrape.",
        metrics=lambda: metrics(parts, context.registry, context.clock),
        ready=lambda: None if loop.ready else "reading history, or Prometheus cannot be asked; see the log",
        reload=context.reload,
        links={"/predictions": "predicted failures"},
    )


def metrics(parts: Sequence[Part], own: CollectorRegistry, clock: Clock) -> bytes:
    """Return the whole page: nothing of it is computed now but our own counters."""
    now = clock.time()
    return b"".join(part(now) for part in parts) + generate_latest(own)
