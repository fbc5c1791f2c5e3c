"""Training: from a failure's past to the models in use, one for each horizon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np

from presagio.exporter.config import ExporterConfig
from presagio.exporter.episodes import Episodes
from presagio.exporter.evaluation import Source, Span
from presagio.exporter.failure_config import Failure
from presagio.exporter.failure_history import episodes
from presagio.exporter.learning import (
    Candidate,
    Lesson,
    candidate,
    judged,
    lesson,
    new_predictor,
    no_worse,
    recoded,
)
from presagio.exporter.models import Header, Model, ModelError, Shelf, load
from presagio.exporter.panel import Panel
from presagio.exporter.panel_reader import PanelReader, Subject, subject
from presagio.exporter.quality import Quality, quality
from presagio.forecasters.base import Progress, TooFewFailuresError
from presagio.forecasters.engine import LOCAL, fit
from presagio.toolkit.clock import Clock
from presagio.toolkit.errors import PresagioError
from presagio.toolkit.log import Log
from presagio.toolkit.units import format_duration

_READ = 0.2
"""Share of a training that reading takes, for the bar."""


class Result(StrEnum):
    """What came of a training: the label `outcome` of presagio_trainings_total."""

    REPLACED = "replaced"
    KEPT = "kept"
    TOO_FEW = "too_few"
    FAILED = "failed"


@dataclass(frozen=True)
class Outcome:
    """What came of one failure and horizon (seconds): `why` in words; the quality of the new and of the old model."""

    failure: str
    horizon: float
    result: Result
    why: str
    used: str = ""
    failures: int = 0
    examples: int = 0
    new: Quality | None = None
    old: Quality | None = None


class Trainer:
    """Trains the models of failures and puts those on the shelf that are no worse than what is there."""

    def __init__(
        self,
        config: ExporterConfig,
        source: Source,
        shelf: Shelf,
        folder: Path,
        clock: Clock,
        log: Log,
        seed: int = 0,
    ) -> None:
        self.config = config
        self.source = source
        self.shelf = shelf
        self.folder = folder
        self.clock = clock
        self.log = log
        self.seed = seed

    def train(self, failure: Failure, progress: Progress, is_dry: bool = False) -> list[Outcome]:
        """Return what came of each horizon; what goes wrong with one failure is an outcome, and no error."""
        of = subject(self.config, failure)
        try:
            panel, found = self._past(of, lambda share: progress(_READ * share))
            self._note(panel, found)
        except PresagioError as error:
            return [Outcome(failure.name, one, Result.FAILED, str(error)) for one in failure.horizons]
        share = (1 - _READ) / len(failure.horizons)
        return [
            self._learnt(of, panel, found, horizon, _part(progress, _READ + share * number, share), is_dry)
            for number, horizon in enumerate(failure.horizons)
        ]

    def _learnt(
        self, of: Subject, panel: Panel, found: Episodes, horizon: float, progress: Progress, is_dry: bool
    ) -> Outcome:
        """Return what came of one horizon; what a predictor raises ends neither the others nor other failures."""
        try:
            return self._horizon(of, panel, found, horizon, progress, is_dry)
        except MemoryError:
            told = "out of memory: raise training.memory, or lower training.examples or training.lookback"
        except Exception as error:
            self.log.exception("training failed", failure=of.failure.name, horizon=format_duration(horizon))
            told = f"{type(error).__name__}: {error}; the log has more"
        return Outcome(of.failure.name, horizon, Result.FAILED, told)

    def _past(self, of: Subject, progress: Progress) -> tuple[Panel, Episodes]:
        how = self.config.training
        end = np.floor((self.clock.time() - self.config.evaluation.delay) / how.step) * how.step
        steps = round(how.lookback / how.step)
        span = Span(float(end - (steps - 1) * how.step), float(end), how.step)
        found = episodes(self.source, self.config, of.failure, span, self.folder)
        progress(0.1)
        panel = PanelReader(self.source, self.config, of, how.lookback).read(span.end)
        progress(1.0)
        return panel, found

    def _note(self, panel: Panel, found: Episodes) -> None:
        strangers = sorted(set(found.services) - set(panel.services))
        if strangers:
            self.log.warning("services failed that have no signals: nothing is learnt from them", services=strangers)

    def _horizon(
        self, of: Subject, panel: Panel, found: Episodes, horizon: float, progress: Progress, is_dry: bool
    ) -> Outcome:
        rng = np.random.default_rng(self.seed)
        kinds = tuple(sorted(set(panel.kinds)))
        name = of.failure.name
        learnt = lesson(
            panel, found, of.featuriser(kinds), of.failure, horizon, self.config.training.examples, rng
        )  # fmt: skip
        progress(0.3)
        try:
            new = self._candidate(of.failure, learnt, _part(progress, 0.3, 0.6), rng)
        except PresagioError as error:
            result = Result.TOO_FEW if isinstance(error, TooFewFailuresError) else Result.FAILED
            return Outcome(name, horizon, result, str(error), "", learnt.earlier.distinct, len(learnt.earlier))
        outcome = self._compared(of, horizon, learnt, new, kinds)
        if outcome.result is Result.REPLACED and not is_dry:
            self.shelf.put(self._model(of, horizon, learnt, new, kinds), self.config.training.keep)
        progress(1.0)
        return outcome

    def _candidate(self, failure: Failure, learnt: Lesson, progress: Progress, rng: np.random.Generator) -> Candidate:
        engine, params = self.config.training.engine, failure.predictor_params
        predictor = new_predictor(failure.predictor, params, self.seed)
        if engine == LOCAL:
            return candidate(learnt, predictor, progress, rng)
        predictor.restore(fit(engine, failure.predictor, params, self.seed, learnt.earlier))
        return judged(learnt, predictor, rng)

    def _compared(self, of: Subject, horizon: float, learnt: Lesson, new: Candidate, kinds: Sequence[str]) -> Outcome:
        """Return whether the new one takes over: both are held against the same newest time."""
        used = str(getattr(new.predictor, "used", of.failure.predictor))
        name, earlier = of.failure.name, learnt.earlier
        least = new.predictor.params.min_failures
        if used != of.failure.predictor and earlier.distinct < least:
            told = f"{earlier.distinct} failures are known and {least} are needed to learn from"
            until = f"{told}; until then the forecast of the limit speaks alone"
            return Outcome(name, horizon, Result.TOO_FEW, until, "", earlier.distinct, len(earlier))

        def outcome(result: Result, why: str, old: Quality | None = None) -> Outcome:
            return Outcome(name, horizon, result, why, used, earlier.distinct, len(earlier), new.quality, old)

        path = self.shelf.current(name, horizon)
        if path is None:
            return outcome(Result.REPLACED, "the first model")
        try:
            old = load(path, of.definition(horizon))
            predictor = new_predictor(old.header.predictor, old.header.params, self.seed)
            predictor.restore(old.state)
        except (ModelError, ValueError, KeyError) as error:
            return outcome(Result.REPLACED, f"the model before is of no use: {error}")
        probability = predictor.predict(recoded(learnt.later.inputs, tuple(kinds), old.header.kinds))
        held = quality(learnt.later, probability, learnt.begins)
        if no_worse(new.probability, probability, learnt.later):
            return outcome(Result.REPLACED, "no worse on the newest time", held)
        return outcome(Result.KEPT, "worse than the model in use on the newest time, which stays", held)

    def _model(self, of: Subject, horizon: float, learnt: Lesson, new: Candidate, kinds: tuple[str, ...]) -> Model:
        times = learnt.earlier.times
        header = Header(
            failure=of.failure.name, horizon=horizon, predictor=of.failure.predictor,
            used=str(getattr(new.predictor, "used", of.failure.predictor)),
            params=dict(of.failure.predictor_params), definition=of.definition(horizon),
            features=learnt.earlier.inputs.names, kinds=kinds, failures=learnt.earlier.distinct,
            begin=float(times[0]) if len(times) else 0.0, end=float(times[-1]) if len(times) else 0.0,
            trained=self.clock.time(), quality=new.quality,
        )  # fmt: skip
        return Model(header, new.predictor.state(), new.reference)


def told(outcome: Outcome) -> str:
    """Return an outcome as a line for a log or a table."""
    parts = [f"{outcome.failure} within {format_duration(outcome.horizon)}: {outcome.result.value}, {outcome.why}"]
    if outcome.new is not None:
        parts.append(
            f"Brier skill {outcome.new.brier_skill:.2f}, average precision {outcome.new.average_precision:.2f}"
        )
    if outcome.old is not None:
        parts.append(f"before {outcome.old.brier_skill:.2f} and {outcome.old.average_precision:.2f}")
    return "; ".join(parts)


def _part(progress: Progress, begin: float, share: float) -> Progress:
    return lambda done: progress(begin + share * done)
