"""A real HTTP server on the loopback, in a thread, that records what it is asked and answers as it is told."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Told:
    """How the next requests are answered; `drop` closes the connection without an answer, after the request came."""

    status: int = 200
    body: bytes = b"ok"
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False
    wait: threading.Event | None = None


class HttpServer:
    """Where it listens, what it was asked, what it tells."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.url = f"http://127.0.0.1:{server.server_port}"
        self._server = server
        self.asked: list[Asked] = []
        self.told = Told()

    def use_tls(self, context: ssl.SSLContext) -> None:
        """Speak TLS from now on."""
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)


@contextmanager
def serving() -> Iterator[HttpServer]:
    """Serve until left."""
    server = _Server(("127.0.0.1", 0), _Handler)
    recorder = HttpServer(server)
    server.recorder = recorder  # type: ignore[attr-defined] # the handler finds it there
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield recorder
    finally:
        if recorder.told.wait:
            recorder.told.wait.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing of a client that went away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        recorder: HttpServer = self.server.recorder  # type: ignore[attr-defined] # see serving()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        recorder.asked.append(Asked(self.command, self.path, dict(self.headers), body))
        told = recorder.told
        if told.wait:
            told.wait.wait(10)
        self.close_connection = True
        if told.drop:
            return
        self.send_response(told.status)
        for name, value in {"Content-Length": str(len(told.body)), "Connection": "close", **told.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(told.body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 # http.server wants these names

    def log_message(self, *_: object) -> None:
        """Say nothing."""
