"""The failures of a configuration: the user's own and the presets', each with its query and its limit found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from presagio.exporter.config import ExporterConfig, Signal
from presagio.exporter.failure_config import Failure, Limit
from presagio.exporter.forecast_config import Threshold
from presagio.exporter.presets import catalogue
from presagio.exporter.signals import configured


def configured_failures(config: ExporterConfig) -> list[Failure]:
    """Return the failures of a configuration: the user's own first, then the presets' that he did not redefine."""
    preset = (Failure.model_validate(one) for name in config.presets for one in catalogue.failures(name))
    found: dict[str, Failure] = {}
    for failure in (*config.failures, *preset):
        found.setdefault(failure.name, failure)
    signals = {signal.name: signal for signal in configured(config)}
    return [resolved(failure, signals) for failure in found.values()]


def resolved(failure: Failure, signals: Mapping[str, Signal]) -> Failure:
    """Return a failure with its query in PromQL, and with its limit if that compares a signal with a number."""
    comparison = failure.comparison
    if comparison is None or comparison[0] not in signals:
        return failure
    name, operator, value = comparison
    limit = failure.limit or Limit(signal=name, value=value, direction="above" if ">" in operator else "below")
    query = f"({signals[name].query}) {operator} {value!r}"
    template = failure.service_id or signals[name].service_id
    return failure.model_copy(update={"query": query, "limit": limit, "service_id": template})


def forecast_signals(config: ExporterConfig, failures: Sequence[Failure]) -> list[Signal]:
    """Return the signals that are forecast: those told to be, or else those with thresholds.

    A failure's limit is a threshold of its signal, named as the failure.
    """
    if not config.forecasts.enabled:
        return []
    signals = [_with_limits(signal, failures) for signal in configured(config)]
    return [one for one in signals if (bool(one.thresholds) if one.forecast is None else one.forecast)]


def _with_limits(signal: Signal, failures: Sequence[Failure]) -> Signal:
    own = {threshold.name for threshold in signal.thresholds}
    more = [
        Threshold(name=failure.name, value=failure.limit.value, direction=failure.limit.direction)
        for failure in failures
        if failure.limit and failure.limit.signal == signal.name and failure.name not in own
    ]
    return signal.model_copy(update={"thresholds": [*signal.thresholds, *more]})
