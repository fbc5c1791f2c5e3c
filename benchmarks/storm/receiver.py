"""The baseline: a receiver that parses a notification and stores nothing, under the webhook's own kind of server.

python receiver.py PORT
"""

from __future__ import annotations

import sys

from flask import Flask, request
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped] # gunicorn has no types

from presagio.toolkit.serve import THREADS


class Receiver(BaseApplication):  # type: ignore[misc] # gunicorn has no types
    """One worker with as many threads as the webhook has."""

    def __init__(self, port: int) -> None:
        self.port = port
        super().__init__()

    def load_config(self) -> None:
        """Set what the webhook's server sets and a request can feel."""
        settings = {"bind": f"127.0.0.1:{self.port}", "threads": THREADS, "worker_class": "gthread", "keepalive": 75}
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Return the application."""
        app = Flask("receiver")

        @app.post("/api/v1/alerts")
        def receive() -> dict[str, int]:
            return {"alerts": len(request.get_json()["alerts"])}

        @app.get("/-/ready")
        def ready() -> str:
            return "ready"

        return app


if __name__ == "__main__":
    Receiver(int(sys.argv[1])).run()
