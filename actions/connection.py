"""One HTTP request to an address that is allowed, and the knowledge of whether it was ever sent.

The address is checked on the open socket, before the first byte: what a name resolves to is known for sure only
there. There are no proxies, no redirects and no retries.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from typing import Any

from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.util import Url, parse_url

from presagio.actions.base import NotAppliedError, UnknownOutcomeError

MAX_BODY = 16 * 1024

_METADATA = frozenset(map(ipaddress.ip_address, ("169.254.169.254", "fd00:ec2::254", "100.100.100.200")))
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Allowed = bool | Sequence[str]
"""Which addresses inside may be spoken to: none, all, or these networks, addresses and host names."""


@dataclass(frozen=True)
class Answer:
    """Status and the first 16 KiB of the body."""

    status: int
    location: str
    body: str


class Gate:
    """Lets a connection pass, or not; `passed` tells afterwards whether a request can have been sent."""

    def __init__(self, host: str, allowed: Allowed) -> None:
        self.host = host
        self.allowed = allowed
        self.passed = False

    def check(self, address: str) -> None:
        """Raise NotAppliedError if the address is not one that a policy may speak to by default."""
        reached = _unwrapped(ipaddress.ip_address(address.partition("%")[0]))
        kind = _inside(reached)
        if kind and not self._named(reached) and (self.allowed is not True or reached in _METADATA):
            raise NotAppliedError(
                f"{self.host!r} is the {kind} address {reached}, which is refused; "
                f"name it in the policy if you mean it: allow_private: [{reached}]"
            )

    def _named(self, address: Address) -> bool:
        names = self.allowed if not isinstance(self.allowed, bool) else ()
        return any(name == self.host or _contains(name, address) for name in names)


def check_allowed(allowed: Allowed) -> Allowed:
    """Return the addresses allowed. Raises ValueError for a network whose host bits are set, such as 10.0.0.1/8."""
    for name in () if isinstance(allowed, bool) else allowed:
        if "/" in name:
            try:
                ipaddress.ip_network(name)
            except ValueError as error:
                raise ValueError(f"a host name, an address or a network ({error}), got {name!r}") from None
    return allowed


class _Gated(HTTPConnection):
    """A connection that is checked once it is open."""

    def __init__(self, *args: Any, gate: Gate, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.gate = gate

    def _new_conn(self) -> socket:
        opened = super()._new_conn()
        try:
            self.gate.check(opened.getpeername()[0])
        except Exception:
            opened.close()
            raise
        return opened

    def connect(self) -> None:
        super().connect()
        self.gate.passed = True


class _GatedTls(_Gated, HTTPSConnection):
    """The same with TLS: the handshake belongs to connecting."""


def send(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes | None,
    timeout: float,
    allowed: Allowed,
    ca_file: Path | None = None,
) -> Answer:
    """Send one request and return the answer. `timeout` is in seconds, for each step of the way.

    Raises NotAppliedError if it was never sent, UnknownOutcomeError if it was, or may have been.
    """
    parsed = parse_url(url)
    gate = Gate(parsed.host or "", allowed)
    with _pool(parsed, gate, timeout, ca_file) as pool:
        try:
            response = pool.urlopen(
                method, parsed.request_uri, body=body, headers=headers,
                retries=False, redirect=False, preload_content=False, decode_content=False,
            )  # fmt: skip
            return Answer(response.status, response.headers.get("Location", ""), _beginning(response, timeout))
        except (HTTPError, OSError, ValueError) as error:
            kind = UnknownOutcomeError if gate.passed else NotAppliedError
            where = "no answer from" if gate.passed else "nothing was sent to"
            raise kind(f"{where} {parsed.scheme}://{parsed.netloc}: {error}") from error


def _pool(url: Url, gate: Gate, timeout: float, ca_file: Path | None) -> HTTPConnectionPool:
    common: dict[str, Any] = {"timeout": Timeout(timeout), "gate": gate}
    if url.scheme == "https":
        secure = HTTPSConnectionPool(url.host or "", url.port, ca_certs=str(ca_file) if ca_file else None, **common)
        secure.ConnectionCls = _GatedTls
        return secure
    pool = HTTPConnectionPool(url.host or "", url.port, **common)
    pool.ConnectionCls = _Gated
    return pool


def _beginning(response: BaseHTTPResponse, timeout: float) -> str:
    """Read what comes of the body in time: the status is known, the rest is for people."""
    until, kept = time.monotonic() + timeout, b""
    with suppress(HTTPError, OSError):
        while len(kept) < MAX_BODY and time.monotonic() < until and (chunk := response.read1(MAX_BODY - len(kept))):
            kept += chunk
    response.close()
    return kept.decode(errors="replace")


def _unwrapped(address: Address) -> Address:
    """Return the IPv4 address inside an IPv6 one."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(address.packed[-4:])
    return address


def _inside(address: Address) -> str:
    if address in _METADATA:
        return "metadata"
    kinds = {
        "loopback": address.is_loopback,
        "link-local": address.is_link_local,
        "unspecified": address.is_unspecified,
        "multicast": address.is_multicast,
    }
    return next((kind for kind, is_kind in kinds.items() if is_kind), "")


def _contains(network: str, address: Address) -> bool:
    try:
        return address in ipaddress.ip_network(network)
    except ValueError:
        return False  # a host name
