"""The presets by name: each `<name>.yml` here is a list of signals."""

from __future__ import annotations

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
    """Return the signals of one preset as they stand in its file."""
    text = files(__package__).joinpath(f"{name}.yml").read_text(encoding="utf-8")
    found: list[dict[str, Any]] = yaml.safe_load(text)["signals"]
    return found
