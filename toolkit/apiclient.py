"""How our own commands ask the REST API of a running server of ours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests

from presagio.toolkit.errors import PresagioError
from presagio.toolkit.secrets import Secret
from presagio.toolkit.webconfig import HEADER, key_of

_TIMEOUT = 30.0


class RequestError(PresagioError):
    """The server cannot be asked, or it refused."""


class Client:
    """The API of a running server: `what` it is, and a hint at what may be wrong if it does not know the path."""

    def __init__(self, what: str, url: str, key_file: Path | None, hint: str = "") -> None:
        self.what = what
        self.url = url.rstrip("/")
        self.key_file = key_file
        self.hint = hint

    def ask(self, method: str, path: str, body: object = None, query: Mapping[str, str] | None = None) -> Any:
        """Return what is answered below /api/v1. Raises RequestError with the server's words, and SecretError."""
        lines = Secret(file=self.key_file).lines()
        headers = {HEADER: key_of(lines[0])} if lines else {}
        url = f"{self.url}/api/v1{path}"
        try:
            answer = requests.request(method, url, json=body, params=query, headers=headers, timeout=_TIMEOUT)
        except requests.RequestException as error:
            raise RequestError(
                f"{self.url} cannot be asked: {error}; --url tells where the {self.what} is"
            ) from error
        if answer.status_code >= requests.codes.bad:
            raise RequestError(self._reason(answer))
        try:
            return answer.json()
        except requests.JSONDecodeError:
            raise RequestError(f"{self.url} gave no JSON; is it the {self.what}'s address?") from None

    def _reason(self, answer: requests.Response) -> str:
        try:
            return str(answer.json()["error"])
        except (requests.JSONDecodeError, KeyError, TypeError):
            hint = f"; {self.hint}" if self.hint and answer.status_code == requests.codes.not_found else ""
            return f"{answer.url} answered {answer.status_code}{hint}"
