"""A real SMTP server on the loopback, with STARTTLS and a password as providers have; it keeps what it is sent."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from servers import free_port

USER, PASSWORD = "alertmanager@example.org", "a-password-for-mails"


@dataclass(frozen=True)
class Mail:
    """One message: whom it went to, and what it says, as text and as HTML."""

    to: tuple[str, ...]
    subject: str
    text: str
    html: str


@dataclass
class MailServer:
    """Its address, the authority that signed its certificate, and what came."""

    address: str
    authority: Path
    mails: list[Mail] = field(default_factory=list)

    async def handle_DATA(self, server: object, session: object, envelope: Any) -> str:  # noqa: N802 # aiosmtpd's name
        """Take a message."""
        del server, session
        self.mails.append(read(tuple(envelope.rcpt_tos), envelope.content))
        return "250 OK"

    def about(self, *words: str) -> list[Mail]:
        """Return the mails whose subject has all these words."""
        return [mail for mail in list(self.mails) if all(word in mail.subject for word in words)]


def read(to: tuple[str, ...], content: bytes) -> Mail:
    message = message_from_bytes(content, policy=default)
    found = [part for part in message.walk() if not part.is_multipart()]
    parts = {part.get_content_type(): part.get_content().replace("\r\n", "\n") for part in found}
    return Mail(to, str(message["Subject"]), parts["text/plain"], parts["text/html"])


@contextmanager
def mail_server(folder: Path) -> Iterator[MailServer]:
    """Serve until left."""
    authority, port = trustme.CA(), free_port()
    authority.cert_pem.write_to_path(str(folder / "mail-ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = MailServer(f"127.0.0.1:{port}", folder / "mail-ca.pem")
    controller = Controller(
        server, hostname="127.0.0.1", port=port, tls_context=context, require_starttls=True, authenticator=_known,
        auth_required=True,
        # its prompts are not those that Alertmanager knows
        auth_exclude_mechanism=["LOGIN"],
    )  # fmt: skip
    controller.start()
    try:
        yield server
    finally:
        controller.stop()


def _known(server: object, session: object, envelope: object, mechanism: str, given: Any) -> AuthResult:
    del server, session, envelope, mechanism
    right = isinstance(given, LoginPassword) and (given.login, given.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=right)
