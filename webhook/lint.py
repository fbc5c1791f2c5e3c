"""Checks the actions of a policy: that they are installed, and their parameters as each action wants them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from presagio.actions import base
from presagio.toolkit.errors import ConfigError, PluginError
from presagio.toolkit.positions import Path, parse
from presagio.toolkit.schema import ConfigFile, Finding, Mistake

_STEP = re.compile(r"[^.\[\]]+")


def check_action(action: Mapping[str, Any], place: Path) -> Iterator[Finding]:
    """Yield the mistakes of `{name: parameters}`, which stands at `place` of its file."""
    for name, params in action.items():
        try:
            model = base.load(name).Params
        except PluginError as error:
            yield Finding((*place, name), "an installed action", str(error))
        else:
            yield from _params(model, {} if params is None else params, (*place, name))


def _params(model: type[BaseModel], params: Any, place: Path) -> Iterator[Finding]:
    """Validate an action's parameters as if they were a file of their own."""
    document = parse(json.dumps(params, default=str), json=True)
    try:
        ConfigFile("action", model, _never).validate(document, "")
    except ConfigError as error:
        for mistake in error.mistakes:
            if isinstance(mistake, Mistake):
                yield Finding((*place, *_steps(mistake.path.removesuffix(".[key]"))), mistake.expected, mistake.got)


def _never(_: Mapping[str, Any]) -> bool:
    return False


def _steps(dotted: str) -> Path:
    return tuple(int(step) if step.isdigit() else step for step in _STEP.findall(dotted))
