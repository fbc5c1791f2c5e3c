"""The only code that speaks to PostgreSQL. The library is imported at the first call; nothing is ever sent twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, cast

from pydantic import Field

from presagio.actions.addresses import Destination, Servers
from presagio.actions.base import NotAppliedError, UnknownOutcomeError

DATABASE = "postgres"


class PostgresServers(Servers):
    """The servers that a policy names, and the database to log in to."""

    database: str = Field(DATABASE, min_length=1, description="database to log in to")


class PostgresDestination(Destination):
    """One server and its database: what a plan holds."""

    database: str = DATABASE


class PostgresServer:
    """One open session without a transaction. Values are bound. Errors of the library become ours here."""

    def __init__(self, session: Any, address: str) -> None:
        self.session = session
        self.address = address

    def rows(self, query: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Return what a query finds. Raises NotAppliedError: reading changes nothing."""
        try:
            return list(self.session.execute(query, values).fetchall())
        except Exception as error:
            raise NotAppliedError(f"postgres {self.address} cannot be asked: {_reason(error)}") from error

    def write(self, command: Any, values: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Carry out one statement and return its rows. Raises OutcomeError."""
        try:
            cursor = self.session.execute(command, values)
            return list(cursor.fetchall()) if cursor.description else []
        except Exception as error:
            # an SQLSTATE other than a lost connection or a statement ended half-way: the server refused it
            state = str(getattr(error, "sqlstate", None) or "08")
            if state.startswith(("08", "57")):
                text = f"postgres {self.address} may have done it or not: {_reason(error)}"
                raise UnknownOutcomeError(text) from error
            raise NotAppliedError(f"postgres {self.address} refused it: {_reason(error)}") from error


@contextmanager
def connected(to: PostgresDestination) -> Iterator[PostgresServer]:
    """Open one session and close it. Raises NotAppliedError if the server cannot be reached or logged in to."""
    try:
        library = cast(Any, import_module("psycopg"))
    except ImportError as error:
        raise NotAppliedError("the library psycopg is missing; pip install presagio[postgres]") from error
    milliseconds, password = max(1, int(to.timeout * 1000)), to.password()
    tls = {"sslmode": "verify-full", "sslrootcert": str(to.ca_file or "system")} if to.tls else {"sslmode": "prefer"}
    try:
        session = library.connect(
            host=to.host,
            port=to.port,
            dbname=to.database,
            user=to.user or "presagio",
            password=password,
            connect_timeout=max(2, round(to.timeout)),
            tcp_user_timeout=milliseconds,
            # a server that vanished while its answer was waited for
            keepalives_idle=max(1, round(to.timeout)),
            keepalives_interval=max(1, round(to.timeout)),
            keepalives_count=3,
            options=f"-c statement_timeout={milliseconds}",
            application_name="presagio",
            client_encoding="utf8",
            autocommit=True,
            **tls,
        )
    except library.Error as error:
        raise NotAppliedError(f"postgres {to.address} cannot be reached: {_reason(error)}") from error
    with session:
        yield PostgresServer(session, to.address)


def _reason(error: Exception) -> str:
    text = " ".join((str(error) or type(error).__name__).split())
    if "password" in text:
        return f"{text}; see `user` and `password_file`"
    return f"{text}; grant it, as docs/actions.md says" if "permission denied" in text else text
