"""How much of a service one action may take away at once. Pure."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator

from presagio.actions.base import Disruption

_COUNT = re.compile(r"\d{1,6}")
_SHARE = re.compile(r"(\d{1,3})\s*%")


def _amount(value: object) -> object:
    text = "" if isinstance(value, bool) else str(value).strip()
    match = _SHARE.fullmatch(text)
    if _COUNT.fullmatch(text) or (match and int(match[1]) <= 100):
        return text
    raise ValueError(f"a count such as 1, or a share such as 25%, got {value!r}")


Amount = Annotated[str, BeforeValidator(_amount)]
"""A count of replicas, or a per cent of them."""


def replicas(amount: str, of: int) -> int:
    """Return an amount in replicas, rounded down: a share of nothing is nothing."""
    match = _SHARE.fullmatch(amount)
    return max(0, of) * int(match[1]) // 100 if match else int(amount)


def least(amount: str, of: int) -> int:
    """Return an amount that must stay, in replicas, rounded up."""
    match = _SHARE.fullmatch(amount)
    return -(-max(0, of) * int(match[1]) // 100) if match else int(amount)


def room(disruption: Disruption, max_unavailable: str, min_available: str) -> int:
    """Return how many replicas may be taken away now: those that are missing already count, and some must stay.

    A service without replicas, as when a selector matches nothing, has no room: nothing is never everything.
    """
    wanted, available = disruption.replicas, disruption.available
    if wanted <= 0:
        return 0
    allowed = replicas(max_unavailable, wanted) - max(0, wanted - available)
    kept = max(least(min_available, wanted), disruption.min_available)
    return max(0, min(allowed, available - kept))


def fits(disruption: Disruption | None, max_unavailable: str, min_available: str) -> bool:
    """Return whether an action may take away what it would; one that takes nothing away always may."""
    if disruption is None or disruption.unavailable <= 0:
        return True
    return disruption.unavailable <= room(disruption, max_unavailable, min_available)
