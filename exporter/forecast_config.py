"""The parts of exporter.yml that are about the future of signals: forecasts and thresholds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from presagio.forecasters.base import ForecasterParams
from presagio.toolkit import plugins
from presagio.toolkit.errors import PluginError
from presagio.toolkit.labels import Name
from presagio.toolkit.schema import Finding, Model
from presagio.toolkit.units import Duration, format_duration

Side = Literal["above", "below"]


class Threshold(Model):
    """A limit that a signal is not to reach."""

    name: Name = Field(description="the label `threshold` of presagio_time_to_threshold_seconds")
    value: float | None = Field(None, description="the limit, in the signal's unit")
    query: str | None = Field(
        None, min_length=1,
        description="PromQL that gives the limit: one series for all, or one for each series of the signal, found by "
        "the labels that both have",
    )  # fmt: skip
    direction: Side = Field("above", description="on which side of the limit it hurts: above or below")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.value is None) == (self.query is None):
            raise ValueError(f"a value or a query, and not both, for threshold {self.name!r}")
        return self


class ForecastsConfig(Model):
    """When and how far signals are forecast."""

    enabled: bool = Field(True, description="false: no forecasts, no times to thresholds")
    every: Duration = Field(900.0, gt=0, description="time between two forecasts of a signal, spread evenly over it")
    choose_every: Duration = Field(
        86400.0, gt=0, description="time after which the model of a series is chosen anew, by its errors on the past"
    )
    lookback: Duration = Field(1_209_600.0, gt=0, description="history that a forecast is made from")
    step: Duration = Field(300.0, gt=0, description="time between two samples of that history")
    horizons: list[Duration] = Field(
        default_factory=lambda: [3600.0, 21600.0, 86400.0], min_length=1,
        description="how far ahead, ascending; thresholds are looked for up to the last",
    )  # fmt: skip
    lower: float = Field(0.1, gt=0, lt=0.5, description="quantile published as presagio_forecast_lower_bound")
    upper: float = Field(0.9, gt=0.5, lt=1, description="quantile published as presagio_forecast_upper_bound")
    forecaster: Name = Field("quick", description="the forecaster's name")
    params: Mapping[str, Any] = Field(default_factory=dict, description="its parameters")
    cpu: float = Field(
        0.25, gt=0, le=64, description="most cores that forecasting takes on average; what does not fit waits"
    )
    series: int = Field(5000, ge=1, description="most series forecast; more are refused and counted")
    engine: str = Field(
        "local", pattern=r"^(local|dask://\S+)$", description="where the models run: local, or dask://host:port"
    )

    def lint(self, path: tuple[str | int, ...]) -> Iterator[Finding]:
        """Yield the mistakes that no field alone shows."""
        for index, (one, other) in enumerate(pairwise(self.horizons)):
            if one >= other:
                remedy = f"a horizon longer than the one before ({format_duration(one)})"
                yield Finding((*path, "horizons", index + 1), remedy, format_duration(other))
        if self.horizons[0] < self.step:
            remedy = f"at least forecasts.step ({format_duration(self.step)})"
            yield Finding((*path, "horizons", 0), remedy, format_duration(self.horizons[0]))
        if self.lookback < 10 * self.step:
            remedy = f"at least ten steps ({format_duration(10 * self.step)})"
            yield Finding((*path, "lookback"), remedy, format_duration(self.lookback))
        yield from self._forecaster(path)

    def _forecaster(self, path: tuple[str | int, ...]) -> Iterator[Finding]:
        try:
            params: type[ForecasterParams] = plugins.load(plugins.FORECASTERS, self.forecaster).Params
            params.model_validate(self.params)
        except PluginError as error:
            yield Finding((*path, "forecaster"), "an installed forecaster", str(error))
        except ValidationError as error:
            for one in error.errors():
                remedy = f"a valid parameter of {self.forecaster!r} ({one['msg'].lower()})"
                yield Finding((*path, "params", *one["loc"]), remedy, repr(one["input"]))
