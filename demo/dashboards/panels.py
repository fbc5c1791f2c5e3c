"""A dashboard's JSON as Grafana would read it: its queries, with the variables put in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

EXAMPLES = {
    "job": ".*", "namespace": ".*", "service_id": "shop/checkout", "signal": "memory", "horizon": "1h",
    "policy": ".*",
    "__rate_interval": "1m", "__range": "1h", "__interval": "1m", "__interval_ms": "60000",
    "__from": "1700000000000",
}  # fmt: skip
"""A value for each variable, so that a query can be parsed."""

_LABEL_VALUES = re.compile(r"label_values\((.+), (\w+)\)", re.DOTALL)


def substituted(text: str, values: Mapping[str, str]) -> str:
    """Return text with `$name` and `${name}` replaced. Raises KeyError if there is no value for one."""
    return re.sub(r"\$(?:\{([a-zA-Z_]\w*)\}|([a-zA-Z_]\w*))", lambda found: values[found[1] or found[2]], text)


def queries(board: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what is asked for and the query: of all panels, variables and annotations."""
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            yield f"{panel['title']}, {target['refId']}", target["expr"]
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            yield f"variable {variable['name']}", label_values(variable["query"]["query"])[0]
    for event in board["annotations"]["list"]:
        yield f"annotation {event['name']}", event["expr"]


def label_values(text: str) -> tuple[str, str]:
    """Return the selector and the label of `label_values(selector, label)`."""
    found = _LABEL_VALUES.fullmatch(text)
    if found is None:
        raise ValueError(f"expected label_values(selector, label), got {text!r}")
    return found[1], found[2]
