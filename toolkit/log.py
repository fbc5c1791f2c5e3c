"""Log lines as Prometheus writes them: logfmt or JSON, each with its fields."""

from __future__ import annotations

import json
import logging
import math
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import IO

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
FORMATS = ("logfmt", "json")

_BARE = re.compile(r'[^\s="\\\x00-\x1f\x7f-\x9f]+')
_NAMES = {logging.DEBUG: "debug", logging.INFO: "info", logging.WARNING: "warn", logging.ERROR: "error"}


class Log:
    """A logger whose keyword arguments become fields: `log.info("evaluated", signal="cpu")`."""

    def __init__(self, logger: logging.Logger) -> None:
        self.logger = logger

    def debug(self, message: str, **fields: object) -> None:
        """Log what only a developer wants to see."""
        self._log(logging.DEBUG, message, fields)

    def info(self, message: str, **fields: object) -> None:
        """Log what happened."""
        self._log(logging.INFO, message, fields)

    def warning(self, message: str, **fields: object) -> None:
        """Log what somebody should look at some day."""
        self._log(logging.WARNING, message, fields)

    def error(self, message: str, **fields: object) -> None:
        """Log what somebody should look at now."""
        self._log(logging.ERROR, message, fields)

    def exception(self, message: str, **fields: object) -> None:
        """Log an error with the traceback of the exception being handled."""
        self._log(logging.ERROR, message, fields, exc_info=True)

    def _log(self, level: int, message: str, fields: Mapping[str, object], exc_info: bool = False) -> None:
        self.logger.log(level, message, extra={"fields": fields}, exc_info=exc_info)


def get_log(name: str) -> Log:
    """Return the logger `presagio.<name>`."""
    return Log(logging.getLogger(f"presagio.{name}"))


def configure(level: str = "info", form: str = "logfmt", stream: IO[str] | None = None) -> None:
    """Send all logging, our libraries' too, to `stream` (standard error) in one form."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(Formatter(form))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(LEVELS[level])
    # botocore would write session tokens at debug
    for chatty in ("urllib3", "sqlalchemy.engine", "alembic", "botocore"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


class Formatter(logging.Formatter):
    """One line a record: time, level, logger, message, then the fields in the order given."""

    def __init__(self, form: str = "logfmt") -> None:
        super().__init__()
        self.form = form

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields = self._fields(record)
        if self.form == "json":
            return json.dumps({key: _plain(value) for key, value in fields.items()}, default=str)
        return " ".join(f"{key}={_logfmt(value)}" for key, value in fields.items())

    def _fields(self, record: logging.LogRecord) -> Mapping[str, object]:
        moment = datetime.fromtimestamp(record.created, UTC)
        fields: dict[str, object] = {
            "ts": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": _NAMES.get(record.levelno, record.levelname.lower()),
            "logger": record.name,
            "msg": record.getMessage(),
        }
        fields.update(getattr(record, "fields", {}))
        if record.exc_info:
            fields["error"] = self.formatException(record.exc_info)
        return fields


def _plain(value: object) -> object:
    """Return a value that JSON has: it knows neither NaN nor infinity."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _logfmt(value: object) -> str:
    # Six digits are enough for a measure, but not for a Unix time.
    text = f"{value:.{6 if abs(value) < 1e6 else 13}g}" if isinstance(value, float) else str(value)
    return text if _BARE.fullmatch(text) else json.dumps(text, ensure_ascii=False)
