"""Every exception of ours, in one file.

PresagioError
├── ConfigError          a file that users write has mistakes; carries all of them
├── PluginError          no such plug-in, or it cannot be loaded
├── SnapshotError        a stored state is broken, or of another version
├── LimitError           a cap was reached; the message names the limit
└── SourceError          Prometheus gave no usable answer; `reason` is a label value of our metrics
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol


class PresagioError(Exception):
    """The root of all errors that Presagio raises on purpose."""


class Described(Protocol):
    """Anything that prints itself as one line: a mistake in a file."""

    def __str__(self) -> str:
        """Return the line."""


class ConfigError(PresagioError):
    """A file has mistakes: `mistakes` holds each of them, the message one line for each."""

    def __init__(self, mistakes: Sequence[Described]) -> None:
        super().__init__("\n".join(str(mistake) for mistake in mistakes))
        self.mistakes = tuple(mistakes)


class PluginError(PresagioError):
    """A plug-in is not installed, or its import failed."""


class SnapshotError(PresagioError):
    """A stored state cannot be used: broken, or written by another version."""


class LimitError(PresagioError):
    """A cap was reached; the message names the limit and how to raise it."""


class SourceReason(StrEnum):
    """Why Prometheus gave no usable answer: the `reason` label of our failure counters."""

    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    RATE_LIMITED = "rate_limited"
    BAD_QUERY = "bad_query"
    TOO_LARGE = "too_large"
    BAD_ANSWER = "bad_answer"
    SERVER_ERROR = "server_error"


class SourceError(PresagioError):
    """Prometheus could not be asked, or its answer could not be used."""

    def __init__(self, reason: SourceReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
