"""exporter.yml: what is read from Prometheus, how it is scored, what is published."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator

from presagio.detectors.base import DeadBand, DetectorParams, Direction, Range, Season
from presagio.detectors.calendar import Calendar
from presagio.detectors.together import CombinerParams
from presagio.exporter.api_config import ApiConfig
from presagio.exporter.failure_config import Failure, PredictionsConfig, TrainingConfig
from presagio.exporter.forecast_config import ForecastsConfig, Threshold
from presagio.exporter.presets.catalogue import names as preset_names
from presagio.toolkit import plugins
from presagio.toolkit.errors import PluginError
from presagio.toolkit.labels import Name, Template
from presagio.toolkit.prometheus import PrometheusConfig
from presagio.toolkit.schema import ConfigFile, Finding, Model
from presagio.toolkit.units import Duration, format_duration

Missing = Literal["anomalous", "skip", "zero", "previous"]

IDENTITY = (
    "cluster", "namespace", "deployment", "statefulset", "daemonset", "pod", "container", "node",
    "job", "instance", "device", "mountpoint", "database", "datname", "handler", "route", "method",
)  # fmt: skip
"""Labels of a signal's series that its scores carry too; the rest would be series without meaning."""

OURS = ("service_id", "signal")
"""Labels that every score has of its own."""

_BARE_COUNTER = re.compile(r"\s*[a-zA-Z_:][a-zA-Z0-9_:]*_total\s*(\{[^{}]*\}\s*)?")


class EvaluationConfig(Model):
    """When the signals are read and scored."""

    interval: Duration = Field(15.0, gt=0, description="time between two evaluations, which lie on its multiples")
    delay: Duration = Field(
        5.0, ge=0, description="how long after its time a moment is read, so that all scrapes are in"
    )
    stale_after: Duration = Field(300.0, gt=0, description="results older than this are withdrawn from /metrics")
    control: str = Field(
        "count(up)",
        description="query that always has an answer while Prometheus has data; while it has none, nothing is scored "
        "or learnt. Empty: never look",
    )
    concurrency: int = Field(4, ge=1, le=64, description="queries asked at once")


class WarmStart(Model):
    """Learning from history at start, so that scores mean something minutes after the install."""

    lookback: Duration = Field(
        1_209_600.0, ge=0, description="how far back history is read; 0s learns only from now on"
    )
    fine: Duration = Field(21600.0, ge=0, description="history younger than this is read at each evaluation.interval")
    coarse: Duration = Field(
        300.0,
        gt=0,
        description="time between two moments of older history, cut to a multiple of the interval; if that is the "
        "interval, all of history is read at each",
    )


class Limits(Model):
    """Caps that keep a mistaken query from costing the machine."""

    series: int = Field(100_000, ge=1, description="most series scored; more are refused and counted")
    soft_series: int = Field(80_000, ge=1, description="from here on a warning is logged")


class Services(Model):
    """What is maintained, and by which labels it is known."""

    id: Template = Field(
        Template.braces("{job}"),
        description="service_id from a series' labels, as in {namespace}/{deployment}; a series that has a label "
        "service_id keeps its own",
    )


class Outputs(Model):
    """Which metrics are published beside the score; each is one series more for each series scored."""

    value: bool = Field(True, description="presagio_signal_value")
    expected: bool = Field(True, description="presagio_signal_expected")
    bounds: bool = Field(True, description="presagio_signal_lower_bound and presagio_signal_upper_bound")
    confidence: bool = Field(True, description="presagio_signal_confidence")
    service: bool = Field(
        True, description="the signal counts in presagio_service_anomaly_score, the score of all signals together"
    )


class TogetherConfig(Model):
    """How the signals of a service become one score."""

    combiner: Name = Field("profile_together", description="the combiner's name")
    params: Mapping[str, Any] = Field(default_factory=dict, description="its parameters")


class Signal(Model):
    """A named PromQL query that gives one series for each service, or for each instance of it."""

    name: Name = Field(description="the signal's name, a label value of all its metrics")
    query: str = Field(min_length=1, description="PromQL; counters inside rate() or increase()")
    unit: str = Field("", description="base unit of the value: seconds, bytes, ratio; for people only")
    service_id: Template | None = Field(None, description="overrides services.id for this signal")
    signal_label: Name | None = Field(None, description="label whose value names the signal, instead of `name`")
    direction: Direction = Field("both", description="which deviations count: both, above or below")
    dead_band: DeadBand = Field(default_factory=DeadBand, description="deviations too small to matter")
    missing: Missing = Field(
        "anomalous",
        description="what a vanished series is: anomalous (unless other instances of the service remain), skip, "
        "zero, or previous (its last value)",
    )
    forget_after: Duration = Field(21600.0, gt=0, description="a series absent for so long is forgotten")
    adapt_after: Duration = Field(
        28800.0, gt=0, description="a changed level that holds for so long is the new normal"
    )
    range: Range = Field(default_factory=Range, description="values that are possible at all; others are anomalies")
    season: Season = Field("auto", description="auto finds day and week in the data; none: never look for them")
    detector: Name = Field("profile", description="the detector's name")
    detector_params: Mapping[str, Any] = Field(
        default_factory=dict, description="its parameters, beyond the signal's"
    )
    outputs: Outputs | None = Field(None, description="overrides outputs for this signal")
    forecast: bool | None = Field(
        None,
        description="whether it is forecast; without a word, if it has thresholds or is a failure's limit",
    )
    thresholds: list[Threshold] = Field(default_factory=list, description="limits: how long until each is reached")

    def params(self) -> Mapping[str, Any]:
        """Return what the detector's Params are made of."""
        fields = ("direction", "dead_band", "range", "adapt_after", "season")
        return {**{field: getattr(self, field) for field in fields}, **self.detector_params}


SUBMITTED = Signal(
    name="submitted",
    query="max by (service_id, metric) (presagio_submitted_value)",
    service_id=Template.braces("{service_id}"),
    signal_label="metric",
)
"""What services push through the REST API comes back through Prometheus, like any other signal."""


class ExporterConfig(Model):
    """The whole file."""

    prometheus: PrometheusConfig = Field(default_factory=PrometheusConfig, description="where series are read")
    evaluation: EvaluationConfig = Field(default_factory=EvaluationConfig, description="when")
    warm_start: WarmStart = Field(default_factory=WarmStart, description="history")
    services: Services = Field(default_factory=Services, description="service_id")
    calendar: Calendar = Field(default_factory=Calendar, description="the clock that days and weeks are told by")
    presets: list[str] = Field(default_factory=list, description="ready signals for exporters you already run")
    signals: list[Signal] = Field(default_factory=list, description="your own signals")
    labels: list[Name] = Field(
        default_factory=list, description=f"labels that scores keep beyond these: {', '.join(IDENTITY)}"
    )
    outputs: Outputs = Field(default_factory=Outputs, description="what is published beside the score")
    together: TogetherConfig = Field(default_factory=TogetherConfig, description="all signals of a service together")
    forecasts: ForecastsConfig = Field(default_factory=ForecastsConfig, description="what signals will be")
    failures: list[Failure] = Field(default_factory=list, description="conditions that are predicted")
    training: TrainingConfig = Field(default_factory=TrainingConfig, description="learning from past failures")
    predictions: PredictionsConfig = Field(default_factory=PredictionsConfig, description="predicting failures")
    limits: Limits = Field(default_factory=Limits, description="caps")
    api: ApiConfig | None = Field(None, description="the REST API; without this section it is off")

    @field_validator("presets")
    @classmethod
    def _known(cls, presets: list[str]) -> list[str]:
        for name in presets:
            if name not in preset_names():
                raise ValueError(f"presets of {', '.join(preset_names())}, got {name!r}")
        return presets


def lint(config: ExporterConfig) -> Iterator[Finding]:
    """Yield the mistakes that no field alone shows."""
    counts = Counter([SUBMITTED.name, *(signal.name for signal in config.signals)])
    for index, signal in enumerate(config.signals):
        path = ("signals", index)
        if counts[signal.name] > 1:
            yield Finding((*path, "name"), "a name that no other signal has", repr(signal.name))
        if _BARE_COUNTER.fullmatch(signal.query):
            remedy = f"a counter inside a function, such as rate({signal.query.strip()}[5m])"
            yield Finding((*path, "query"), remedy, repr(signal.query))
        yield from _detector(signal, path)
    yield from _combiner(config.together)
    for index, label in enumerate(config.labels):
        if label in OURS:
            yield Finding(("labels", index), f"a label beside {' and '.join(OURS)}", repr(label))
    if config.api:
        yield from config.api.lint(("api",))
    if config.limits.soft_series > config.limits.series:
        got = f"{config.limits.soft_series}"
        yield Finding(("limits", "soft_series"), f"at most limits.series ({config.limits.series})", got)
    yield from _times(config)
    yield from _future(config)


def _future(config: ExporterConfig) -> Iterator[Finding]:
    yield from config.forecasts.lint(("forecasts",))
    yield from config.training.lint(("training",))
    counts = Counter(failure.name for failure in config.failures)
    for index, failure in enumerate(config.failures):
        if counts[failure.name] > 1:
            yield Finding(("failures", index, "name"), "a name that no other failure has", repr(failure.name))
        yield from failure.lint(("failures", index))
    for index, signal in enumerate(config.signals):
        names = Counter(threshold.name for threshold in signal.thresholds)
        for number, threshold in enumerate(signal.thresholds):
            if names[threshold.name] > 1:
                path = ("signals", index, "thresholds", number, "name")
                yield Finding(path, "a name that no other threshold of the signal has", repr(threshold.name))


def _times(config: ExporterConfig) -> Iterator[Finding]:
    when = config.evaluation
    if when.stale_after < 2 * when.interval + when.delay:
        least = format_duration(2 * when.interval + when.delay)
        remedy = f"at least two intervals and the delay ({least})"
        yield Finding(("evaluation", "stale_after"), remedy, format_duration(when.stale_after))
    for index, signal in enumerate(config.signals):
        if signal.forget_after < 2 * when.interval:
            remedy = f"at least two intervals ({format_duration(2 * when.interval)})"
            yield Finding(("signals", index, "forget_after"), remedy, format_duration(signal.forget_after))
    yield from _coarse(config)


def _coarse(config: ExporterConfig) -> Iterator[Finding]:
    """Between two coarse moments no series may be forgotten: all would begin anew at each."""
    warm, interval = config.warm_start, config.evaluation.interval
    least = min((signal.forget_after for signal in config.signals), default=2 * warm.coarse)
    if warm.lookback > warm.fine and warm.coarse >= 2 * interval and 2 * warm.coarse > least >= 2 * interval:
        remedy = f"at most half of the shortest forget_after ({format_duration(least)})"
        yield Finding(("warm_start", "coarse"), remedy, format_duration(warm.coarse))


def _detector(signal: Signal, path: tuple[str | int, ...]) -> Iterator[Finding]:
    try:
        params: type[DetectorParams] = plugins.load(plugins.DETECTORS, signal.detector).Params
        params.model_validate(signal.params())
    except PluginError as error:
        yield Finding((*path, "detector"), "an installed detector", str(error))
    except ValidationError as error:
        for one in error.errors():
            inner = (*path, "detector_params", *one["loc"])
            yield Finding(
                inner, f"a valid parameter of {signal.detector!r} ({one['msg'].lower()})", repr(one["input"])
            )


def _combiner(together: TogetherConfig) -> Iterator[Finding]:
    name = together.combiner
    try:
        params: type[CombinerParams] = plugins.load(plugins.COMBINERS, name).Params
        params.model_validate(together.params)
    except PluginError as error:
        yield Finding(("together", "combiner"), "an installed combiner", str(error))
    except ValidationError as error:
        for one in error.errors():
            remedy = f"a valid parameter of {name!r} ({one['msg'].lower()})"
            yield Finding(("together", "params", *one["loc"]), remedy, repr(one["input"]))


_KEYS = {"signals", "presets", "services", "evaluation", "warm_start", "forecasts", "failures", "training"}
"""Keys that only this file has."""

FILE = ConfigFile(
    kind="exporter",
    model=ExporterConfig,
    recognises=lambda data: bool(_KEYS & set(data)),
    lint=lint,
)
