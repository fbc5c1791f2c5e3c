"""The action `http`: one request to an address that the policy alone names.

Class D: an answer that never came leaves the outcome unknown, unless the policy names a `probe`. The attempt's id
goes along as Idempotency-Key, for servers that heed it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal
from urllib.parse import quote, unquote

from pydantic import AfterValidator, BaseModel, Field, JsonValue

from presagio.actions import placeholders
from presagio.actions.base import (
    ActionClass,
    Evidence,
    NotAppliedError,
    OutcomeError,
    Permission,
    Plan,
    PlanError,
    Probe,
    Target,
    UnknownOutcomeError,
)
from presagio.actions.connection import Answer, check_allowed, send
from presagio.toolkit.schema import Model
from presagio.toolkit.secrets import Secret, SecretError
from presagio.toolkit.units import Duration

_URL = re.compile(r"(https?://(?:[A-Za-z0-9_.-]+|\[[0-9a-fA-F:.]+\])(?::\d{1,5})?)((?:/[^\s#]*|\?[^\s#]*)?)")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "idempotency-key"})
_REFUSING = frozenset({301, 307, 308})

Body = JsonValue


def _url(url: str) -> str:
    if not _URL.fullmatch(url):
        raise ValueError(
            f"http(s)://HOST[:PORT]/PATH without user, fragment or a placeholder before the path, got {url!r}"
        )
    return placeholders.check_template(url)


def _body(body: Body) -> Body:
    _each(body, placeholders.check_template)
    return body


def _header(name: str) -> str:
    if not _TOKEN.fullmatch(name) or name.lower() in _OURS:
        raise ValueError(f"a header other than {', '.join(sorted(_OURS))}, got {name!r}")
    return name


def _value(value: str) -> str:
    if not value.isprintable() or not value.isascii() or placeholders.has_placeholder(value):
        raise ValueError(f"printable text without placeholders as a header's value, got {value!r}")
    return value


Header = Annotated[str, AfterValidator(_header)]
Url = Annotated[str, AfterValidator(_url)]


class _Common(Model):
    method: Literal["POST", "PUT", "PATCH", "DELETE", "GET"] = Field("POST", description="of the request")
    headers: Mapping[Header, Annotated[str, AfterValidator(_value)]] = Field(
        default_factory=dict, description="sent with it; secrets rather in header_files"
    )
    header_files: Mapping[Header, Path] = Field(default_factory=dict, description="headers whose value is in a file")
    bearer_token_file: Path | None = Field(None, description="file with a token for Authorization: Bearer")
    timeout: Duration = Field(10.0, gt=0, description="for connecting and for the answer, each")
    expected_status: tuple[Annotated[int, Field(ge=100, le=599)], ...] = Field(
        (), description="answers that mean success; default: 200 to 299"
    )
    ca_file: Path | None = Field(None, description="certificate authority that signed the server's certificate")
    allow_private: Annotated[bool | tuple[str, ...], AfterValidator(check_allowed)] = Field(
        False,
        description="speak to loopback and link-local addresses: true, or the networks, addresses and hosts meant",
    )


class HttpParams(_Common):
    """What a policy may write under `http:`."""

    url: Url = Field(description="${label} may fill parts of path and query, percent-encoded")
    body: Annotated[Body, AfterValidator(_body)] = Field(
        None, description="sent as JSON; ${label} may fill parts of its strings"
    )
    probe: Url | None = Field(None, description="URL that answers GET with 2xx if it was done, 404 or 410 if not")


class Request(_Common):
    """A request whose placeholders are filled: what a plan holds."""

    url: str
    body: Body = None
    probe: str | None = None


class Http:
    """Sends one request. 2xx is success, 4xx did nothing, 5xx and silence may have had effects."""

    Params: ClassVar[type[BaseModel]] = HttpParams
    action_class: ClassVar[ActionClass] = ActionClass.ONCE
    settle_seconds: ClassVar[float] = 10.0
    permissions: ClassVar[tuple[Permission, ...]] = (Permission("host", "to reach the server"),)

    def plan(self, target: Target, params: HttpParams) -> Plan:
        """Return the request with its placeholders filled. Raises PlanError for a value that is not safe."""
        common = params.model_dump(include=set(_Common.model_fields))
        request = Request(
            url=_fill_url(params.url, target),
            body=_each(params.body, lambda text: placeholders.fill(text, target, placeholders.plain)),
            probe=params.probe and _fill_url(params.probe, target),
            **common,
        )
        return Plan("http", f"{request.method} {request.url}", request.model_dump(mode="json"))

    def apply(self, plan: Plan, attempt_id: str) -> Evidence:
        """Send it. NotAppliedError: never sent, or answered 4xx. UnknownOutcomeError: anything else but success."""
        request = Request.model_validate(plan.params)
        body = None if request.body is None else json.dumps(request.body).encode()
        answer = _send(request, request.method, request.url, body, attempt_id)
        evidence = _evidence(request, answer)
        if _is_success(request, answer.status):
            return evidence
        if answer.status in _REFUSING:
            raise NotAppliedError(
                f"{evidence.summary}: redirects are not followed, name {answer.location!r}", evidence
            )
        kind = NotAppliedError if 400 <= answer.status < 500 else UnknownOutcomeError
        raise kind(evidence.summary, evidence)

    def probe(self, plan: Plan, attempt_id: str) -> Probe:
        """Ask the policy's probe, if it has one."""
        request = Request.model_validate(plan.params)
        if request.probe is None:
            return Probe.UNKNOWN
        try:
            status = _send(request, "GET", request.probe, None, attempt_id).status
        except OutcomeError:
            return Probe.UNKNOWN
        if status in (404, 410):
            return Probe.NOT_APPLIED
        return Probe.APPLIED if 200 <= status < 300 else Probe.UNKNOWN

    def undo(self, plan: Plan) -> Evidence:
        """Raise NotAppliedError: what a request did, only its server can undo."""
        raise NotAppliedError(f"{plan.summary} has no undo; undo it by hand")

    def changed(self, plan: Plan) -> None:
        """Return None: what a request did, only its server knows."""
        del plan


def _fill_url(url: str, target: Target) -> str:
    match = _URL.fullmatch(url)
    base, rest = match.groups() if match else (url, "")
    rest = placeholders.fill(rest, target, placeholders.plain, lambda value: quote(value, safe=""))
    if {".", ".."} & set(unquote(rest.partition("?")[0]).split("/")):
        raise PlanError(f"the path of {url!r} would step up: {rest!r}")
    return base + rest


def _each(body: Body, change: placeholders.Change) -> Body:
    """Return a JSON value with `change` done to each of its strings; keys stay."""
    if isinstance(body, str):
        return change(body)
    if isinstance(body, list):
        return [_each(item, change) for item in body]
    if isinstance(body, dict):
        return {key: _each(item, change) for key, item in body.items()}
    return body


def _send(request: Request, method: str, url: str, body: bytes | None, attempt_id: str) -> Answer:
    headers = {"User-Agent": "presagio", **request.headers, **_secrets(request), "Idempotency-Key": attempt_id}
    if body is not None:
        headers = {"Content-Type": "application/json", **headers}
    return send(
        method,
        url,
        headers=headers,
        body=body,
        timeout=request.timeout,
        allowed=request.allow_private,
        ca_file=request.ca_file,
    )


def _secrets(request: Request) -> dict[str, str]:
    try:
        found = {name: Secret(file=path).read() for name, path in request.header_files.items()}
        if request.bearer_token_file:
            found["Authorization"] = f"Bearer {Secret(file=request.bearer_token_file).read()}"
    except SecretError as error:
        raise NotAppliedError(str(error)) from error
    for name, value in found.items():
        if not value.isprintable() or not value.isascii():
            raise NotAppliedError(f"the secret for the header {name!r} is more than one line of ASCII text")
    return found


def _is_success(request: Request, status: int) -> bool:
    return status in request.expected_status if request.expected_status else 200 <= status < 300


def _evidence(request: Request, answer: Answer) -> Evidence:
    summary = f"{request.method} {request.url} was answered {answer.status}"
    return Evidence(summary, {"status": answer.status, "body": answer.body})
