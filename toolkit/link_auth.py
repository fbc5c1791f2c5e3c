"""What says in a request who we are: tenant, headers, and one of token, password and signature."""

from __future__ import annotations

from requests import PreparedRequest
from requests.auth import AuthBase, _basic_auth_str

from presagio.toolkit.link_config import TENANT_HEADER, LinkConfig
from presagio.toolkit.secrets import Secret, SecretError
from presagio.toolkit.sigv4 import Signer


class Auth(AuthBase):
    """Reads the secrets at each request, so that a rotated one needs no restart."""

    def __init__(self, config: LinkConfig) -> None:
        self.tenant = config.tenant
        self.headers = {name: Secret(one.value, one.value_file) for name, one in config.headers.items()}
        self.bearer = Secret(config.bearer_token, config.bearer_token_file)
        self.basic = config.basic_auth
        self.signer = Signer(config.sigv4) if config.sigv4 else None

    @property
    def is_secret(self) -> bool:
        """Whether there is anything in it that only the server itself may see."""
        return bool(self.headers or self.bearer or self.basic or self.signer)

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Return the request with all that it needs. Raises SecretError."""
        if self.tenant:
            request.headers[TENANT_HEADER] = self.tenant
        for name, secret in self.headers.items():
            request.headers[name] = _line(secret, f"the header {name}")
        if self.bearer:
            request.headers["Authorization"] = f"Bearer {_line(self.bearer, 'the bearer token')}"
        elif self.basic:
            password = Secret(self.basic.password, self.basic.password_file).read()
            request.headers["Authorization"] = _basic_auth_str(self.basic.username.encode(), password.encode())
        elif self.signer:
            self.signer.sign(request)
        return request


def _line(secret: Secret, what: str) -> str:
    text = secret.read()
    if not (text.isascii() and text.isprintable()):
        # Told here, since http.client would quote it.
        raise SecretError(f"{what} cannot be sent: it has more than one line, or is not ASCII")
    return text
