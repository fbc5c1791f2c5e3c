"""Addresses to listen on, as Prometheus writes them: `:8000`, `localhost:8000`, `[::1]:8000`."""

from __future__ import annotations

import errno
import os
import re
import socket
import threading

from presagio.toolkit.clock import Clock
from presagio.toolkit.errors import PresagioError

_ADDRESS = re.compile(r"(?:\[(?P<six>[^\]]+)\]|(?P<host>[^:\[\]]*)):(?P<port>\d{1,5})")
_BACKLOG = 512
_PAUSE = 0.2


class ListenError(PresagioError):
    """The address is no address, or cannot be listened on."""


def parse(address: str) -> tuple[str, int]:
    """Return host ("" means all interfaces) and port (0 lets the system choose). Raises ListenError."""
    match = _ADDRESS.fullmatch(address)
    if match is None or int(match["port"]) > 65535:
        raise ListenError(f"--web.listen-address: expected host:port, :port or [ipv6]:port, got {address!r}")
    return match["six"] or match["host"] or "", int(match["port"])


def bind(address: str, clock: Clock, patience: float = 5.0) -> socket.socket:
    """Return a listening socket. Raises ListenError.

    An address in use is tried again for `patience` seconds: after a kill -9 the old worker needs a moment to notice.
    """
    host, port = parse(address)
    deadline = clock.time() + patience
    while True:
        try:
            return _listen(host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or clock.time() >= deadline:
                raise ListenError(_refusal(address, error)) from error
        clock.wait(_PAUSE, threading.Event())


def _listen(host: str, port: int) -> socket.socket:
    if host:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    try:
        return socket.create_server(("::", port), family=socket.AF_INET6, backlog=_BACKLOG, dualstack_ipv6=True)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise
        return socket.create_server(("0.0.0.0", port), backlog=_BACKLOG)  # noqa: S104 # no IPv6 here; all interfaces


def _refusal(address: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        remedy = "another process listens there: stop it, or choose another with --web.listen-address"
        return f"address {address!r} is in use; {remedy}"
    known = error.errno in errno.errorcode
    reason = os.strerror(error.errno or 0) if known else error.strerror or str(error)
    return f"address {address!r} cannot be listened on ({reason.lower()}); choose another with --web.listen-address"
