"""Write docs/configuration.md from the models of the configuration files and the flags of the commands.

    python docs/reference.py

tests/unit/test_docs.py compares the file with what this script would write.
"""

from __future__ import annotations

import argparse
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, BeforeValidator, SecretStr
from pydantic.fields import FieldInfo

from presagio.exporter import config as exporter
from presagio.exporter.presets import catalogue
from presagio.toolkit import plugins, web_file
from presagio.toolkit.cli import Command
from presagio.toolkit.labels import Template
from presagio.toolkit.units import Duration, format_duration
from presagio.webhook import config as webhook

FILE = Path(__file__).with_name("configuration.md")

INTRODUCTION = """\
# Configuration

*Written by `docs/reference.py` from the code: change the descriptions there, and run it.*

Each server reads one YAML (or JSON) file. It is strict: an unknown key, a wrong type or a missing value refuses the
file. `presagio check-config FILE...` tells every mistake with its line, what is expected there, and what was found.
At a reload (SIGHUP, or `POST /-/reload`) a file with mistakes is refused and the last good one stays in use.

- A **duration** is written as in Prometheus: `15s`, `5m`, `1h30m`, `14d`. A bare number is refused.
- A **secret** can stand in the file, or better in a file of its own: each secret has a `..._file` beside it. It is
  read at each use, so that a new one needs no restart.
- A **file** with a relative path is looked for in the folder in which the server was started, if its description says
  nothing else.
"""

_DURATION = get_args(Duration)[1:]

WORDS: Mapping[Any, str] = {
    str: "text",
    bool: "`true` or `false`",
    int: "whole number",
    float: "number",
    Path: "file",
    SecretStr: "secret text",
    Template: "text with `{label}`",
    Any: "any value",
}


def document() -> str:
    """Return the whole reference as Markdown."""
    parts = [
        INTRODUCTION,
        *_file("exporter.yml", exporter.ExporterConfig, "Of `presagio exporter` and `presagio backtest`."),
        *_presets(),
        *_plugins(plugins.DETECTORS, "a signal's `detector:`", "`detector_params:`"),
        *_plugins(
            plugins.COMBINERS, "`together.combiner`", "`together.params`",
            " [The score of a service](service-score.md) tells what they do.",
        ),
        *_plugins(
            plugins.FORECASTERS, "`forecasts.forecaster`", "`forecasts.params`",
            " [Forecasters](forecasters.md) tells what they do.",
        ),
        *_plugins(
            plugins.PREDICTORS, "a failure's `predictor:`", "`predictor_params:`",
            " [Predictors](predictors.md) tells what they do.",
        ),
        *_file(
            "webhook.yml", webhook.WebhookConfig,
            "Of `presagio webhook` and `presagio audit`. [Policies](policies.md) tells how policies work and what an "
            "`action_policies.json` holds, [actions](actions.md) the parameters of each action.",
        ),
        *_file(
            "web.yml", web_file.WebFile,
            "Of every server, by `--web.config.file`: TLS and basic authentication, in the form of Prometheus' "
            "exporter-toolkit. [Encryption and users](security.md#encryption-and-users) tells how they go together.",
        ),
        *_commands(),
    ]  # fmt: skip
    return "\n".join(parts)


def models(root: type[BaseModel], path: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield a model and all models in it, with the path at which each stands: `signals[].dead_band`."""
    yield path, root
    for name, field in root.model_fields.items():
        inner = _inner(field.annotation)
        if inner is not None:
            model, suffix = inner
            yield from models(model, f"{path}.{name}{suffix}".lstrip("."))


def _inner(annotation: Any) -> tuple[type[BaseModel], str] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, ""
    repeated = "[]" if get_origin(annotation) in (list, tuple) else ""
    found = (_inner(argument) for argument in get_args(annotation))
    return next(((model, repeated + suffix) for model, suffix in filter(None, found)), None)


def _file(name: str, root: type[BaseModel], text: str) -> Iterator[str]:
    yield f"## {name}\n\n{text}\n"
    found = list(models(root))
    first = {model: path for path, model in sorted(found, key=_depth, reverse=True)}
    for path, model in found:
        heading = f"### {name}: {path}\n\n" if path else ""
        if first[model] == path:
            yield heading + _table(model)
        else:
            other = f"{name}: {first[model]}"
            yield f"{heading}The same keys as [{other}](#{slug(other)}).\n"


def _depth(found: tuple[str, type[BaseModel]]) -> int:
    return found[0].count(".")


def slug(title: str) -> str:
    """Return the anchor that a heading gets."""
    kept = "".join(letter for letter in title.lower() if letter.isalnum() or letter in " -_")
    return kept.replace(" ", "-")


def _table(model: type[BaseModel]) -> str:
    summary = (model.__doc__ or "").strip().splitlines()[0]
    rows = [
        (f"`{name}`", _type(field), _default(field), _sentence(field)) for name, field in model.model_fields.items()
    ]
    return f"{summary}\n\n{_rows(('key', 'value', 'default', 'meaning'), rows)}"


def _rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def _sentence(field: FieldInfo) -> str:
    return field.description or ""


def _type(field: FieldInfo) -> str:
    is_duration = _is_duration(field.metadata)
    show = format_duration if is_duration else str
    limits = [text for item in field.metadata for text in _limit(item, show)]
    # That a duration is more than nothing goes without saying.
    return ", ".join([_word(field.annotation, field.metadata), *(text for text in limits if text != "more than 0s")])


def _limit(item: object, show: Callable[[Any], str]) -> Iterator[str]:
    match item:
        case Gt(gt=bound):
            yield f"more than {show(bound)}"
        case Ge(ge=bound):
            yield f"at least {show(bound)}"
        case Lt(lt=bound):
            yield f"less than {show(bound)}"
        case Le(le=bound):
            yield f"at most {show(bound)}"


def _is_duration(metadata: Sequence[object]) -> bool:
    return any(isinstance(item, BeforeValidator) and item in _DURATION for item in metadata)


def _word(annotation: Any, metadata: Sequence[object] = ()) -> str:
    if _is_duration(metadata):
        return "duration"
    if hasattr(annotation, "__metadata__"):
        return _word(annotation.__origin__, annotation.__metadata__)
    if get_origin(annotation) is not None:
        return _composed(get_origin(annotation), get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return _choice([member.value for member in annotation])
    return WORDS[annotation]


def _composed(origin: Any, arguments: Sequence[Any]) -> str:
    if origin is Literal:
        return _choice(arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(_word(each) for each in arguments if each is not type(None))
    if origin in (list, tuple):
        word = _word(arguments[0])
        return f"list of {word if word == 'text' else word + 's'}"
    return "mapping"


def _choice(values: Sequence[object]) -> str:
    return ", ".join(f"`{value}`" for value in values)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, BaseModel):
        return "as in the section"
    return _shown(value, _is_duration(field.metadata))


def _shown(value: object, is_duration: bool) -> str:
    if value is None or value in ("", [], {}, ()):
        return "none"
    match value:
        case bool():
            return f"`{str(value).lower()}`"
        case float() if is_duration:
            return f"`{format_duration(value)}`"
        case Template():
            return f"`{value.text}`"
        case Enum():
            return f"`{value.value}`"
    return f"`{value}`"


def _presets() -> Iterator[str]:
    yield (
        "## Presets\n\nReady signals, by name in `presets:`. "
        "A signal of yours with the same name takes the place of a preset's. "
        "[Presets](presets.md) describes each signal.\n"
    )
    rows = [(f"[`{name}`](presets.md#{name})", f"{len(catalogue.signals(name))}") for name in catalogue.names()]
    yield _rows(("preset", "signals"), rows)


def _plugins(group: str, where: str, params: str, told: str = "") -> Iterator[str]:
    kind = group.removeprefix("presagio.")
    yield f"## {kind.title()}\n\nBy name in {where}; the parameters stand in {params}.{told}\n"
    for name in plugins.names(group):
        model = plugins.load(group, name).Params
        yield f"### {kind.removesuffix('s').title()} {name}\n\n{_parameters(model)}"


def _parameters(model: type[BaseModel]) -> str:
    return _table(model) if model.model_fields else "No parameters.\n"


def _commands() -> Iterator[str]:
    yield "## Commands\n\n`presagio --version` tells the version, `presagio COMMAND --help` what is written here.\n"
    for name in plugins.names(plugins.COMMANDS):
        command: Command = plugins.load(plugins.COMMANDS, name)()
        parser = argparse.ArgumentParser(f"presagio {name}", add_help=False)
        command.add_arguments(parser)
        yield from _command(parser, command.help)


def _command(parser: argparse.ArgumentParser, text: str) -> Iterator[str]:
    subs = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    rows = [_flag(action) for action in parser._actions if action not in subs and action.dest != "help"]
    table = _rows(("argument", "meaning"), rows) if rows else ""
    yield f"### {parser.prog}\n\n{text[:1].upper()}{text[1:]}.\n" + (f"\n{table}" if table else "")
    for sub in subs:
        texts = {choice.dest: choice.help or "" for choice in sub._choices_actions}
        for name, inner in sub.choices.items():
            inner.prog = f"{parser.prog} {name}"
            yield from _command(inner, texts[name])


def _flag(action: argparse.Action) -> tuple[str, str]:
    value = action.metavar or ("|".join(action.choices) if action.choices else "")
    spelled = ", ".join(f"`{option}{f' {value}' if value else ''}`" for option in action.option_strings)
    more = " ..." if action.nargs == "+" else ""
    return spelled or f"`{value}{more}`", action.help or ""


if __name__ == "__main__":
    FILE.write_text(document())
