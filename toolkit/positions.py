"""YAML and JSON with the line of every key and value, so that a mistake can be pointed at."""

from __future__ import annotations

import json as jsonlib
import re
from dataclasses import dataclass, field
from typing import Any

import yaml

Path = tuple[str | int, ...]


@dataclass
class Document:
    """The plain data of a file, and on which line each path of it stands (from 1)."""

    data: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    duplicates: list[tuple[Path, int]] = field(default_factory=list)

    def line(self, path: Path) -> int:
        """Return the line of `path`, or of its nearest parent that the file has."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


class SyntaxMistakeError(ValueError):
    """The text is not YAML (or JSON) at all."""

    def __init__(self, line: int, expected: str, got: str) -> None:
        super().__init__(f"expected {expected}, got {got}")
        self.line, self.expected, self.got = line, expected, got


MAX_VALUES = 200_000
"""Of one file. A few lines of aliases of aliases can stand for more than fit into any memory."""

_YAML = "valid YAML"
_BUT = re.compile(r"(?:expected )?(.*?)(?:, )?but (?:got|found) (.*)")


def parse(text: str, json: bool = False) -> Document:
    """Read one YAML document, or JSON. Raises SyntaxMistakeError."""
    if not json:
        return _parse(text)
    try:
        data = jsonlib.loads(text)
    except jsonlib.JSONDecodeError as error:
        raise _json_mistake(error) from error
    except RecursionError as error:
        raise SyntaxMistakeError(1, "valid JSON", "a nesting that is too deep") from error
    # JSON is YAML but for tabs, numbers such as 1e5, surrogate pairs and long keys: from YAML come only the lines.
    try:
        document = _parse(text.replace("\t", " "))
    except SyntaxMistakeError:
        document = Document()
    document.data = data
    return document


def _json_mistake(error: jsonlib.JSONDecodeError) -> SyntaxMistakeError:
    if error.msg.startswith("Expecting "):
        got = repr(error.doc[error.pos]) if error.pos < len(error.doc) else "the end"
        return SyntaxMistakeError(error.lineno, error.msg.removeprefix("Expecting "), got)
    return SyntaxMistakeError(error.lineno, "valid JSON", error.msg.removesuffix(" at").lower())


def _yaml_mistake(error: yaml.MarkedYAMLError) -> SyntaxMistakeError:
    mark, problem = error.problem_mark or error.context_mark, error.problem or str(error)
    line = mark.line + 1 if mark else 1
    told = _BUT.fullmatch(problem)
    if told:
        return SyntaxMistakeError(line, told[1] or _YAML, told[2])
    return SyntaxMistakeError(line, _YAML, problem.removeprefix("found "))


def _parse(text: str) -> Document:
    document = Document()
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is not None:
            document.data = _Reader(loader, document).read(node, ())
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise SyntaxMistakeError(line, _YAML, f"the character U+{error.character:04X}") from error
    except yaml.MarkedYAMLError as error:
        raise _yaml_mistake(error) from error
    except RecursionError as error:
        raise SyntaxMistakeError(1, _YAML, "a nesting that is too deep, or an anchor within itself") from error
    return document


class _Reader:
    """Walks YAML's nodes, keeping the lines that plain construction forgets."""

    def __init__(self, loader: yaml.SafeLoader, document: Document) -> None:
        self.loader = loader
        self.document = document
        self._own: dict[int, set[int]] = {}

    def read(self, node: yaml.Node, path: Path) -> Any:
        self.document.lines.setdefault(path, node.start_mark.line + 1)
        self._bound(node, len(self.document.lines))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node)

    def _bound(self, node: yaml.Node, values: int) -> None:
        if values > MAX_VALUES:
            line = node.start_mark.line + 1
            raise SyntaxMistakeError(line, f"at most {MAX_VALUES} values", "more; do aliases repeat each other?")

    def _scalar(self, node: yaml.Node) -> Any:
        try:
            return self.loader.construct_object(node, deep=True)
        except ValueError as error:  # what looks like a date or a number, and is none
            raise SyntaxMistakeError(node.start_mark.line + 1, _YAML, f"{node.value!r}: {error}") from error

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        # Of keys that `<<` brings in, and those only, the mapping may have its own.
        own = self._own.setdefault(id(node), {id(key) for key, _ in node.value})
        self.loader.flatten_mapping(node)
        self._bound(node, len(node.value))
        found: dict[str, Any] = {}
        written: set[str] = set()
        for key_node, value_node in node.value:
            key = str(self._scalar(key_node))
            inner = (*path, key)
            line = key_node.start_mark.line + 1
            if id(key_node) in own:
                if key in written:
                    self.document.duplicates.append((inner, line))
                written.add(key)
            self.document.lines[inner] = line
            found[key] = self.read(value_node, inner)
        return found
