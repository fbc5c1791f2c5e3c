"""The panel of a failure from Prometheus: the same reading for training and live, so that both see the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from presagio.detectors.base import Floats
from presagio.exporter.config import ExporterConfig, Signal
from presagio.exporter.evaluation import Source
from presagio.exporter.failure_config import Failure
from presagio.exporter.features import Featuriser
from presagio.exporter.history import History, Reader
from presagio.exporter.panel import Channel, Panel, kind_of
from presagio.exporter.sharding import WHOLE, Shard
from presagio.exporter.signals import configured, namings
from presagio.toolkit.labels import Template

_DAY = 86_400.0


@dataclass(frozen=True)
class Subject:
    """A failure and what it is predicted from: `signals[k]` gives `channels[k]`."""

    failure: Failure
    channels: tuple[Channel, ...]
    signals: tuple[Signal, ...]
    step: float
    windows: tuple[float, ...]
    recent: int

    def featuriser(self, kinds: Sequence[str] = ()) -> Featuriser:
        """Return what makes the features."""
        return Featuriser(self.channels, self.step, self.windows, self.recent, self.failure.limit, kinds)

    def definition(self, horizon: float) -> str:
        """Return a digest of what the failure is, what it is predicted from and by what: models belong to one."""
        of_failure = self.failure.model_dump(mode="json", exclude={"horizons"})
        of_signals = [(signal.query, signal.direction, str(signal.service_id)) for signal in self.signals]
        features = (self.step, self.windows, self.recent, sorted(self.featuriser().describe()))
        whole = json.dumps([of_failure, of_signals, features, horizon], sort_keys=True, default=str)
        return hashlib.sha256(whole.encode()).hexdigest()


def subject(config: ExporterConfig, failure: Failure) -> Subject:
    """Return what a failure is predicted from: each of its signals, its worst instance, and the score of that."""
    wanted = set(failure.signals) | ({failure.limit.signal} if failure.limit and failure.signals else set())
    signals = [one for one in configured(config) if one.signal_label is None and (not wanted or one.name in wanted)]
    channels = [(Channel(one.name, "worst", one.unit), one) for one in signals]
    channels += [(Channel(one.name, "score"), _score(one)) for one in signals]
    how = config.training
    return Subject(
        failure, tuple(channel for channel, _ in channels), tuple(signal for _, signal in channels), how.step,
        tuple(how.windows), how.recent,
    )  # fmt: skip


def _score(signal: Signal) -> Signal:
    """Return the anomaly score of a signal as a signal."""
    query = f'max by (service_id) (presagio_anomaly_score{{signal="{signal.name}"}})'
    return Signal(name=f"{signal.name}_score", query=query, service_id=Template.braces("{service_id}"))


class PanelReader:
    """Reads the panel of a subject: `lookback` seconds of it, then only what is new. Not thread-safe."""

    def __init__(
        self, source: Source, config: ExporterConfig, of: Subject, lookback: float, shard: Shard = WHOLE
    ) -> None:
        self.of = of
        named = namings(config, of.signals, shard)
        self.readers = [Reader(source, one, one.signal.query, of.step, lookback) for one in named]

    def read(self, time: float) -> Panel:
        """Return the panel up to the newest multiple of the step at `time` (Unix seconds). Raises SourceError."""
        histories = [reader.read(time) for reader in self.readers]
        services = self._services(histories)
        times = histories[0].times if histories else np.zeros(0)
        values = np.full((len(services), len(times), len(histories)), np.nan, dtype=np.float32)
        for number, (history, signal) in enumerate(zip(histories, self.of.signals, strict=True)):
            found, worst = _worst(history, signal)
            rows = [row for row, service in enumerate(found) if service in services]
            values[np.searchsorted(services, [found[row] for row in rows]), :, number] = worst[rows]
        kinds = tuple(map(kind_of, services))
        return Panel(services, kinds, times, self.of.step, self.of.channels, values)

    def _services(self, histories: Sequence[History]) -> tuple[str, ...]:
        """Return who can have the failure: who has the signal with the limit; without a limit, everybody."""
        limit = self.of.failure.limit
        limited = [
            history
            for history, channel in zip(histories, self.of.channels, strict=True)
            if limit and (channel.signal, channel.aggregate) == (limit.signal, "worst")
        ]
        return tuple(sorted({key.service_id for history in limited or histories for key in history.keys}))


def live_reader(source: Source, config: ExporterConfig, of: Subject, shard: Shard = WHOLE) -> PanelReader:
    """Return what reads as much of the past of a shard's services as the features of the last day need."""
    return PanelReader(source, config, of, of.featuriser().context * of.step + _DAY, shard)


def _worst(history: History, signal: Signal) -> tuple[list[str], Floats]:
    """Return the services of a signal's series, in order, and the worst of each one's instances, [s, t]."""
    ids = np.array([key.service_id for key in history.keys], dtype=np.str_)
    services, first = np.unique(np.sort(ids), return_index=True)
    if not len(services):
        return [], np.zeros((0, history.values.shape[1]))
    values = history.values[np.argsort(ids, kind="stable")]
    worst = np.fmin if signal.direction == "below" else np.fmax
    return services.tolist(), worst.reduceat(values, first, axis=0)
