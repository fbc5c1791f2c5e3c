"""The kinds of files that users write: each wing registers its own, a file is known by its keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from presagio.toolkit import plugins
from presagio.toolkit.errors import ConfigError, PluginError
from presagio.toolkit.schema import ConfigFile, Mistake, read


def check(path: Path) -> str:
    """Return the kind of the file at `path`, which is valid. Raises ConfigError with all its mistakes."""
    document = read(path)
    kinds, broken = _kinds()
    if not isinstance(document.data, dict):
        got = "nothing" if document.data is None else f"a {type(document.data).__name__}"
        raise ConfigError([Mistake(str(path), 1, "", "a mapping of keys to values", got)])
    for kind in kinds:
        if kind.recognises(document.data):
            kind.validate(document, str(path))
            return kind.kind
    if broken:
        raise broken[0]
    known = ", ".join(sorted(kind.kind for kind in kinds))
    keys = ", ".join(map(repr, list(document.data)[:5]))
    raise ConfigError(
        [Mistake(str(path), 1, "", f"the keys of a file that presagio reads ({known})", keys or "no keys")]
    )


def _kinds() -> tuple[list[ConfigFile[Any]], list[PluginError]]:
    """Return the kinds of files, and why others cannot be loaded: a broken wing leaves the files of the others."""
    kinds: list[ConfigFile[Any]] = []
    broken: list[PluginError] = []
    for name in plugins.names(plugins.CONFIG_FILES):
        try:
            kinds.append(plugins.load(plugins.CONFIG_FILES, name))
        except PluginError as error:
            broken.append(error)
    return kinds, broken
