import errno
import os
import socket

import pytest

from presagio.toolkit import listen
from presagio.toolkit.clock import ManualClock
from presagio.toolkit.listen import ListenError


@pytest.mark.parametrize(
    ("address", "parsed"),
    [
        (":8000", ("", 8000)),
        ("localhost:8000", ("localhost", 8000)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        ("[::1]:8000", ("::1", 8000)),
        ("[::]:0", ("::", 0)),
    ],
)
def test_addresses_are_read_as_prometheus_writes_them(address: str, parsed: tuple[str, int]) -> None:
    assert listen.parse(address) == parsed


@pytest.mark.parametrize(
    "address", ["", "8000", "localhost", "::1:8000", "[::1]", ":70000", ":http", "a:1:2", "[]:1"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ListenError) as caught:
        listen.parse(address)
    assert str(caught.value) == f"--web.listen-address: expected host:port, :port or [ipv6]:port, got {address!r}"


def test_no_host_means_all_interfaces_of_both_generations() -> None:
    with listen.bind(":0", ManualClock()) as server:
        port = server.getsockname()[1]
        socket.create_connection(("127.0.0.1", port)).close()


def test_ipv6() -> None:
    try:
        server = listen.bind("[::1]:0", ManualClock())
    except ListenError:
        pytest.skip("this machine has no IPv6")
    with server:
        socket.create_connection(("::1", server.getsockname()[1])).close()


def test_without_ipv6_all_interfaces_are_those_of_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.create_server

    def create(address: tuple[str, int], **options: object) -> socket.socket:
        if options.get("family") == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
        return real(address)

    monkeypatch.setattr(socket, "create_server", create)
    with listen.bind(":0", ManualClock()) as server:
        assert server.family == socket.AF_INET


def test_an_address_in_use_is_tried_for_a_while() -> None:
    clock = ManualClock()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ListenError, match="is in use; another process listens there: stop it, or choose another"):
            listen.bind(address, clock, patience=5)
    assert clock.time() == pytest.approx(5, abs=0.3)
    listen.bind(address, clock).close()


def test_an_address_that_is_not_ours_is_refused_at_once() -> None:
    clock = ManualClock()
    with pytest.raises(ListenError) as caught:
        listen.bind("192.0.2.1:80", clock)
    assert "address '192.0.2.1:80' cannot be listened on (cannot assign requested address); choose" in str(
        caught.value
    )
    assert clock.time() == 0


def test_a_host_that_has_no_address_is_refused() -> None:
    with pytest.raises(ListenError, match=r"'no-such-host\.invalid:80' cannot be listened on"):
        listen.bind("no-such-host.invalid:80", ManualClock())
