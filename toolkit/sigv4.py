"""Amazon's signature on a request, with whatever credentials the machine or the pod has.

botocore finds, refreshes and uses them: environment, files and profiles, a web identity token (IRSA), a container's
agent (EKS Pod Identity, ECS), the instance's metadata. It loads only where a signature is asked for.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from requests import PreparedRequest

from presagio.toolkit.link_config import SigV4
from presagio.toolkit.secrets import SecretError

if TYPE_CHECKING:
    from botocore.credentials import Credentials, ReadOnlyCredentials

_SIGNED = ("Authorization", "X-Amz-Date", "X-Amz-Security-Token")
_CHAIN = "environment, AWS files, web identity, container, instance"

# A query waits meanwhile, and is asked again by whoever asked it.
_PATIENCE = 5.0


class Signer:
    """Signs requests. Thread-safe: several signals are read at once."""

    def __init__(self, config: SigV4) -> None:
        self.config = config
        self._lock = Lock()
        self._found: Credentials | None = None

    def sign(self, request: PreparedRequest) -> None:
        """Sign method, address, kind of content and body as they are now. Raises SecretError."""
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest

        body = request.body.encode() if isinstance(request.body, str) else request.body
        # No other headers: a proxy may change them on the way, and the signature would be void.
        kind = {"Content-Type": request.headers["Content-Type"]} if "Content-Type" in request.headers else {}
        signed = AWSRequest(method=request.method, url=request.url, headers=kind, data=body)
        SigV4Auth(self._keys(), self.config.service_name, self.config.region).add_auth(signed)
        request.headers.update({name: signed.headers[name] for name in _SIGNED if name in signed.headers})

    def _keys(self) -> ReadOnlyCredentials:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            with self._lock:
                # What was not there may come: a token is mounted late, an instance gets its role.
                self._found = self._found or self._look()
            if self._found is None:
                raise SecretError(f"no credentials of Amazon are to be found: {_CHAIN} have none")
            return self._found.get_frozen_credentials()
        except (BotoCoreError, ClientError) as error:
            raise SecretError(f"no credentials of Amazon are to be had: {error}") from error

    def _look(self) -> Credentials | None:
        from botocore.config import Config
        from botocore.session import Session

        session = Session(profile=self.config.profile)
        # AssumeRole goes to the region's own endpoint, unless AWS_REGION or the profile names another.
        if session.get_config_variable("region") is None:
            session.set_config_variable("region", self.config.region)
        patience = Config(connect_timeout=_PATIENCE, read_timeout=_PATIENCE, retries={"total_max_attempts": 2})
        session.set_default_client_config(patience)
        found: Credentials | None = session.get_credentials()
        return found
