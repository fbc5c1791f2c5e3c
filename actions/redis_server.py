"""The only code that speaks to Redis. The library is imported at the first call; nothing is ever sent twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, cast

from presagio.actions.addresses import Destination
from presagio.actions.base import NotAppliedError, UnknownOutcomeError

Settings = Mapping[str, str]


class RedisServer:
    """The fixed verbs that the actions use, on one open connection. Errors of the library become ours here."""

    def __init__(self, client: Any, address: str) -> None:
        self.client = client
        self.address = address

    def info(self, section: str) -> dict[str, Any]:
        """Return a section of INFO. Raises NotAppliedError: reading changes nothing."""
        return dict(self._read("INFO", section))

    def settings(self, names: Settings) -> dict[str, str]:
        """Return the settings of these names. Raises NotAppliedError if the server lacks one."""
        found = {name: self._read("CONFIG GET", name).get(name) for name in names}
        missing = [name for name, value in found.items() if value is None]
        if missing:
            raise NotAppliedError(f"redis {self.address} has no setting {missing[0]!r}; it is of another version")
        return {name: str(value) for name, value in found.items()}

    def set(self, settings: Settings) -> None:
        """Set them all in one command. Raises OutcomeError."""
        self._write("CONFIG SET", *(word for pair in settings.items() for word in pair))

    def purge(self) -> None:
        """Have the allocator give free pages back. Raises OutcomeError."""
        self._write("MEMORY PURGE")

    def _read(self, *words: str) -> Any:
        try:
            return self.client.execute_command(*words)
        except Exception as error:
            raise NotAppliedError(f"redis {self.address} cannot be asked: {_reason(error)}") from error

    def _write(self, *words: str) -> None:
        refused = cast(Any, import_module("redis.exceptions")).ResponseError
        try:
            self.client.execute_command(*words)
        except refused as error:
            raise NotAppliedError(f"redis {self.address} refused {words[0]}: {_reason(error)}") from error
        except Exception as error:
            text = f"redis {self.address} may have done {words[0]} or not: {_reason(error)}"
            raise UnknownOutcomeError(text) from error


@contextmanager
def connected(to: Destination) -> Iterator[RedisServer]:
    """Open one connection and close it. Raises NotAppliedError if the server cannot be reached or logged in to."""
    try:
        library, retry, backoff = (
            cast(Any, import_module(name)) for name in ("redis", "redis.retry", "redis.backoff")
        )
    except ImportError as error:
        raise NotAppliedError("the library redis is missing; pip install presagio[redis]") from error
    tls = {"ssl": True, "ssl_ca_certs": to.ca_file and str(to.ca_file)} if to.tls else {}
    client = library.Redis(
        host=to.host,
        port=to.port,
        username=to.user,
        password=to.password(),
        socket_timeout=to.timeout,
        socket_connect_timeout=to.timeout,
        retry=retry.Retry(backoff.NoBackoff(), 0),
        decode_responses=True,
        protocol=2,
        **tls,
    )
    with client:
        yield RedisServer(client, to.address)


# the server's words, and those that the library puts in their place
_UNKNOWN_USER = ("WRONGPASS", "NOAUTH", "invalid username-password", "Authentication required")


def _reason(error: Exception) -> str:
    text = str(error) or type(error).__name__
    if any(words in text for words in _UNKNOWN_USER):
        return f"{text}; see `user` and `password_file`"
    if "NOPERM" in text or "has no permissions" in text:
        return f"{text}; grant it with ACL SETUSER"
    return text
