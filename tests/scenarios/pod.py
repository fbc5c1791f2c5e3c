"""What the pods run: a service that works on one request at a time, can keep memory, and depends on something else.

    pod.py PORT SLOW_FILE

GET /work takes 20 ms, one after the other; while SLOW_FILE is there each request waits 300 ms for somebody else
besides. POST /leak: from now on a megabyte more is kept each second. GET /metrics.
"""

import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Summary, generate_latest

duration = Summary("shop_request_duration_seconds", "Time to serve a request.")
one_at_a_time = threading.Lock()
slow = Path(sys.argv[2])
leaked: list[bytearray] = []


class Handler(BaseHTTPRequestHandler):
    """The service's pages."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Work, or tell how it goes."""
        if self.path == "/metrics":
            self._answer(generate_latest(REGISTRY), CONTENT_TYPE_LATEST)
            return
        with duration.time():
            with one_at_a_time:
                time.sleep(0.02)
            if slow.exists():
                time.sleep(0.3)
        self._answer(b"done\n")

    def do_POST(self) -> None:
        """Begin to leak."""
        threading.Thread(target=leak, daemon=True).start()
        self._answer(b"as you wish\n")

    def _answer(self, body: bytes, kind: str = "text/plain") -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


def leak() -> None:
    """Keep memory, and touch it, so that it is really resident."""
    while True:
        leaked.append(bytearray(os.urandom(1024)) * 1024)
        time.sleep(1)


class Server(ThreadingHTTPServer):
    """Many may wait."""

    daemon_threads = True
    request_queue_size = 128


if __name__ == "__main__":
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
