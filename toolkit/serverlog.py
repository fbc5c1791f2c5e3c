"""gunicorn's log lines, in the one form that all our lines have."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from gunicorn.glogging import Logger  # type: ignore[import-untyped] # gunicorn has no types


class ServerLog(Logger):  # type: ignore[misc] # gunicorn has no types
    """Hands everything to the root logger; requests only at debug."""

    def setup(self, cfg: Any) -> None:
        """Take loggers without handlers: log.configure has set the root's."""
        self.cfg = cfg
        self.error_log = logging.getLogger("gunicorn")
        self.access_log = logging.getLogger("gunicorn.request")
        self._access_log_enabled = self.access_log.isEnabledFor(logging.DEBUG)

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:  # noqa: ARG002
        """Log one request."""
        fields = {
            "method": environ["REQUEST_METHOD"],
            "path": environ["RAW_URI"],
            "code": str(resp.status).split(maxsplit=1)[0],
            "seconds": request_time.total_seconds(),
            "peer": environ.get("REMOTE_ADDR", ""),
        }
        self.access_log.debug("request", extra={"fields": fields})
