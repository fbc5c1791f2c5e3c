"""Numbers, times and states as the pages write them: the filters of their templates."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

from presagio.toolkit.units import format_duration
from presagio.webhook.states import State
from presagio.webhook.story import clock, odds

_BAD = frozenset({State.ESCALATED, State.INEFFECTIVE, State.INCONCLUSIVE, State.UNKNOWN, State.NOT_APPLIED})
_GOOD = frozenset({State.VERIFIED, State.CLOSED, State.HOLDDOWN})
_WAITING = frozenset({State.BLOCKED, State.RECEIVED, State.DROPPED, State.ATTACHED, State.CANCELLED})
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k"))


def number(value: object) -> str:
    """Return a number in at most four digits: 0.4212, 7.5, 104.9 M; a dash for none."""
    if not isinstance(value, int | float) or math.isnan(value):
        return "\N{EN DASH}"
    for size, prefix in _PREFIXES:
        if abs(value) >= size and math.isfinite(value):
            return f"{value / (1e3 if prefix == 'k' else size):.4g} {prefix}"
    return f"{value:.4g}"


def score(value: float) -> str:
    """Return an anomaly score, 0..1, in two digits."""
    return "\N{EN DASH}" if math.isnan(value) else f"{value:.2f}"


def moment(time: float) -> str:
    """Return a moment: 2026-01-31 23:59:59 UTC."""
    return clock(time)


def hour(time: float) -> str:
    """Return the time of day: 23:59:59."""
    return clock(time)[11:19]


def duration(seconds: float) -> str:
    """Return a duration in whole seconds: 1h30m, 45s, 0s."""
    return format_duration(round(seconds)) if seconds >= 1 else "0s"


def ago(time: float, now: float) -> str:
    """Return how long ago a moment was, or how far it is off."""
    if abs(now - time) < 1:
        return "now"
    return f"{duration(now - time)} ago" if time < now else f"in {duration(time - now)}"


def tone(state: State) -> str:
    """Return which colour a state has: good, bad, waiting or busy."""
    return "good" if state in _GOOD else "bad" if state in _BAD else "waiting" if state in _WAITING else "busy"


def plain(state: object) -> str:
    """Return a state, reason or outcome without underscores."""
    return str(state).replace("_", " ")


def pretty(facts: Any) -> str:
    """Return facts as indented JSON."""
    return json.dumps(facts, indent=2, ensure_ascii=False, sort_keys=True, default=str)


def line(facts: Any) -> str:
    """Return facts as JSON on one line."""
    return json.dumps(facts, ensure_ascii=False, default=str)


FILTERS: tuple[Callable[..., str], ...] = (
    number,
    score,
    moment,
    hour,
    duration,
    ago,
    tone,
    plain,
    pretty,
    line,
    odds,
)
