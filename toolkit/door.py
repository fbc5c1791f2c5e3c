"""Basic authentication at every address, by the users of --web.config.file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import bcrypt
from flask import Flask, Response, g, request
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized

from presagio.toolkit.web_file import WebFile

_NOBODY = "$2b$10$l73b/RDYmOa6XKGxqdn3n.WHZbPvAB.Obn9sENTzHPb7PTPUqxKU6"
"""Compared where there is no such user: how long an answer takes must not tell who there is."""

_REMEMBERED = 100


class Door:
    """Lets in who is in the file; what a user may do then is the API's business."""

    def __init__(self, file: WebFile) -> None:
        self.users: Mapping[str, str] = file.basic_auth_users
        self.headers = {str(name): value for name, value in file.http_server_config.headers.items()}
        # bcrypt is slow on purpose, and Prometheus comes every few seconds
        self._known: set[bytes] = set()

    def guard(self, app: Flask) -> None:
        """Check each request of the app before its pages see it, and add the headers to each answer."""
        if self.users:
            app.before_request(self.check)
        if self.headers:
            app.after_request(self._dress)

    def check(self) -> None:
        """Refuse the current request (401) unless a user of the file makes it."""
        given = request.authorization
        name, password = (given.username, given.password) if given else (None, None)
        if not name or password is None or not self._fits(name, password):
            realm = WWWAuthenticate("basic", {"realm": "presagio"})
            raise Unauthorized("no such user and password; ask whoever runs this server", www_authenticate=realm)
        g.presagio_user = name

    def _fits(self, name: str, password: str) -> bool:
        stored = self.users.get(name, _NOBODY)
        seen = hashlib.sha256("\0".join((name, password, stored)).encode()).digest()
        if seen in self._known:
            return True
        # bcrypt itself looks at 72 bytes; newer libraries refuse longer ones
        fits = bcrypt.checkpw(password.encode()[:72], stored.encode()) and name in self.users
        if fits and len(self._known) < _REMEMBERED:
            self._known.add(seen)
        return fits

    def _dress(self, response: Response) -> Response:
        response.headers.update(self.headers)
        return response
