"""The parts of exporter.yml that are about failures: what has failed, learning from it, and predicting it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError, model_validator

from presagio.exporter.forecast_config import Side
from presagio.forecasters.base import PredictorParams
from presagio.toolkit import plugins
from presagio.toolkit.errors import PluginError
from presagio.toolkit.labels import Name, Template
from presagio.toolkit.schema import Finding, Model
from presagio.toolkit.units import Duration, format_duration

_COMPARISON = re.compile(r"\s*([a-zA-Z_]\w*)\s*(>=|<=|>|<)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*")


class Limit(Model):
    """The failure is that a signal is beyond this: forecasts of the signal then tell how near it is."""

    signal: Name = Field(description="a signal's name")
    value: float = Field(description="the limit, in the signal's unit")
    direction: Side = Field("above", description="on which side of the limit is failure: above or below")


class Failure(Model):
    """A named condition that says: this has failed. One of query, alert and csv tells when it was so."""

    name: Name = Field(description="the failure's name, the label `failure` of its metrics")
    query: str | None = Field(
        None, min_length=1,
        description="PromQL with a sample while it has failed, as in `memory_ratio > 0.98`; a signal's name in a "
        "comparison with a number stands for the signal's query",
    )  # fmt: skip
    alert: str | None = Field(None, min_length=1, description="name of an alert: it has failed while that fires")
    csv: Path | None = Field(
        None, description="file with the columns service_id, start and end, in Unix time or ISO 8601, beside this: "
        "failures that no metric tells",
    )  # fmt: skip
    service_id: Template | None = Field(None, description="overrides services.id for this failure")
    limit: Limit | None = Field(
        None, description="the limit whose crossing is the failure; found by itself where query is such a comparison"
    )
    horizons: list[Duration] = Field(
        default_factory=lambda: [3600.0, 21600.0], min_length=1,
        description="within which time it is predicted to begin, ascending",
    )  # fmt: skip
    signals: list[Name] = Field(
        default_factory=list, description="signals it is predicted from; without any, all of the service"
    )
    hold: Duration = Field(0.0, ge=0, description="a condition that held for less than this was no failure")
    merge: Duration = Field(300.0, ge=0, description="two that are nearer than this are one failure")
    gap: Duration = Field(
        0.0, ge=0, description="moments so shortly before a failure are not learnt from: too late to be of use"
    )
    predictor: Name = Field("combination", description="the predictor's name")
    predictor_params: Mapping[str, Any] = Field(default_factory=dict, description="its parameters")

    @model_validator(mode="after")
    def _one(self) -> Self:
        told = [name for name in ("query", "alert", "csv") if getattr(self, name) is not None]
        if len(told) != 1:
            got = " and ".join(told) or "none"
            raise ValueError(f"exactly one of query, alert and csv for failure {self.name!r}, got {got}")
        return self

    @property
    def comparison(self) -> tuple[str, str, float] | None:
        """The query as name, operator and number, if it has that form; such a signal need not exist."""
        found = _COMPARISON.fullmatch(self.query or "")
        return (found[1], found[2], float(found[3])) if found else None

    def lint(self, path: tuple[str | int, ...]) -> Iterator[Finding]:
        """Yield the mistakes that no field alone shows."""
        for index, (one, other) in enumerate(pairwise(self.horizons)):
            if one >= other:
                remedy = f"a horizon longer than the one before ({format_duration(one)})"
                yield Finding((*path, "horizons", index + 1), remedy, format_duration(other))
        if self.horizons[0] <= self.gap:
            remedy = f"horizons longer than the gap ({format_duration(self.gap)})"
            yield Finding((*path, "horizons", 0), remedy, format_duration(self.horizons[0]))
        yield from self._predictor(path)

    def _predictor(self, path: tuple[str | int, ...]) -> Iterator[Finding]:
        try:
            params: type[PredictorParams] = plugins.load(plugins.PREDICTORS, self.predictor).Params
            params.model_validate(self.predictor_params)
        except PluginError as error:
            yield Finding((*path, "predictor"), "an installed predictor", str(error))
        except ValidationError as error:
            for one in error.errors():
                inner = (*path, "predictor_params", *one["loc"])
                remedy = f"a valid parameter of {self.predictor!r} ({one['msg'].lower()})"
                yield Finding(inner, remedy, repr(one["input"]))


class TrainingConfig(Model):
    """Learning from past failures: by `presagio train`, or by the exporter on a schedule of its own."""

    enabled: bool = Field(True, description="false: the exporter never trains; `presagio train` still may")
    every: Duration = Field(86400.0, gt=0, description="time between two trainings")
    lookback: Duration = Field(2_592_000.0, gt=0, description="history that is learnt from")
    step: Duration = Field(300.0, gt=0, description="time between two moments of that history")
    windows: list[Duration] = Field(
        default_factory=lambda: [3600.0, 21600.0, 86400.0], min_length=1,
        description="spans before a moment that features are made of: means, slopes, extremes",
    )  # fmt: skip
    recent: int = Field(48, ge=0, description="steps before a moment that sequence models see as they are")
    examples: int = Field(200_000, ge=1000, description="most moments learnt from; quiet ones are left out at random")
    memory: int = Field(4 << 30, ge=1 << 28, description="bytes that a training process may take")
    keep: int = Field(3, ge=1, description="models kept for each failure, for `presagio train --rollback`")
    engine: str = Field(
        "local", pattern=r"^(local|dask://\S+)$", description="where models are fitted: local, or dask://host:port"
    )

    def lint(self, path: tuple[str | int, ...]) -> Iterator[Finding]:
        """Yield the mistakes that no field alone shows."""
        for index, window in enumerate(self.windows):
            if window < 2 * self.step:
                remedy = f"at least two steps ({format_duration(2 * self.step)})"
                yield Finding((*path, "windows", index), remedy, format_duration(window))
        if self.lookback < 2 * max(self.windows):
            remedy = f"at least twice the longest window ({format_duration(2 * max(self.windows))})"
            yield Finding((*path, "lookback"), remedy, format_duration(self.lookback))


class PredictionsConfig(Model):
    """Predicting failures from the present."""

    enabled: bool = Field(True, description="false: no failure is predicted")
    every: Duration = Field(60.0, gt=0, description="time between two predictions")
    explain_above: float = Field(
        0.5, ge=0, le=1, description="probabilities from here on are explained, in the REST API and on the page"
    )
