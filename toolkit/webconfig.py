"""Who may use the API: keys in X-API-Key, or where a client cannot send that header, in Authorization."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from flask import g, request
from flask.sansio.scaffold import Scaffold
from pydantic import Field, SecretStr
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Forbidden, ServiceUnavailable, Unauthorized

from presagio.toolkit.log import Log
from presagio.toolkit.schema import Finding, Model
from presagio.toolkit.secrets import Secret, SecretError, matches

HEADER = "X-API-Key"

SECURITY_SCHEMES: Mapping[str, Any] = {
    "api_key": {"type": "apiKey", "in": "header", "name": HEADER},
    "bearer": {"type": "http", "scheme": "bearer"},
}
"""For the OpenAPI document: what the Authorize button asks for."""

SECURITY: list[dict[str, list[Any]]] = [{name: []} for name in SECURITY_SCHEMES]
"""For an APIBlueprint's `abp_security`: any one of the schemes."""


class Role(StrEnum):
    """What a key is good for."""

    READ = "read"
    OPERATE = "operate"
    APPROVE = "approve"


class AuthConfig(Model):
    """Authentication, on unless switched off by name. Configuration models embed it or inherit from it."""

    authentication: Literal["api_key", "none"] = Field("api_key", description="none lets everybody in")
    api_key: SecretStr | None = Field(None, description="key; rather use api_key_file")
    api_key_file: Path | None = Field(
        None, description="file with one key a line, read at each request: KEY, or KEY NAME read,operate,approve"
    )

    users: Mapping[str, tuple[Role, ...]] = Field(
        {}, description="what users of --web.config.file may do without a key; others of them only read"
    )

    def lint(self, path: tuple[str | int, ...] = ()) -> Iterator[Finding]:
        """Yield what is missing or given twice; `path` is where the model stands in its file."""
        if self.authentication == "api_key" and not self.secret() and not self.users:
            remedy = "a file with one API key a line (or authentication: none)"
            yield Finding((*path, "api_key_file"), remedy, "nothing")
        if self.api_key is not None and self.api_key_file is not None:
            yield Finding((*path, "api_key"), "either api_key or api_key_file", "both")

    def secret(self) -> Secret:
        """Return where the keys are."""
        return Secret(self.api_key, self.api_key_file)


@dataclass(frozen=True)
class Caller:
    """Who asks: the name of the key, and what it is good for."""

    name: str
    roles: frozenset[Role]


ANYBODY = Caller("anybody", frozenset(Role))
"""Who asks while authentication is off."""

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_UNNAMED = frozenset({Role.READ, Role.OPERATE})


def caller(line: str) -> Caller:
    """Return whose key a line of the key file is: `KEY`, or `KEY NAME ROLE,ROLE`.

    A key without a name reads and operates, as Alertmanager and scripts do; to approve it takes a person's, by name.
    Raises SecretError, which does not quote the key.
    """
    words = line.split()
    if len(words) == 1:
        return Caller("an unnamed key", _UNNAMED)
    try:
        _, name, roles = words
        return Caller(name, frozenset(Role(role) for role in roles.split(",")))
    except ValueError:
        told = " ".join(words[1:])
        raise SecretError(f"a line of the API keys is KEY or KEY NAME {','.join(Role)}, got '*** {told}'") from None


def key_of(line: str) -> str:
    """Return the key in a line of the key file."""
    return line.split(maxsplit=1)[0]


class Guard:
    """Lets a request pass that carries a valid key."""

    def __init__(self, config: AuthConfig, log: Log) -> None:
        self.config = config
        self.log = log
        self._has_warned = False

    def protect(self, scaffold: Scaffold) -> None:
        """Check each request to an app or a blueprint. Raises SecretError if there is no key to check against."""
        if self.config.authentication == "none":
            if not self._has_warned:
                self.log.warning("authentication is off: everybody may use the API")
            self._has_warned = True
            return
        self.keys()
        scaffold.before_request(self.check)

    def caller(self) -> Caller:
        """Return who makes the current request, which was checked."""
        known: Caller = g.get("presagio_caller", ANYBODY)
        return known

    def require(self, role: Role) -> Caller:
        """Return who makes the current request; refuse it (403) if their key is not good for this."""
        known = self.caller()
        if role not in known.roles:
            raise Forbidden(f"{known.name} may not {role}; it takes a line 'KEY NAME {role}' in the file of API keys")
        return known

    def check(self) -> None:
        """Refuse the current request (401) unless it carries a valid key. For use as `before_request`.

        Whoever came through the door (see door.py) has shown who they are; a key that they send with it is theirs.
        """
        user = g.get("presagio_user")
        given = request.headers.get(HEADER) if user else _given()
        if user and not given:
            self._pass(Caller(user, frozenset(self.config.users.get(user, (Role.READ,)))))
            return
        if given is None:
            raise _refusal(f"no API key; send it in the header {HEADER} or as Authorization: Bearer")
        # No short-circuit: every key is compared, whichever fits.
        fitting = [line for line in self._keys_now() if matches(given, [key_of(line)])]
        if not fitting:
            raise _refusal("wrong API key; ask whoever runs this server for a valid one")
        self._pass(caller(fitting[0]))

    @staticmethod
    def _pass(known: Caller) -> None:
        g.presagio_caller = known
        if request.method not in _READING and not known.roles - {Role.READ}:
            raise Forbidden(f"{known.name} may only read; it takes the role {Role.OPERATE}")

    def keys(self) -> list[str]:
        """Return the lines of the valid keys. Raises SecretError if there is none, or one cannot be read."""
        secret = self.config.secret()
        keys = secret.lines()
        if not keys and not self.config.users:
            where = f"secret file {str(secret.file)!r} is empty" if secret.file else "api_key is empty"
            raise SecretError(f"{where}; write one API key a line, or set authentication: none")
        for line in keys:
            caller(line)
        return keys

    def _keys_now(self) -> list[str]:
        try:
            return self.keys()
        except SecretError as error:
            self.log.error("no API key can be checked", error=error)
            raise ServiceUnavailable("the server cannot read its API keys; its log tells why") from error


def _given() -> str | None:
    """Return the key of the current request: its header, a bearer token or a basic password."""
    authorization = request.authorization
    fallback = (authorization.token or authorization.password) if authorization else None
    return request.headers.get(HEADER) or fallback or None


def _refusal(message: str) -> Unauthorized:
    return Unauthorized(message, www_authenticate=WWWAuthenticate("bearer", {"realm": "presagio"}))
