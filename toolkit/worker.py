"""The process that answers: gunicorn's worker with threads, which a slow client cannot keep for itself."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Any

from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped] # gunicorn has no types

READING = 10.0
"""Seconds for a request to come in whole. Whoever is slower, or gone without a word, gives its thread back."""


class Worker(ThreadWorker):  # type: ignore[misc] # gunicorn has no types
    """A worker that Ctrl-C ends as gently as SIGTERM: what it learnt is written, not broken off."""

    handle_quit = ThreadWorker.handle_exit

    def handle(self, conn: Any) -> Any:
        """Handle one request; it is cut off if it is not read within READING seconds. An answer may take longer."""
        timer = threading.Timer(READING, _hang_up, (conn,))
        timer.daemon = True
        timer.start()
        try:
            return super().handle(conn)
        finally:
            timer.cancel()


def _hang_up(conn: Any) -> None:
    with suppress(OSError):
        # The plain socket's own, and for reading alone: after that of TLS an answer would go out unencrypted.
        socket.socket.shutdown(conn.sock, socket.SHUT_RD)
