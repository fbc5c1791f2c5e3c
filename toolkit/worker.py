"""The process that answers: gunicorn's worker with threads, which a slow client cannot keep for itself."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from typing import Any

from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped] # gunicorn has no types

READING = 10.0
"""Seconds for a request to come in whole. Whoever is slower, or gone without a word, gives its thread back."""

_LOOK_EVERY = 0.5


class Worker(ThreadWorker):  # type: ignore[misc] # gunicorn has no types
    """A worker that Ctrl-C ends as gently as SIGTERM: what it learnt is written, not broken off."""

    handle_quit = ThreadWorker.handle_exit

    def init_process(self) -> None:
        """Begin, with one thread that watches all requests: a timer for each would be a thread for each."""
        self.deadlines: dict[int, tuple[float, Any]] = {}
        threading.Thread(target=self._watch, name="slow clients", daemon=True).start()
        super().init_process()

    def handle(self, conn: Any) -> Any:
        """Handle one request; it is cut off if it is not read within READING seconds. An answer may take longer."""
        self.deadlines[id(conn)] = time.monotonic() + READING, conn
        try:
            return super().handle(conn)
        finally:
            del self.deadlines[id(conn)]

    def _watch(self) -> None:
        while True:
            time.sleep(_LOOK_EVERY)
            now = time.monotonic()
            for deadline, conn in list(self.deadlines.values()):
                if now >= deadline:
                    _hang_up(conn)


def _hang_up(conn: Any) -> None:
    with suppress(OSError):
        # The plain socket's own, and for reading alone: after that of TLS an answer would go out unencrypted.
        socket.socket.shutdown(conn.sock, socket.SHUT_RD)
