"""Write docs/api.md and the OpenAPI documents beside it from both servers.

    python docs/api.py

tests/unit/test_docs_site.py compares the files with what this script would write.
"""

from __future__ import annotations

import json
import re
import tempfile
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast

from flask_openapi3.openapi import OpenAPI
from prometheus_client import CollectorRegistry

from presagio.exporter.config import ExporterConfig
from presagio.exporter.server import ExporterWing
from presagio.toolkit.clock import SystemClock
from presagio.toolkit.log import get_log
from presagio.toolkit.serve import Context
from presagio.webhook.config import WebhookConfig
from presagio.webhook.server import WebhookWing

FOLDER = Path(__file__).parent
PORTS = {"exporter": 8000, "webhook": 3001}
METHODS = ("get", "post", "put", "delete")

Json = Mapping[str, Any]

INTRODUCTION = """\
# API

*Written by `docs/api.py` from the OpenAPI documents of both servers: change the descriptions in the code, and
run it.*

Both servers show the same at `/docs`, where it can be tried, and give their document at `/openapi.json`; here are
copies: [exporter](openapi-exporter.json), [webhook](openapi-webhook.json). Keys and roles are told in
[security](security.md#keys-and-roles). Answers are JSON; of those that say no, `error` tells why. `/-/healthy`,
`/-/ready`, `/-/reload` and `/metrics` are as Prometheus has them.
"""

COMMON = ("400", "401", "413", "422")
"""Answers that every address has; said once."""


def apps() -> dict[str, OpenAPI]:
    """Return the apps of both servers, put together as when they run."""
    return {"exporter": _exporter(), "webhook": _webhook()}


def _exporter() -> OpenAPI:
    config = ExporterConfig.model_validate({"api": {"authentication": "none"}})
    return cast(OpenAPI, ExporterWing().build(config, _context()).app)


def _webhook() -> OpenAPI:
    webhook = WebhookWing().build(WebhookConfig.model_validate({"api": {"authentication": "none"}}), _context())
    webhook.parts.workers.shutdown()
    webhook.parts.engine.dispose()
    return cast(OpenAPI, webhook.app)


def _context() -> Context:
    folder = Path(tempfile.mkdtemp(prefix="presagio-api-"))
    return Context(Namespace(storage_path=folder), CollectorRegistry(), SystemClock(), get_log("api"), lambda: None)


def files() -> dict[Path, str]:
    """Return all files that this writes, with their text."""
    documents = {name: app.api_doc for name, app in apps().items()}
    texts = {FOLDER / f"openapi-{name}.json": json.dumps(found, indent=1) + "\n" for name, found in documents.items()}
    return {**texts, FOLDER / "api.md": page(documents)}


def page(documents: Mapping[str, Json]) -> str:
    """Return the reference of all documents as Markdown."""
    parts = [INTRODUCTION, _refusals()]
    for name, document in documents.items():
        parts.append(f"## {name}\n\n{document['info']['description']} Port {PORTS[name]}.\n")
        told = [*_operations(document), f"### Bodies of the {name}\n", *_schemas(name, document)]
        parts.extend(_linked(text, name, document["components"]["schemas"]) for text in told)
    return "\n".join(parts)


def _linked(text: str, name: str, schemas: Json) -> str:
    """Return the text with each name of a body as a link to it."""
    anchor = "[`{0}`](#{1}-of-the-{2})"
    return re.sub(
        r"`(\w+)`",
        lambda found: anchor.format(found[1], found[1].lower(), name) if found[1] in schemas else found[0],
        text,
    )


def _refusals() -> str:
    rows = [f"| {code} | {HTTPStatus(int(code)).phrase} |\n" for code in COMMON]
    return "Every address may answer besides:\n\n| code | meaning |\n|---|---|\n" + "".join(rows)


def _operations(document: Json) -> Iterator[str]:
    for path, methods in document["paths"].items():
        for method in METHODS:
            if method in methods:
                yield _operation(f"{method.upper()} {path}", methods[method])


def _operation(title: str, told: Json) -> str:
    text = told.get("description", "").replace("<br/>", "").strip()
    parts = [f"### {title}\n", f"{told['summary'].rstrip('.')}.{' ' * bool(text)}{text}\n"]
    rows = [
        (f"`{each['name']}`", each["in"], _type(each["schema"]), _cell(each.get("description", "")))
        for each in told.get("parameters", [])
    ]
    if rows:
        parts.append(_table(("parameter", "in", "value", "meaning"), rows))
    if "requestBody" in told:
        parts.append(f"Body: {_body(told['requestBody'])}.\n")
    answers = ((code, answer) for code, answer in sorted(told["responses"].items()) if code not in COMMON)
    parts.append(_table(("answer", "body"), [(f"{code} {_phrase(code)}", _body(answer)) for code, answer in answers]))
    return "\n".join(parts)


def _phrase(code: str) -> str:
    return HTTPStatus(int(code)).phrase


def _body(told: Json) -> str:
    content: Json = next(iter(told.get("content", {}).values()), {})
    return _type(content["schema"]) if "schema" in content else "none"


def _schemas(name: str, document: Json) -> Iterator[str]:
    for title, schema in document["components"]["schemas"].items():
        required = schema.get("required", [])
        rows = [
            (f"`{key}`", _type(value), "yes" if key in required else "", _cell(value.get("description", "")))
            for key, value in schema.get("properties", {}).items()
        ]
        table = _table(("key", "value", "required", "meaning"), rows) if rows else f"{_type(schema)}\n"
        yield f"#### {title} of the {name}\n\n{_cell(schema.get('description', ''))}\n\n{table}"


def _type(schema: Json) -> str:
    if "$ref" in schema:
        return f"`{schema['$ref'].rsplit('/', 1)[1]}`"
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return " or ".join(_type(each) for each in schema[choice] if each.get("type") != "null")
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}" if "items" in schema else "list"
    return _limited(schema)


def _limited(schema: Json) -> str:
    names = {"minimum": "at least", "maximum": "at most", "minLength": "at least", "maxLength": "at most"}
    limits = [
        f"{word} {schema[key]:g}{' characters' * key.endswith('Length')}"
        for key, word in names.items()
        if key in schema
    ]
    return ", ".join([schema.get("type", "any value"), *limits])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text)
