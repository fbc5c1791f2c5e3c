"""Writes the drawing and the table of states in remediation.md from the code: `.venv/bin/python docs/states.py`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from presagio.toolkit.units import format_duration
from presagio.webhook.states import TERMINAL, TRANSITIONS, State
from presagio.webhook.timers import Timers

FILE = Path(__file__).with_name("remediation.md")
GENERAL = "its deadline passed, or only a person can go on"
"""Said in one row, for all states."""

_WAYS = tuple(way for way in TRANSITIONS if way.when != GENERAL)
# Where only a person can go on is worth an arrow; that any state has a deadline is said below the drawing.
_TOLD = (State.EVALUATING, State.UNKNOWN, State.SETTLING, State.INEFFECTIVE, State.INCONCLUSIVE, State.ROLLING_BACK)


def drawing() -> str:
    """Return the states as a mermaid diagram."""
    ways = [(way.source, way.target) for way in _WAYS] + [(state, State.ESCALATED) for state in _TOLD]
    ends = [(state.value, "[*]") for state in State if state in TERMINAL]
    arrows = [("[*]", State.RECEIVED.value), *((source.value, target.value) for source, target in ways), *ends]
    lines = ["stateDiagram-v2", "    direction TB", *(f"    {source} --> {target}" for source, target in arrows)]
    return "\n".join(["```mermaid", *lines, "```"])


def table() -> str:
    """Return every way from one state to the next, one a row."""
    rows = [f"| `{way.source}` | `{way.target}` | {way.when} | {way.stored} |" for way in _WAYS]
    general = f"| any that is not an end | `escalated` | {GENERAL} | the page in the outbox |"
    return "\n".join(["| from | to | when | stored with it |", "|---|---|---|---|", *rows, general])


def timers() -> str:
    """Return the timers with their defaults."""
    return "\n".join(["| key | default | meaning |", "|---|---|---|", *_timers()])


def _timers() -> Iterator[str]:
    for name, field in Timers.model_fields.items():
        default = format_duration(field.default) if isinstance(field.default, float) else str(field.default)
        yield f"| `{name}` | {default} | {field.description} |"


def document(text: str) -> str:
    """Return the page with its generated parts made anew: each stands between two comments that name it."""
    for name, part in (("drawing", drawing()), ("table", table()), ("timers", timers())):
        begin, end = f"<!-- {name}: made by docs/states.py -->\n", f"\n<!-- end of {name} -->"
        before, _, rest = text.partition(begin)
        text = before + begin + part + end + rest.partition(end)[2]
    return text


if __name__ == "__main__":
    FILE.write_text(document(FILE.read_text()))
