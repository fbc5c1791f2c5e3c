"""Metrics pages that stand in files, served as an exporter would: their counters grow."""

import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_GROWING = re.compile(r" ([0-9.e]+)\+([0-9.e]+)/s$", re.MULTILINE)


def page(text: str, seconds: float) -> bytes:
    """Return the page as it is after so many seconds: `100+0.5/s` is 100 at first and grows by 0.5 a second."""
    return _GROWING.sub(lambda found: f" {float(found[1]) + seconds * float(found[2])!r}", text).encode()


@contextmanager
def served(*files: Path) -> Iterator[Mapping[Path, str]]:
    """Serve each file; yield the address of each."""
    begin = time.monotonic()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            file = next(file for file, server in servers.items() if server is self.server)
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(page(file.read_text(), time.monotonic() - begin))

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    servers = {file: ThreadingHTTPServer(("127.0.0.1", 0), Handler) for file in files}
    threads = [threading.Thread(target=server.serve_forever, args=[0.01]) for server in servers.values()]
    for thread in threads:
        thread.start()
    try:
        yield {file: f"127.0.0.1:{server.server_port}" for file, server in servers.items()}
    finally:
        for server, thread in zip(servers.values(), threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()
