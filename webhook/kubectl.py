"""Recognises the one shell substitution that is understood: a deployment scaled by so many replicas.

`kubectl scale deployment NAME --replicas=$(kubectl get deployment NAME -o=jsonpath='{.spec.replicas}'+1)` is how the
action_policies.json of the documentation writes it, and people write it with other quotes, spaces and numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_GET = r"kubectl\s+(?P<get_before>(?:[^()]*?\s)?)get\s+(?P<get>[^()]*?)"
_BY = r"(?P<by>[+-]\s*\d{1,3})"
_SUBSTITUTIONS = (
    # $(kubectl get … -o=jsonpath='{.spec.replicas}'+1), the number inside or outside the quotes
    rf"\$\(\s*{_GET}(?P<end>[}}'\"\s])\s*{_BY}['\"]?\s*\)",
    # $(( $(kubectl get …) + 1 ))
    rf"\$\(\(\s*\$\(\s*{_GET}(?P<end>)\)\s*{_BY}\s*\)\)",
    # $(expr $(kubectl get …) + 1)
    rf"\$\(\s*expr\s+\$\(\s*{_GET}(?P<end>)\)\s*{_BY}\s*\)",
)
FORMS = tuple(
    r"kubectl\s+(?P<before>(?:[^()]*?\s)?)scale\s+(?P<head>[^()]*?)--replicas(?:=|\s+)"
    rf"(?P<open>\"?){substitution}(?P<close>\"?)(?P<tail>[^()]*)"
    for substitution in _SUBSTITUTIONS
)
"""A whole command line has one of these forms. The chart has them from here, so they are written for RE2 too."""

_SCALE = tuple(re.compile(form) for form in FORMS)
_KINDS = frozenset({"deployment", "deployments", "deploy", "deployment.apps", "deployments.apps"})
_NAME = re.compile(r"(?:[a-z0-9.-]|\$\{\w+\})+")
_REPLICAS = "jsonpath={.spec.replicas}"
_OPTION = re.compile(r"(-n|--namespace|-o|--output)(?:=(.*))?")


@dataclass(frozen=True)
class Scaling:
    """Deployment `name` shall have `by` replicas more; namespace None is that of kubectl's context."""

    name: str
    namespace: str | None
    by: int


@dataclass(frozen=True)
class _Reference:
    """What the arguments of `kubectl get` or `kubectl scale` point at."""

    name: str
    namespace: str | None
    output: str | None


def scaling(command: str) -> Scaling | None:
    """Return what a command line scales, or None if it is not of this form."""
    for pattern in _SCALE:
        match = pattern.fullmatch(command.strip())
        if match and match["open"] == match["close"]:
            scaled = f"{match['before']} {match['head']} {match['tail']}"
            return _scaling(scaled, f"{match['get_before']} {match['get']}{match['end']}", match["by"])
    return None


def _scaling(scale: str, get: str, by: str) -> Scaling | None:
    scaled, counted = _reference(scale), _reference(get)
    if scaled is None or counted is None or scaled.output or counted.output != _REPLICAS:
        return None
    if scaled.name != counted.name or scaled.namespace != counted.namespace:
        return None
    number = int(by.replace(" ", ""))
    return Scaling(scaled.name, scaled.namespace, number) if number else None


def _reference(arguments: str) -> _Reference | None:
    """Read `deployment NAME [-n NAMESPACE] [-o OUTPUT]` in any order; None if there is anything else."""
    words: list[str] = []
    options: dict[str, str] = {}
    rest = iter(arguments.replace("'", "").replace('"', "").split())
    for word in rest:
        option = _OPTION.fullmatch(word)
        if option:
            options[option[1].lstrip("-")[0]] = _value(option[2], rest)
        else:
            words += [word] if "/" not in word else word.split("/", 1)
    if len(words) != 2 or words[0] not in _KINDS or not _NAME.fullmatch(words[1]):
        return None
    return _Reference(words[1], options.get("n"), options.get("o"))


def _value(given: str | None, rest: Iterator[str]) -> str:
    return next(rest, "") if given is None else given
