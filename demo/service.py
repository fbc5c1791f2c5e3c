"""A small shop service that can really fail: a process with real memory, real requests and real metrics.

    service.py NAME PORT FOLDER [HOST]

It answers GET /work and GET /metrics; customers, a thread of its own, call /work twenty times a second over HTTP.
POST /fault/leak lets it keep 4 MB more each second, or LEAK_BYTES_PER_SECOND of the environment; POST /fault/outage
sends its customers away. POST /restart ends it: whoever runs it starts it again. Its process id is written to
FOLDER/NAME.pid, for whoever has to restart it. It listens on the loopback unless HOST is another address.
"""

import os
import signal
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Counter, Histogram, generate_latest

LEAK_BYTES_PER_SECOND = int(os.environ.get("LEAK_BYTES_PER_SECOND", "") or 4 << 20)
REQUESTS_PER_SECOND = 20

requests = Counter("shop_requests", "Requests served.")
duration = Histogram("shop_request_duration_seconds", "Time to serve a request.")
leaking, no_customers = threading.Event(), threading.Event()
leaked: list[bytearray] = []


class Handler(BaseHTTPRequestHandler):
    """The service's pages."""

    def do_GET(self) -> None:
        """Work, or tell how it goes."""
        if self.path == "/metrics":
            # Prometheus 3 takes no page that does not say what it is
            self._answer(generate_latest(REGISTRY), CONTENT_TYPE_LATEST)
        else:
            with duration.time():
                sum(number * number for number in range(2000))
            requests.inc()
            self._answer(b"done\n")

    def do_POST(self) -> None:
        """Begin to fail, or end."""
        if self.path == "/restart":
            self._answer(b"as you wish\n")
            os._exit(0)
        fault = {"/fault/leak": leaking, "/fault/outage": no_customers}.get(self.path)
        if fault is None:
            self.send_error(404)
        else:
            fault.set()
            self._answer(b"as you wish\n")

    def _answer(self, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


def leak() -> None:
    """Keep memory, and touch it, so that it is really resident."""
    leaking.wait()
    while True:
        leaked.append(bytearray(os.urandom(1024)) * (LEAK_BYTES_PER_SECOND // 10 // 1024))
        time.sleep(0.1)


def buy(url: str) -> None:
    """Be the customers."""
    while not no_customers.is_set():
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 # ourselves, on the loopback
            answer.read()
        time.sleep(1 / REQUESTS_PER_SECOND)


def main(name: str, port: int, folder: Path, host: str = "127.0.0.1") -> None:
    """Serve until told to stop."""
    server = ThreadingHTTPServer((host, port), Handler)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    (folder / f"{name}.pid").write_text(str(os.getpid()))
    threading.Thread(target=leak, daemon=True).start()
    threading.Thread(target=buy, args=(f"http://127.0.0.1:{port}/work",), daemon=True).start()
    server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), *sys.argv[4:])
