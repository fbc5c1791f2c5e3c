"""Which model is in charge of a failure now: the one on the shelf if it fits, else the forecast."""

from __future__ import annotations

from pathlib import Path

from presagio.exporter.learning import new_predictor
from presagio.exporter.models import Header, ModelError, Shelf, load
from presagio.exporter.panel_reader import Subject
from presagio.exporter.prediction import InUse
from presagio.toolkit.log import Log

FORECAST = "forecast"


class InCharge:
    """Loads what is on the shelf, and again when there is something else. `headers`: of the models in use."""

    def __init__(self, of: Subject, shelf: Shelf, log: Log) -> None:
        self.of = of
        self.shelf = shelf
        self.log = log
        self.headers: dict[float, Header] = {}
        self._loaded: dict[float, tuple[Path | None, InUse | None]] = {}

    def models(self) -> list[InUse]:
        """Return what predicts each horizon; a horizon that nothing can predict is left out."""
        return [model for horizon in self.of.failure.horizons if (model := self._model(horizon)) is not None]

    def _model(self, horizon: float) -> InUse | None:
        path = self.shelf.current(self.of.failure.name, horizon)
        known = self._loaded.get(horizon)
        if known is None or known[0] != path:
            known = self._loaded[horizon] = (path, self._load(path, horizon))
        return known[1]

    def _load(self, path: Path | None, horizon: float) -> InUse | None:
        self.headers.pop(horizon, None)
        if path is not None:
            try:
                return self._kept(path, horizon)
            except (ModelError, ValueError, KeyError) as error:
                self.log.warning("model is not used", failure=self.of.failure.name, error=error)
        if self.of.failure.limit is None:
            return None
        return InUse(FORECAST, horizon, new_predictor(FORECAST, {}), self.of.featuriser())

    def _kept(self, path: Path, horizon: float) -> InUse:
        model = load(path, self.of.definition(horizon))
        header = model.header
        predictor = new_predictor(header.predictor, header.params)
        predictor.restore(model.state)
        self.headers[horizon] = header
        self.log.info("model in use", failure=header.failure, model=path.name, used=header.used)
        featuriser = self.of.featuriser(header.kinds)
        return InUse(header.used, horizon, predictor, featuriser, header.failures, model.reference)
