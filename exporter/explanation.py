"""Why a probability is as it is: the features that moved it most, as words with units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from presagio.detectors.base import Floats
from presagio.exporter.features import Feature
from presagio.toolkit.units import format_duration, format_value

MOST = 3


@dataclass(frozen=True)
class Reason:
    """One feature: what it is now, in words, and by how much it moved the log odds (above 0: made it likelier)."""

    feature: str
    text: str
    effect: float


def reasons(
    names: Sequence[str], features: Floats, moved: Floats, meanings: Mapping[str, Feature], most: int = MOST
) -> list[Reason]:
    """Return the features of one moment that moved it most: features[f] and moved[f], the strongest first.

    Of several that say the same of a signal, over other windows, the strongest stands for all.
    """
    found: dict[tuple[str, str], Reason] = {}
    for number in np.argsort(-np.abs(moved), kind="stable").tolist():
        if moved[number] == 0 or len(found) == most:
            break
        meaning = meanings.get(names[number], Feature(names[number], ""))
        text = words(meaning, float(features[number]))
        key = (meaning.signal or meaning.name, meaning.statistic)
        found.setdefault(key, Reason(names[number], text, float(moved[number])))
    return list(found.values())


def words(feature: Feature, value: float) -> str:
    """Return what a feature says, such as `memory_ratio rose by 0.12 in 6h`."""
    if np.isnan(value) and feature.statistic not in ("kind", "clock"):
        return f"{feature.name} is not known"
    sentence = _SENTENCES.get(feature.statistic, _PLAIN)
    moved = value * feature.window if feature.statistic == "slope" else value
    unit = "" if feature.unit == "ratio" else feature.unit
    return sentence.format(
        name=feature.name,
        signal=feature.signal,
        over=format_duration(feature.window) if feature.window else "",
        amount=format_value(value, unit),
        size=format_value(abs(moved), unit),
        rose="rose" if moved >= 0 else "fell",
        above="above" if value >= 0 else "below",
        short="short of" if value >= 0 else "beyond",
        time=format_duration(max(value, 0.0)),
        share=f"{value:.0%}",
    )


_PLAIN = "{name} is {amount}"
_SENTENCES = {
    "now": "{signal} is {amount}",
    "mean": "{signal} was {amount} on average over {over}",
    "highest": "{signal} was {amount} at most over {over}",
    "lowest": "{signal} was {amount} at least over {over}",
    "deviation": "{signal} varied by {size} over {over}",
    "slope": "{signal} {rose} by {size} in {over}",
    "change": "{signal} {rose} by {size} since {over} ago",
    "room": "{signal} is {size} {short} its limit",
    "time to limit": "{signal}, going on as in {over}, is at its limit in {time}",
    "age": "{signal} last fell suddenly {time} ago",
    "known": "{signal} was there {share} of {over}",
    "peers": "{signal} is {size} {above} its peers",
    "crossing": "the forecast gives {signal} a chance of {share} to reach its limit",
    "kind": "services of this kind",
    "clock": "{name}",
}
