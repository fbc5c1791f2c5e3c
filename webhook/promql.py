"""As much of PromQL as policies need: fill placeholders safely, split a comparison, find the longest range.

It is a scanner, not a parser: it knows strings, comments, brackets and operators. What it cannot split it says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from presagio.toolkit.labels import Template, escape
from presagio.toolkit.units import parse_duration

_TOKEN = re.compile(
    r"""
      (?P<space>\s+|\#[^\n]*)
    | (?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`[^`]*`)
    | (?P<duration>(?:\d+(?:ms|[smhdwy]))+)
    | (?P<number>0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    | (?P<word>[a-zA-Z_:][a-zA-Z0-9_:]*)
    | (?P<operator>[=!]~|[=!<>]=|[-+*/%^<>=@,:])
    | (?P<open>[({\[])
    | (?P<close>[)}\]])
    """,
    re.VERBOSE,
)
_PAIRS = {")": "(", "}": "{", "]": "["}
_COMPARISONS = frozenset({"==", "!=", ">", "<", ">=", "<="})
_SET_OPERATORS = frozenset({"and", "or", "unless"})
_GROUPING = frozenset({"on", "ignoring", "group_left", "group_right"})
_REGEX = frozenset({"=~", "!~"})
_MATCHERS = _REGEX | {"=", "!="}
_META = re.compile(r"[\\.+*?()|\[\]{}^$]")
_LITERAL = re.compile(r"\(*\s*[-+]?\s*(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*\)*")


@dataclass(frozen=True)
class Token:
    """One piece of a query; `depth` is the number of brackets around it."""

    kind: str
    text: str
    start: int
    depth: int

    @property
    def end(self) -> int:
        """Return where the next piece begins."""
        return self.start + len(self.text)


@dataclass(frozen=True)
class Comparison:
    """A query `left > right`; `text` is the query without `bool`, so that its answer holds what satisfies it."""

    left: str
    operator: str
    right: str
    text: str
    is_bool: bool


def check(query: str) -> str:
    """Return the query. Raises ValueError if brackets or strings do not close, or a placeholder is not safe."""
    tokens = scan(query)
    for index, token in enumerate(tokens):
        if token.kind == "string" and Template.dollars(token.text).names:
            _check_placeholder(tokens, index)
    return query


def fill(query: str, labels: Mapping[str, str]) -> str:
    """Return the query with each `${label}` escaped in its place, for a regular expression too.

    Raises KeyError with the first label that is missing.
    """
    tokens, filled, position = scan(query), "", 0
    for index, token in enumerate(tokens):
        if token.kind == "string":
            quote = _quote_regex if index and tokens[index - 1].text in _REGEX else escape
            filled += query[position : token.start] + Template.dollars(token.text).fill(labels, quote)
            position = token.end
    return filled + query[position:]


def comparison(query: str) -> Comparison | None:
    """Return the two sides of the query's one comparison; None if it has none, several, or `and`, `or`, `unless`."""
    query = _unwrapped(_plain(query))
    tokens = scan(query)
    top = [token for token in tokens if token.depth == 0]
    operators = [token for token in top if token.kind == "operator" and token.text in _COMPARISONS]
    words = {token.text.lower() for token in top if token.kind == "word"}
    if len(operators) != 1 or words & (_SET_OPERATORS | {"group_right"}):
        return None
    return _split(query, tokens, operators[0])


def number(expression: str) -> float | None:
    """Return the value of an expression that is a number and asks nothing of Prometheus; None if it is not."""
    if not _LITERAL.fullmatch(expression.strip()):
        return None
    digits = re.sub(r"[\s()]", "", expression)
    return float(int(digits, 16)) if "0x" in digits.lower() else float(digits)


def longest_range(query: str) -> float:
    """Return how far back the query looks, in seconds: a sub-query's range adds to those inside it."""
    longest, inside, before = [0.0], 0.0, ""
    for token in scan(query):
        if token.text == "(":
            longest.append(0.0)
        elif token.text == ")":
            inside = longest.pop()
            longest[-1] = max(longest[-1], inside)
        elif token.kind == "duration" and before == "[":
            longest[-1] = max(longest[-1], inside + parse_duration(token.text))
        elif token.text != "[":
            inside = 0.0
        before = token.text
    return longest[0]


def scan(query: str) -> list[Token]:
    """Return the query's tokens, without space and comments. Raises ValueError with the place it cannot read."""
    open_brackets: list[str] = []
    tokens = []
    for match in _pieces(query):
        kind, text = str(match.lastgroup), match.group()
        if kind == "close" and (not open_brackets or open_brackets.pop() != _PAIRS[text]):
            raise ValueError(f"PromQL whose brackets match, got {text!r} too many in {query!r}")
        if kind != "space":
            tokens.append(Token(kind, text, match.start(), len(open_brackets)))
        if kind == "open":
            open_brackets.append(text)
    if open_brackets:
        raise ValueError(f"PromQL whose brackets match, got an open {open_brackets[-1]!r} in {query!r}")
    return tokens


def _pieces(query: str) -> Iterator[re.Match[str]]:
    position = 0
    while position < len(query):
        match = _TOKEN.match(query, position)
        if match is None:
            raise ValueError(_unreadable(query, position))
        yield match
        position = match.end()


def _unreadable(query: str, position: int) -> str:
    if query.startswith("${", position):
        return f"each placeholder as a label's value between double quotes, got {query[position:][:40]!r}"
    if query[position] in "\"'`":
        return f"PromQL whose strings are closed, got {query[position:][:40]!r}"
    return f"PromQL, got {query[position]!r} in {query!r}"


def _check_placeholder(tokens: list[Token], index: int) -> None:
    token = tokens[index]
    matcher = index > 0 and tokens[index - 1].text in _MATCHERS and token.depth > 0
    if not matcher or not token.text.startswith('"'):
        raise ValueError(f"each placeholder as a label's value between double quotes, got {token.text!r}")


def _quote_regex(value: str) -> str:
    return escape(_META.sub(r"\\\g<0>", value))


def _plain(query: str) -> str:
    """Replace comments and line ends by a space."""
    return "".join(" " if piece.lastgroup == "space" else piece.group() for piece in _pieces(query))


def _unwrapped(query: str) -> str:
    """Strip brackets around the whole query."""
    tokens = scan(query)
    while tokens and tokens[0].text == "(" and all(token.depth > 0 for token in tokens[1:-1]):
        if tokens[-1].text != ")":
            break
        query = query[tokens[0].end : tokens[-1].start]
        tokens = scan(query)
    return query.strip()


def _split(query: str, tokens: list[Token], operator: Token) -> Comparison | None:
    rest = [token for token in tokens if token.start >= operator.end]
    is_bool = bool(rest) and rest[0].text.lower() == "bool"
    start = rest[0].end if is_bool else operator.end
    left, right = query[: operator.start].strip(), query[_operand(rest[is_bool:]) :].strip()
    text = f"{query[: operator.end]} {query[start:].strip()}"
    return Comparison(left, operator.text, right, text, is_bool) if left and right else None


def _operand(tokens: list[Token]) -> int:
    """Return where the right side begins, behind `on(…)`, `ignoring(…)` and `group_left(…)`."""
    index = 0
    while index < len(tokens) and tokens[index].text.lower() in _GROUPING:
        index += 1
        if index < len(tokens) and tokens[index].text == "(":
            depth = tokens[index].depth
            index = next(at for at in range(index + 1, len(tokens)) if tokens[at].depth == depth) + 1
    return tokens[index].start if index < len(tokens) else 1 << 30
