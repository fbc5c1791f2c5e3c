"""YAML and JSON with the line of every key and value, so that a mistake can be pointed at."""

from __future__ import annotations

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

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line


def parse(text: str, json: bool = False) -> Document:
    """Read one YAML document, or JSON, which is YAML but for tabs. Raises SyntaxMistakeError."""
    loader = yaml.SafeLoader(text.replace("\t", " ") if json else text)
    document = Document()
    try:
        node = loader.get_single_node()
        if node is not None:
            document.data = _Reader(loader, document).read(node, ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise SyntaxMistakeError(mark.line + 1 if mark else 1, error.problem or str(error)) from error
    except yaml.YAMLError as error:
        raise SyntaxMistakeError(1, str(error)) from error
    finally:
        loader.dispose()
    return document


class _Reader:
    """Walks YAML's nodes, keeping the lines that plain construction forgets."""

    def __init__(self, loader: yaml.SafeLoader, document: Document) -> None:
        self.loader = loader
        self.document = document

    def read(self, node: yaml.Node, path: Path) -> Any:
        self.document.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*path, index)) for index, item in enumerate(node.value)]
        return self.loader.construct_object(node, deep=True)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        self.loader.flatten_mapping(node)
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(self.loader.construct_object(key_node, deep=True))
            inner = (*path, key)
            line = key_node.start_mark.line + 1
            if key in found:
                self.document.duplicates.append((inner, line))
            self.document.lines[inner] = line
            found[key] = self.read(value_node, inner)
        return found
