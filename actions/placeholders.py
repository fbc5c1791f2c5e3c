"""Labels come from outside: how they fill `${placeholders}` without ever becoming syntax."""

from __future__ import annotations

import re
from collections.abc import Callable

from presagio.actions.base import PlanError, Target
from presagio.toolkit.labels import Template

MAX_NAME = 253
MAX_TEXT = 1024

_NAME = re.compile(r"[A-Za-z0-9_.:/@%+,=-]+")
_DNS = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")

Change = Callable[[str], str]

Check = Callable[[str, str], None]
"""Looks at a placeholder's name and its value; raises PlanError."""


def check_template(text: str) -> str:
    """Return the text. Raises ValueError if a placeholder in it is no label name."""
    Template.dollars(text)
    return text


def has_placeholder(text: str) -> bool:
    """Return whether labels fill a part of the text."""
    return bool(Template.dollars(text).names)


def fill(text: str, target: Target, check: Check, quote: Change = str) -> str:
    """Return the text with each `${label}` replaced by `quote(value)`, once `check` has let the value pass.

    Raises PlanError if the target lacks the label, its value is empty or does not pass.
    """
    template = Template.dollars(text)
    labels = {**target.labels, "service_id": target.service_id}
    for name in template.names:
        if not labels.get(name):
            raise PlanError(
                f"no label {name!r} for {text!r} on the alert of {target.service_id!r}; keep it in the alert rule"
            )
        check(name, labels[name])
    return template.fill(labels, quote)


def plain(name: str, value: str) -> None:
    """Let text pass that has no control characters and at most 1,024 characters."""
    if len(value) > MAX_TEXT:
        raise PlanError(f"label {name!r} has {len(value)} characters, a placeholder takes at most {MAX_TEXT}")
    if not value.isprintable():
        raise PlanError(f"label {name!r} has control characters: {value!r}")


def name(name: str, value: str) -> None:
    """Let names, numbers, addresses and paths pass: nothing that any shell or parser takes for syntax."""
    if len(value) > MAX_NAME:
        raise PlanError(f"label {name!r} has {len(value)} characters, an argument takes at most {MAX_NAME}")
    if not _NAME.fullmatch(value):
        raise PlanError(f"label {name!r} may only have letters, digits and _.:/@%+,=- in a command, got {value!r}")
    if ".." in value.split("/"):
        raise PlanError(f"label {name!r} may not step up in a path, got {value!r}")


def dns(name: str, value: str) -> None:
    """Let a name pass that Kubernetes gives to objects."""
    if len(value) > MAX_NAME or not _DNS.fullmatch(value):
        raise PlanError(
            f"label {name!r} is no name of a Kubernetes object: {value!r}; "
            "name the label that is one, as in ${deployment}"
        )
