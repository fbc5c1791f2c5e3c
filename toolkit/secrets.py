"""Secrets: given in the configuration or, better, in a file that may change under us."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from presagio.toolkit.errors import PresagioError


class SecretError(PresagioError):
    """A secret's file cannot be read, or is no text."""


@dataclass(frozen=True)
class Secret:
    """One secret. A file is read at each use, so that a rotated token needs no restart."""

    value: SecretStr | None = None
    file: Path | None = None

    def __bool__(self) -> bool:
        return self.value is not None or self.file is not None

    def read(self) -> str:
        """Return the secret without its final newline. Raises SecretError."""
        if self.file is None:
            return self.value.get_secret_value() if self.value else ""
        try:
            return self.file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SecretError(f"secret file {str(self.file)!r} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise SecretError(f"secret file {str(self.file)!r} is not UTF-8 text") from error

    def lines(self) -> list[str]:
        """Return one secret a line: two keys may be valid at once while one is rotated out."""
        return [line.strip() for line in self.read().splitlines() if line.strip()]


def matches(given: str, allowed: Iterable[str]) -> bool:
    """Return whether `given` is one of `allowed`, in a time that tells nothing about them."""
    # No short-circuit: every key is compared, whichever matched.
    found = [hmac.compare_digest(given.encode(), key.encode()) for key in allowed]
    return any(found)
