"""Errors over HTTP: always JSON, with an `error` that a person understands; a refused body names its fields."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from flask import Flask, Request, Response, jsonify, make_response, request
from flask_openapi3.types import ResponseDict
from pydantic import BaseModel, Field, ValidationError
from pydantic_core import ErrorDetails
from werkzeug.exceptions import BadRequest, HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge

from presagio.toolkit.errors import LimitError
from presagio.toolkit.log import Log
from presagio.toolkit.schema import dotted
from presagio.toolkit.units import format_bytes

_SHOWN = 80
_PYDANTIC = re.compile(r"^\w+ should (be|have) | after validation.*$| or instance of .*$")
"""What pydantic says around the one thing that we want to tell."""


class ErrorBody(BaseModel):
    """What went wrong."""

    error: str = Field(description="what is wrong, and the remedy")


class FieldBody(BaseModel):
    """One field of a refused body."""

    field: str = Field(description="path of the field, such as metrics.cpu")
    expected: str
    got: str


class RefusalBody(ErrorBody):
    """A body that was understood and refused."""

    fields: list[FieldBody]


RESPONSES: ResponseDict = {
    "400": ErrorBody, "401": ErrorBody, "413": ErrorBody, "422": RefusalBody,
}  # fmt: skip
"""For an APIBlueprint's `abp_responses`: what every call may answer."""


class JsonRequest(Request):
    """A request whose body is JSON whatever its content type says; a malformed one is told from an empty one."""

    def get_json(self, force: bool = True, silent: bool = False, cache: bool = True) -> Any:  # noqa: ARG002
        """Return the parsed body. Raises BadRequest (400), and RequestEntityTooLarge (413)."""
        # flask_openapi3 asks silently and takes malformed JSON for no JSON at all, hence for a lack of fields.
        try:
            return super().get_json(force=True, silent=False, cache=cache)
        except RecursionError:
            self.on_json_loading_failed(ValueError("nested too deeply"))

    def on_json_loading_failed(self, e: ValueError | None) -> NoReturn:
        """Say where the body stops being JSON."""
        raise BadRequest("no JSON body" if not self.get_data() else f"malformed JSON: {e}")


def install(app: Flask, log: Log) -> None:
    """Answer every error of `app` in JSON."""

    def unexpected(_error: Exception) -> Response:
        log.exception("request failed", method=request.method, path=request.path)
        return answer(500, "internal error; the server's log tells more")

    app.register_error_handler(HTTPException, _known)
    app.register_error_handler(LimitError, lambda error: answer(409, str(error)))
    app.register_error_handler(Exception, unexpected)


def answer(code: int, error: str) -> Response:
    """Return an error as a response."""
    return make_response(jsonify(error=error), code)


def refuse(error: ValidationError) -> Response:
    """Return 422 with every field that is wrong. For flask_openapi3's `validation_error_callback`."""
    fields = [_field(one) for one in error.errors()]
    first = fields[0]
    summary = f"{first['field']}: expected {first['expected']}, got {first['got']}"
    return make_response(jsonify(error=summary, fields=fields), 422)


def _known(error: HTTPException) -> Response:
    if error.response is not None:
        return make_response(error.response)
    response = answer(error.code or 500, _message(error))
    for name, value in error.get_headers():
        if name.lower() not in ("content-type", "content-length"):
            response.headers[name] = value
    return response


def _message(error: HTTPException) -> str:
    if isinstance(error, MethodNotAllowed):
        allowed = [method for method in error.valid_methods or () if method not in ("OPTIONS", "HEAD")]
        return f"{request.method} is not allowed on {request.path}; use {' or '.join(allowed)}"
    if isinstance(error, RequestEntityTooLarge):
        return f"the body is larger than {format_bytes(request.max_content_length or 0)}; send less at once"
    if isinstance(error, NotFound) and error.description == NotFound.description:
        return f"there is nothing at {request.path}"
    return error.description or error.name.lower()


def _field(error: ErrorDetails) -> dict[str, str]:
    path = tuple(step for step in error["loc"] if step != "[key]")
    name = dotted([_cut(step) if isinstance(step, str) else step for step in path]) or "body"
    expected, got = _explain(error)
    return {"field": name, "expected": expected, "got": got}


def _explain(error: ErrorDetails) -> tuple[str, str]:
    if error["type"] == "missing":
        return "a value", "nothing"
    if error["type"] == "extra_forbidden":
        return "no such field", _shown(error["input"])
    if error["type"] == "value_error":
        expected, separator, got = str(error["ctx"]["error"]).rpartition(", got ")
        return (expected, got) if separator else (got, _shown(error["input"]))
    return _PYDANTIC.sub("", error["msg"]).lower(), _shown(error["input"])


def _shown(value: object) -> str:
    return _cut(json.dumps(value, default=repr))


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
