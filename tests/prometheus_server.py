"""A real HTTP server on the loopback that answers like Prometheus, or as badly as a test tells it to."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

Points = Sequence[tuple[float, str]]


@dataclass(frozen=True)
class Asked:
    """One request as it arrived; `form` is its body, and `body` is that as it was sent."""

    method: str
    path: str
    headers: Mapping[str, str]
    form: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class Answer:
    """What is sent. `cut`: so many bytes of the body and no more; `stall`: then wait instead of closing."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    stall: bool = False


def success(data: Any, **beside: Any) -> Answer:
    """Return an answer of Prometheus with `data`, and warnings or the like beside it."""
    return Answer(json.dumps({"status": "success", "data": data, **beside}).encode())


def failure(status: int, kind: str, error: str) -> Answer:
    """Return an error of Prometheus."""
    return Answer(json.dumps({"status": "error", "errorType": kind, "error": error}).encode(), status)


def vector(*series: tuple[Mapping[str, str], str], **beside: Any) -> Answer:
    """Return an instant answer: labels and the value as Prometheus writes it."""
    result = [{"metric": dict(labels), "value": [1000.0, value]} for labels, value in series]
    return success({"resultType": "vector", "result": result}, **beside)


def matrix(*series: tuple[Mapping[str, str], Points], **beside: Any) -> Answer:
    """Return a range answer: labels and points."""
    result = [{"metric": dict(labels), "values": [*map(list, points)]} for labels, points in series]
    return success({"resultType": "matrix", "result": result}, **beside)


class Server:
    """Where it listens, what it was asked, how it answers."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[Asked] = []
        self.answer: Callable[[Asked], Answer] = lambda _: vector()
        self.over = threading.Event()


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Serve until left; with a context over TLS."""
    http = _Http(("127.0.0.1", 0), _Handler)
    if context:
        http.socket = context.wrap_socket(http.socket, server_side=True)
    server = http.told = Server(f"http{'s' if context else ''}://127.0.0.1:{http.server_port}")
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        http.shutdown()
        thread.join()
        http.server_close()


class _Http(ThreadingHTTPServer):
    told: Server
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing of a client that went away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Http

    def _answer(self) -> None:
        told = self.server.told
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        asked = Asked(self.command, self.path, dict(self.headers), dict(parse_qsl(body.decode())), body)
        told.asked.append(asked)
        answer = told.answer(asked)
        self.close_connection = answer.cut is not None
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body[: answer.cut])
        if answer.stall:
            told.over.wait(10)

    do_GET = do_POST = _answer  # noqa: N815 # http.server wants these names

    def log_message(self, *_: object) -> None:
        """Say nothing."""
