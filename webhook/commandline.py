"""A command as users have written it, for a shell, becomes an action without one, or is refused with the remedy."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from presagio.webhook import kubectl

_PLACEHOLDER = re.compile(r"\$\{[a-zA-Z_]\w*\}")
_PIECE = re.compile(r"""'[^']*'|"(?:\\.|[^"\\])*"|\\.|.""", re.DOTALL)
_SCRIPT = "write a script and name it here"

# What a shell does even between double quotes; `$(` and a backtick are refused between single ones too.
_SUBSTITUTIONS = (
    (re.compile(r"\$\("), f"a command without $(…) other than that of kubectl scale --replicas; {_SCRIPT}"),
    (re.compile(r"`"), f"a command without backticks; {_SCRIPT}"),
)
_VARIABLE = (re.compile(r"\$"), "a command without shell variables; ${label} stands for a label of the alert")
# What a shell does outside of quotes.
_SYNTAX = (
    (re.compile(r"\|\|?|&&?|;|\n"), f"one command; for several {_SCRIPT}"),
    (re.compile(r"[<>]+"), f"a command without redirection; its output goes to the ledger, or {_SCRIPT}"),
    (re.compile(r"[()]"), f"a command without a sub-shell; {_SCRIPT}"),
    (
        re.compile(r"[*?\[]|\{[^{}]*(?:,|\.\.)[^{}]*\}|(?<!\S)~"),
        f"single quotes around what is meant as is, or {_SCRIPT}",
    ),
    (re.compile(r"(?<!\S)#"), "a command without a comment"),
)


def action(command: str) -> Mapping[str, Any]:
    """Return the action that a command line means, as `webhook.yml` would write it.

    Raises ValueError, with the remedy, for anything that only a shell can do.
    """
    scaling = kubectl.scaling(command)
    if scaling is None:
        return {"command": {"argv": split(command)}}
    params = {"by": scaling.by, "deployment": scaling.name, "namespace": scaling.namespace}
    return {"kubernetes.scale_by": {key: value for key, value in params.items() if value is not None}}


def split(command: str) -> list[str]:
    """Return a command line as arguments. Raises ValueError if it needs a shell."""
    _check(_PLACEHOLDER.sub("_", command))
    try:
        argv = shlex.split(command)
    except ValueError as error:
        raise ValueError(f"a command whose quotes are closed ({error}), got {command!r}") from None
    if not argv or "=" in argv[0]:
        raise ValueError(f"a command that begins with its program, got {command!r}")
    return argv


def pieces(command: str) -> list[str]:
    """Return quoted parts and escaped characters, each as one piece, and all other characters one by one."""
    return _PIECE.findall(command)


def _check(command: str) -> None:
    expanded = "".join("_" if piece.startswith("'") else piece for piece in pieces(command))
    bare = "".join(piece if len(piece) == 1 else "_" for piece in pieces(command))
    checks = (
        [(command, rule) for rule in _SUBSTITUTIONS] + [(expanded, _VARIABLE)] + [(bare, rule) for rule in _SYNTAX]
    )
    for text, (pattern, remedy) in checks:
        found = pattern.search(text)
        if found:
            raise ValueError(f"{remedy}, got {found.group()!r}")
