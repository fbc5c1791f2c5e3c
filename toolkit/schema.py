"""Strict configuration: a file either is right, or every mistake in it is told in one report."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, Generic, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from presagio.toolkit.errors import ConfigError
from presagio.toolkit.positions import Document, Path, SyntaxMistakeError, parse

ModelT = TypeVar("ModelT", bound=BaseModel)


FROM_FILE = {"from_file": True}
"""Context of a validation: what stands in a file is taken less lightly than what code passes on."""


class Model(BaseModel):
    """What users write: unknown keys are refused, values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, populate_by_name=True)


@dataclass(frozen=True)
class Mistake:
    """One mistake: where, what would be right, what stands there."""

    file: str
    line: int
    path: str
    expected: str
    got: str

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        return f"{self.file}:{self.line}: {where}expected {self.expected}, got {self.got}"


@dataclass(frozen=True)
class Finding:
    """A mistake that only the whole configuration shows: from a file's own lint."""

    path: Path
    expected: str
    got: str


@dataclass(frozen=True)
class ConfigFile(Generic[ModelT]):
    """One kind of file that users write.

    `recognises` tells it from the other kinds by its top-level keys; `lint` looks at what no field alone can show.
    """

    kind: str
    model: type[ModelT]
    recognises: Callable[[Mapping[str, Any]], bool]
    lint: Callable[[ModelT], Iterable[Finding]] = lambda _: ()

    def load(self, path: FilePath) -> ModelT:
        """Return the configuration in `path`. Raises ConfigError with all its mistakes."""
        return self.validate(read(path), str(path))

    def validate(self, document: Document, file: str) -> ModelT:
        """Return the model of a parsed document. Raises ConfigError with all its mistakes."""
        mistakes = [
            Mistake(file, line, dotted(path), "each key once", f"{path[-1]!r} again")
            for path, line in document.duplicates
        ]
        try:
            config = self.model.model_validate({} if document.data is None else document.data, context=FROM_FILE)
        except ValidationError as error:
            mistakes += [_mistake(self.model, document, file, one) for one in error.errors()]
            raise ConfigError(_unique(mistakes)) from None
        mistakes += [
            Mistake(file, document.line(one.path), dotted(one.path), one.expected, one.got)
            for one in self.lint(config)
        ]
        if mistakes:
            raise ConfigError(_unique(mistakes))
        return config


def read(path: FilePath) -> Document:
    """Return the parsed file. Raises ConfigError if it cannot be read or is not YAML or JSON."""
    try:
        return parse(path.read_text(encoding="utf-8-sig"), json=path.suffix == ".json")
    except OSError as error:
        raise ConfigError([Mistake(str(path), 1, "", "a readable file", error.strerror or str(error))]) from None
    except UnicodeDecodeError as error:
        raise ConfigError([Mistake(str(path), 1, "", "UTF-8 text", f"byte {error.start} is not")]) from None
    except SyntaxMistakeError as error:
        raise ConfigError([Mistake(str(path), error.line, "", error.expected, error.got)]) from None


def dotted(path: Sequence[str | int]) -> str:
    """Return a path as people read it: `signals[0].query`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.lstrip(".")


def _unique(mistakes: Iterable[Mistake]) -> list[Mistake]:
    return sorted(dict.fromkeys(mistakes), key=lambda mistake: mistake.line)


def _mistake(model: type[BaseModel], document: Document, file: str, error: ErrorDetails) -> Mistake:
    path = _in_file(document.data, error)
    expected, got = _explain(model, path, error)
    return Mistake(file, document.line(path), dotted(path), expected, got)


def _in_file(data: Any, error: ErrorDetails) -> Path:
    """Return the part of pydantic's location that the file has: unions add steps that nobody wrote."""
    path: Path = ()
    for step in error["loc"]:
        if step in (data if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ()):
            data = data[step]
            path = (*path, step)
    return (*path, error["loc"][-1]) if error["type"] == "missing" else path


def _explain(model: type[BaseModel], path: Path, error: ErrorDetails) -> tuple[str, str]:
    if error["type"] == "extra_forbidden":
        return _known_key(model, path), f"unknown key {str(path[-1])!r}"
    if error["type"] == "missing":
        return f"a value for {str(path[-1])!r}", "nothing"
    if error["type"] == "value_error":
        expected, separator, got = str(error["ctx"]["error"]).rpartition(", got ")
        return (expected, got) if separator else (got, _shown(error["input"]))
    message = error["msg"].removeprefix("Input should be ").strip()
    # The report is logged, and sent to whoever asks for a reload.
    got = f"a value of type {type(error['input']).__name__}" if _is_secret(model, path) else _shown(error["input"])
    return message[:1].lower() + message[1:], got


def _known_key(model: type[BaseModel], path: Path) -> str:
    known = sorted(_keys(model, path[:-1]))
    close = difflib.get_close_matches(str(path[-1]), known, n=1)
    return f"{close[0]!r}" if close else f"one of {', '.join(known)}" if known else "no such key"


def _keys(model: type[BaseModel], path: Path) -> set[str]:
    """Return the keys that may stand at `path`: walks the models along it, into containers and unions."""
    return {field.alias or name for one in _at(model, path) for name, field in one.model_fields.items()}


def _at(model: type[BaseModel], path: Path) -> set[type[BaseModel]]:
    models = {model}
    for step in path:
        if isinstance(step, str):
            fields = (found for one in models if (found := _field(one, step)) is not None)
            models = {inner for field in fields for inner in _models(field)} or models
    return models


def _is_secret(model: type[BaseModel], path: Path) -> bool:
    fields = (_field(one, str(path[-1])) for one in _at(model, path[:-1])) if path else ()
    return any(field is SecretStr or SecretStr in get_args(field) for field in fields)


def _field(model: type[BaseModel], key: str) -> Any:
    for name, field in model.model_fields.items():
        if key in (name, field.alias):
            return field.annotation
    return None


def _models(annotation: Any) -> set[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}
    return {model for argument in get_args(annotation) for model in _models(argument)}


def _shown(value: object) -> str:
    text = json.dumps(value, default=repr, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."
