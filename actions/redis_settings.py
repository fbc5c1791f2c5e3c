"""The settings of Redis that a policy may change, and what each may be."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from presagio.actions.redis_server import RedisServer
from presagio.toolkit.units import format_bytes

POLICIES = (
    "noeviction", "allkeys-lru", "allkeys-lfu", "allkeys-random",
    "volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl",
)  # fmt: skip
_SIZE = re.compile(r"([0-9]{1,15})(b|kb|mb|gb|k|m|g)?", re.IGNORECASE)
_UNITS = {"b": 1, "k": 10**3, "m": 10**6, "g": 10**9, "kb": 2**10, "mb": 2**20, "gb": 2**30}


def check_settings(settings: object) -> object:
    """Return the settings as Redis tells them itself. Raises ValueError for one that is not listed or not right."""
    if not isinstance(settings, dict):
        return settings
    unknown = [name for name in settings if name not in SETTINGS]
    if unknown:
        raise ValueError(f"settings out of {', '.join(sorted(SETTINGS))}, got {unknown[0]!r}")
    return {name: SETTINGS[name](name, value) for name, value in settings.items()}


def lack_of_memory(server: RedisServer, wanted: Mapping[str, str], allow_eviction: bool) -> str | None:
    """Return why the data of the server would not fit with the wanted settings, if they are about memory."""
    about = {"maxmemory": "", "maxmemory-policy": ""}
    if not about.keys() & wanted.keys():
        return None
    after = {**server.settings(about), **wanted}
    limit, policy, used = (
        int(after["maxmemory"]),
        after["maxmemory-policy"],
        int(server.info("memory")["used_memory"]),
    )
    if limit == 0 or limit >= used or (allow_eviction and policy != "noeviction"):
        return None
    what = f"redis {server.address} uses {format_bytes(used)}, more than maxmemory {format_bytes(limit)}"
    if policy == "noeviction":
        return f"{what}: every write would be refused; set a higher maxmemory"
    return f"{what}: {policy} would evict keys at once; set a higher maxmemory, or `allow_eviction: true`"


def _yes_no(name: str, value: object) -> str:
    # YAML takes a bare yes for true
    text = {True: "yes", False: "no"}[value] if isinstance(value, bool) else value
    if text not in ("yes", "no"):
        raise ValueError(f"{name} that is yes or no, got {value!r}")
    return str(text)


def _policy(name: str, value: object) -> str:
    if value not in POLICIES:
        raise ValueError(f"{name} out of {', '.join(POLICIES)}, got {value!r}")
    return str(value)


def _size(name: str, value: object) -> str:
    found = None if isinstance(value, bool) else _SIZE.fullmatch(str(value))
    if not found:
        raise ValueError(f"{name} in bytes, or as in 512mb or 2gb, got {value!r}")
    return str(int(found[1]) * _UNITS[(found[2] or "b").lower()])


def _number(low: int, high: int) -> Callable[[str, object], str]:
    def check(name: str, value: object) -> str:
        text = str(value)
        if isinstance(value, bool) or not re.fullmatch("[0-9]{1,9}", text) or not low <= int(text) <= high:
            raise ValueError(f"{name} between {low} and {high}, got {value!r}")
        return str(int(text))

    return check


SETTINGS: Mapping[str, Callable[[str, object], str]] = {
    "activedefrag": _yes_no,
    "active-defrag-cycle-max": _number(1, 99),
    "active-defrag-cycle-min": _number(1, 99),
    "active-defrag-ignore-bytes": _size,
    "active-defrag-max-scan-fields": _number(1, 10**9 - 1),
    "active-defrag-threshold-lower": _number(0, 1000),
    "active-defrag-threshold-upper": _number(0, 1000),
    "maxmemory": _size,
    "maxmemory-policy": _policy,
}
"""The settings, and what makes of a value the text that Redis tells of it."""
