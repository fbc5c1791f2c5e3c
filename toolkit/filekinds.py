"""The kinds of files that users write: each wing registers its own, a file is known by its keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from presagio.toolkit import plugins
from presagio.toolkit.errors import ConfigError
from presagio.toolkit.schema import ConfigFile, Mistake, read


def check(path: Path) -> str:
    """Return the kind of the file at `path`, which is valid. Raises ConfigError with all its mistakes."""
    document = read(path)
    kinds: list[ConfigFile[Any]] = [
        plugins.load(plugins.CONFIG_FILES, name) for name in plugins.names(plugins.CONFIG_FILES)
    ]
    if not isinstance(document.data, dict):
        raise ConfigError([Mistake(str(path), 1, "", "a mapping of keys to values", type(document.data).__name__)])
    for kind in kinds:
        if kind.recognises(document.data):
            kind.validate(document, str(path))
            return kind.kind
    known = ", ".join(sorted(kind.kind for kind in kinds))
    keys = ", ".join(map(repr, list(document.data)[:5]))
    raise ConfigError(
        [Mistake(str(path), 1, "", f"the keys of a file that presagio reads ({known})", keys or "no keys")]
    )
