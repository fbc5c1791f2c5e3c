"""Signals: from the series that a query answers to the rows that a detector scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from presagio.detectors.base import Floats, Ints
from presagio.exporter.config import IDENTITY, SUBMITTED, ExporterConfig, Signal
from presagio.exporter.presets import catalogue
from presagio.exporter.sharding import WHOLE, Shard
from presagio.toolkit.labels import Labels, Template
from presagio.toolkit.prometheus import Matrix, Vector

_REMEMBERED = 1000
_LARGEST = 1e300


@dataclass(frozen=True)
class Key:
    """What names a row, and all labels of its metrics but `signal`'s own."""

    service_id: str
    signal: str
    labels: tuple[tuple[str, str], ...]


class Refusal(StrEnum):
    """Why a series is not scored: the `reason` label of presagio_series_refused_total."""

    NO_SERVICE = "no_service_id"
    NO_NAME = "no_signal_name"
    DUPLICATE = "duplicate"
    LIMIT = "limit"


class Naming:
    """Names the rows of one signal. Remembers each label set, since the same come at every evaluation."""

    def __init__(self, signal: Signal, default_id: Template, identity: Sequence[str], shard: Shard = WHOLE) -> None:
        self.signal = signal
        self.shard = shard
        self.identity = tuple(identity)
        self.own_id, self.default_id = signal.service_id, default_id
        self._known: dict[tuple[tuple[str, str], ...], Key | Refusal | None] = {}

    def name(self, labels: Labels) -> Key | Refusal | None:
        """Return the key of the series with `labels`, or why it has none; None if it is another shard's."""
        items = tuple(labels.items())
        if items not in self._known:
            self._known[items] = self._name(labels)
        return self._known[items]

    def service_id(self, labels: Labels) -> str:
        """Return the service of a series, empty if its labels do not tell."""
        if self.own_id is None and labels.get("service_id"):
            return labels["service_id"]
        template = self.own_id or self.default_id
        if not all(labels.get(name) for name in template.names):
            return ""
        return template.fill(labels)

    def forget(self, present: int) -> None:
        """Drop what is remembered if most of it is gone, so that churn does not grow it for ever."""
        if len(self._known) > 2 * present + _REMEMBERED:
            self._known.clear()

    @property
    def definition(self) -> str:
        """What the names of the rows depend on: a profile belongs to the names under which it was learnt."""
        template = self.own_id.text if self.own_id else f"service_id or {self.default_id.text}"
        return f"{template} {','.join(self.identity)}"

    def _name(self, labels: Labels) -> Key | Refusal | None:
        service_id = self.service_id(labels)
        if not self.shard.owns(service_id):
            return None
        if not service_id:
            return Refusal.NO_SERVICE
        name = labels.get(self.signal.signal_label, "") if self.signal.signal_label else self.signal.name
        if not name:
            return Refusal.NO_NAME
        return Key(service_id, name, tuple((label, labels[label]) for label in self.identity if labels.get(label)))


@dataclass(frozen=True)
class Named:
    """The named series of one answer: `rows[i]` of the answer is `keys[i]`; each key once."""

    keys: Sequence[Key]
    rows: Ints
    refused: Mapping[Refusal, int]


def named(naming: Naming, answer: Vector | Matrix) -> Named:
    """Name the series of an answer. Of two series with the same key the first in Prometheus' order is kept."""
    keys: dict[Key, int] = {}
    refused: dict[Refusal, int] = {}
    for row, labels in enumerate(answer.labels):
        key = naming.name(labels)
        if key is None:
            continue
        if isinstance(key, Key) and key in keys:
            key = Refusal.DUPLICATE
        if isinstance(key, Refusal):
            refused[key] = refused.get(key, 0) + 1
        else:
            keys[key] = row
    naming.forget(len(answer.labels))
    return Named(list(keys), np.fromiter(keys.values(), dtype=np.int64, count=len(keys)), refused)


def finite(values: Floats) -> Floats:
    """Return values with ±Inf, and what is so large that it would soon be, as NaN: no profile could learn from it."""
    return np.where(np.abs(values) <= _LARGEST, values, np.nan)


def configured(config: ExporterConfig) -> list[Signal]:
    """Return the signals of a configuration in the order in which they claim names.

    The user's own come first, then the presets' that he did not redefine, then what services push.
    """
    own = {signal.name for signal in config.signals}
    preset = (Signal.model_validate(one) for name in config.presets for one in catalogue.signals(name))
    return [*config.signals, *_first(signal for signal in preset if signal.name not in own), SUBMITTED]


def _first(signals: Iterable[Signal]) -> list[Signal]:
    found: dict[str, Signal] = {}
    for signal in signals:
        found.setdefault(signal.name, signal)
    return list(found.values())


def namings(config: ExporterConfig, signals: Sequence[Signal], shard: Shard = WHOLE) -> list[Naming]:
    """Return the naming of each signal, for the services of a shard; every one keeps the same identity labels."""
    identity = [*dict.fromkeys((*IDENTITY, *config.labels))]
    return [Naming(signal, config.services.id, identity, shard) for signal in signals]
