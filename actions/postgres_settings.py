"""The settings of PostgreSQL that a policy may change, each in force after a reload, and what each may be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

SETTINGS = (
    "autovacuum", "autovacuum_analyze_scale_factor", "autovacuum_analyze_threshold", "autovacuum_naptime",
    "autovacuum_vacuum_cost_delay", "autovacuum_vacuum_cost_limit", "autovacuum_vacuum_scale_factor",
    "autovacuum_vacuum_threshold", "autovacuum_work_mem", "checkpoint_completion_target", "checkpoint_timeout",
    "deadlock_timeout", "effective_cache_size", "effective_io_concurrency", "hash_mem_multiplier",
    "idle_in_transaction_session_timeout", "idle_session_timeout", "jit", "lock_timeout",
    "log_min_duration_statement", "maintenance_work_mem", "max_parallel_maintenance_workers", "max_parallel_workers",
    "max_parallel_workers_per_gather", "max_wal_size", "min_wal_size", "random_page_cost", "statement_timeout",
    "temp_file_limit", "work_mem",
)  # fmt: skip

_VALUE = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,9})?\s?(B|kB|MB|GB|TB|us|ms|s|min|h|d)?")
_YES_NO = {"on": "on", "off": "off", "true": "on", "false": "off", "yes": "on", "no": "off"}
_BYTES = {"B": 1, "kB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}
_TIMES = {"us": 1, "ms": 10**3, "s": 10**6, "min": 60 * 10**6, "h": 3600 * 10**6, "d": 86400 * 10**6}
_FIXED = ("command line", "environment variable", "override")


@dataclass(frozen=True)
class Setting:
    """What pg_settings tells of a setting; unit, least and most as PostgreSQL writes them."""

    name: str
    value: str
    kind: str
    unit: str | None
    least: str | None
    most: str | None
    context: str
    source: str


def check_settings(settings: object) -> object:
    """Return the settings as texts. Raises ValueError for one that is not listed, is no number, nor on or off."""
    if not isinstance(settings, dict):
        return settings
    unknown = [name for name in settings if name not in SETTINGS]
    if unknown:
        raise ValueError(f"settings out of {', '.join(SETTINGS)}, got {unknown[0]!r}")
    return {name: _text(name, value) for name, value in settings.items()}


def mistake(setting: Setting, value: str) -> str | None:
    """Return why the server would not take a value, or would not heed it."""
    if setting.context in ("internal", "postmaster"):
        return f"{setting.name} takes effect at a restart only"
    if setting.source in _FIXED:
        return f"{setting.name} is fixed by its {setting.source}, which goes before ALTER SYSTEM"
    if setting.kind == "bool":
        return None if value in _YES_NO else f"{setting.name} is on or off, not {value!r}"
    number = in_unit(value, setting.unit)
    if number is None:
        unit = f"in {setting.unit}, or with a unit of that kind" if setting.unit else "without a unit"
        return f"{setting.name} is a number {unit}, not {value!r}"
    if not float(setting.least or "-inf") <= number <= float(setting.most or "inf"):
        return f"{setting.name} is between {setting.least} and {setting.most} {setting.unit or ''}, not {value!r}"
    return None


def is_in_force(setting: Setting, value: str) -> bool:
    """Return whether a server that has read its files anew would tell just this."""
    if setting.kind == "bool":
        return setting.value == _YES_NO.get(value)
    number = in_unit(value, setting.unit)
    # PostgreSQL rounds to whole units where it counts in them
    slack = 0.5 if setting.kind == "integer" else 1e-6 * abs(number or 0.0)
    return number is not None and abs(number - float(setting.value)) <= slack


def in_unit(value: str, unit: str | None) -> float | None:
    """Return a value as written in a policy in the unit of its setting; None if it has another kind of unit."""
    found = re.fullmatch(r"(-?[0-9.]+)\s?([A-Za-z]*)", value)
    if not found:
        return None
    number, own = float(found[1]), found[2]
    # one that is negative is a word of its own: off, or without a limit
    if not own or number < 0:
        return None if own else number
    for units in (_BYTES, _TIMES):
        if own in units and (base := _base(unit, units)):
            return number * units[own] / base
    return None


def _base(unit: str | None, units: Mapping[str, int]) -> int | None:
    """Return how much one of the setting's unit is: `8kB` is eight times a kB."""
    count, name = re.fullmatch(r"([0-9]*)(.*)", unit or "").groups()  # type: ignore[union-attr] # it fits any line
    return int(count or 1) * units[name] if name in units else None


def _text(name: str, value: object) -> str:
    text = {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)
    if not isinstance(value, str | int | float) or not (_VALUE.fullmatch(text) or text in _YES_NO):
        raise ValueError(f"{name} that is a number, with its unit if it has one, or on or off, got {value!r}")
    return text
