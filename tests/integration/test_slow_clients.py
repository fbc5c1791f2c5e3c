"""Clients that stop half-way in headers, body or chunks, more than there are threads: they are cut off."""

import socket
import sys
import urllib.request
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path

from servers import Process, answers_http, free_port

from presagio.toolkit.serve import THREADS

HALVES = (
    b"POST /api/v1/alerts HTTP/1.1\r\nHost: presagio\r\nX-Half",
    b"POST /api/v1/alerts HTTP/1.1\r\nHost: presagio\r\nContent-Length: 1000\r\n\r\n{",
    b"POST /api/v1/alerts HTTP/1.1\r\nHost: presagio\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
)
CONFIG = "api: {authentication: none}\n"


def test_they_are_cut_off_and_others_are_served(workdir: Path) -> None:
    config, port = workdir / "webhook.yml", free_port()
    config.write_text(CONFIG)
    argv: list[str | Path] = [
        Path(sys.executable).with_name("presagio"), "webhook", f"--config.file={config}",
        f"--web.listen-address=127.0.0.1:{port}", f"--storage.path={workdir / 'data'}",
    ]  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    with ExitStack() as stack:
        stack.enter_context(Process(argv, workdir, name="webhook", ready=answers_http(f"{url}/-/healthy")))
        slow = [stack.enter_context(socket.create_connection(("127.0.0.1", port), 60)) for _ in range(2 * THREADS)]
        for one, half in zip(slow, cycle(HALVES), strict=False):
            one.sendall(half)
        with urllib.request.urlopen(f"{url}/-/healthy", timeout=60) as answer:
            assert answer.status == 200
        for one in slow:
            while one.recv(4096):  # an answer may come first: that it was no request
                pass
