"""The metrics page: rendered after each evaluation, served as it is.

Label strings are rendered once for each series and joined with repr(float): prometheus_client's own page costs eleven
times as much for 100,000 samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import orjson

from presagio.detectors.base import Floats
from presagio.exporter import publish_services
from presagio.exporter.config import Outputs, Signal
from presagio.exporter.engine import Scores
from presagio.exporter.signals import Key
from presagio.exporter.together import ServiceScores
from presagio.toolkit.labels import render


@dataclass(frozen=True)
class Family:
    """One metric of the page: where its values are, and which switch turns it off."""

    name: str
    help: str
    values: Callable[[Scores], Floats]
    enabled: Callable[[Outputs], bool]


FAMILIES = (
    Family("presagio_anomaly_score", "Anomaly score, 0..1: 0.3 is one sample in a thousand, 0.6 one in a million.",
           lambda scores: scores.score, lambda _: True),
    Family("presagio_signal_value", "Value of the signal that was scored, in the signal's unit.",
           lambda scores: scores.value, lambda outputs: outputs.value),
    Family("presagio_signal_expected", "Value expected of the signal, in its unit.",
           lambda scores: scores.expected, lambda outputs: outputs.expected),
    Family("presagio_signal_lower_bound", "Values below this have a score above 0.3.",
           lambda scores: scores.lower, lambda outputs: outputs.bounds),
    Family("presagio_signal_upper_bound", "Values above this have a score above 0.3.",
           lambda scores: scores.upper, lambda outputs: outputs.bounds),
    Family("presagio_signal_confidence", "How much is known of the series, 0..1; 0 while warming up.",
           lambda scores: scores.confidence, lambda outputs: outputs.confidence),
)  # fmt: skip


class Page:
    """The newest results as text. `publish` is called by one thread, `text` by any."""

    def __init__(self, signals: Sequence[Signal], outputs: Outputs, stale_after: float) -> None:
        self.outputs = {signal.name: signal.outputs or outputs for signal in signals}
        self.stale_after = stale_after
        self.duplicates = 0
        self._labels: dict[str, tuple[Sequence[Key], list[str | None]]] = {}
        self._newest: tuple[float, bytes] = (-np.inf, b"")

    def publish(self, results: Mapping[str, Scores], now: float, services: ServiceScores | None = None) -> None:
        """Render the results by signal that are not too old at `now`; without any the page before grows old."""
        found = ((name, results[name]) for name in self.outputs if name in results)  # in the order of their claims
        fresh = {name: scores for name, scores in found if abs(now - scores.time) <= self.stale_after}
        if not fresh:
            return
        self._label(fresh)
        newest = max(scores.time for scores in fresh.values())
        families = [self._family(family, fresh) for family in FAMILIES]
        if services is not None and abs(now - services.time) <= self.stale_after:
            families.append(publish_services.text(services))
        self._newest = (newest, "".join(families).encode())

    def text(self, now: float) -> bytes:
        """Return the page, or nothing if even its newest result is too old at `now`."""
        time, page = self._newest
        return page if abs(now - time) <= self.stale_after else b""

    def _family(self, family: Family, results: Mapping[str, Scores]) -> str:
        lines = [f"# HELP {family.name} {family.help}\n# TYPE {family.name} gauge\n"]
        for name, scores in results.items():
            if family.enabled(self.outputs[name]):
                shown = np.where(np.isnan(scores.score), np.nan, family.values(scores)).tolist()
                lines += [
                    f"{family.name}{labels} {value!r}\n"
                    for labels, value in zip(self._labels[name][1], shown, strict=True)
                    if labels is not None and value == value  # noqa: PLR0124 # NaN is the one value that is not itself
                ]
        return "".join(lines) if len(lines) > 1 else ""

    def _label(self, results: Mapping[str, Scores]) -> None:
        """Render the labels anew when series came or went; of two rows with equal labels the first is shown."""
        known = self._labels
        if results.keys() == known.keys() and all(known[name][0] is results[name].keys for name in results):
            return
        shown: set[Key] = set()
        self._labels, self.duplicates = {}, 0
        for name, scores in results.items():
            texts = [_labels(key) if key not in shown else None for key in scores.keys]
            self.duplicates += texts.count(None)
            shown.update(scores.keys)
            self._labels[name] = (scores.keys, texts)

    def dump(self) -> bytes:
        """Return the page for a snapshot, so that a restart leaves no hole in the graphs."""
        time, page = self._newest
        return orjson.dumps(time if np.isfinite(time) else 0.0) + b"\n" + page

    def restore(self, payload: bytes) -> None:
        """Serve the page of a snapshot until there is a newer one."""
        time, _, page = payload.partition(b"\n")
        self._newest = (float(time), page)


def _labels(key: Key) -> str:
    return render({"service_id": key.service_id, "signal": key.signal, **dict(key.labels)})
