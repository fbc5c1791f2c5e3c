"""Plug-ins: ours and a stranger's are found by the same road, the entry points of installed packages."""

from __future__ import annotations

import difflib
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from presagio.toolkit.errors import PluginError

DETECTORS = "presagio.detectors"
COMBINERS = "presagio.combiners"
ACTIONS = "presagio.actions"
FORECASTERS = "presagio.forecasters"
PREDICTORS = "presagio.predictors"
COMMANDS = "presagio.commands"
CONFIG_FILES = "presagio.config_files"


@cache
def _found(group: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=group)}


def names(group: str) -> list[str]:
    """Return the names registered under `group`, sorted."""
    return sorted(_found(group))


def load(group: str, name: str) -> Any:
    """Return the object registered as `name`; imports it only now. Raises PluginError."""
    point = _found(group).get(name)
    if point is None:
        raise PluginError(_unknown(group, name))
    try:
        return point.load()
    except Exception as error:
        raise PluginError(f"{group} {name!r} ({point.value}) cannot be loaded: {error}") from error


def _unknown(group: str, name: str) -> str:
    close = difflib.get_close_matches(name, names(group), n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"no {group} named {name!r} is installed; there are {', '.join(names(group)) or 'none'}{hint}"
