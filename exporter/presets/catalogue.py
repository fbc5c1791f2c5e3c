"""The presets by name: each `<name>.yml` here is a list of signals.

What several queries of a preset have in common stands once, under `let:`, and is put in where a query says `${name}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import yaml


@cache
def names() -> tuple[str, ...]:
    """Return the names that `presets:` of exporter.yml may hold."""
    found = (item.name for item in files(__package__).iterdir())
    return tuple(sorted(name.removesuffix(".yml") for name in found if name.endswith(".yml")))


def signals(name: str) -> list[dict[str, Any]]:
    """Return the signals of one preset, each query whole."""
    return _part(name, "signals")


def failures(name: str) -> list[dict[str, Any]]:
    """Return the failures of one preset, each query whole."""
    return _part(name, "failures")


def _part(name: str, kind: str) -> list[dict[str, Any]]:
    text = files(__package__).joinpath(f"{name}.yml").read_text(encoding="utf-8")
    preset: dict[str, Any] = yaml.safe_load(text)
    shared: dict[str, str] = {}
    for part, query in preset.get("let", {}).items():
        shared[part] = _whole(query, shared)
    return [{**one, "query": _whole(one["query"], shared)} for one in preset.get(kind, [])]


def _whole(query: str, shared: Mapping[str, str]) -> str:
    """Return a query on one line, with the shared parts in it."""
    for part, text in shared.items():
        query = query.replace(f"${{{part}}}", text)
    return " ".join(query.split())
