"""The only code that speaks to Kubernetes: whose credentials, and what its errors mean. The library is imported late.

Credentials are those of the pod (a service account), else of a kubeconfig file, as for kubectl.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from presagio.actions import placeholders
from presagio.actions.base import NotAppliedError, OutcomeError, PlanError, Target, UnknownOutcomeError

PROTECTED_NAMESPACES = frozenset({"kube-system", "kube-public", "kube-node-lease"})

_SECONDS = 10.0
_CONFLICT = 409
_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class ConflictError(NotAppliedError):
    """The object was changed between our reading and our writing it."""


class DeletedError(NotAppliedError):
    """The object that was planned for is gone, even if another one has its name now."""


class Cluster:
    """The calls that we make. Errors of the library become ours here."""

    def __init__(self, apps: Any, namespace: str, *, core: Any = None, batch: Any = None) -> None:
        self.apps, self.core, self.batch = apps, core, batch
        self.namespace = namespace

    def namespace_of(self, template: str | None, target: Target) -> str:
        """Return the namespace that a template names, else our own. Raises PlanError for one that is protected."""
        namespace = placeholders.fill(template, target, placeholders.dns) if template else self.namespace
        if namespace in PROTECTED_NAMESPACES:
            raise PlanError(f"namespace {namespace!r} belongs to Kubernetes itself and is never acted upon")
        return namespace

    def call(self, what: str, function: Any, *arguments: Any, **keywords: Any) -> Any:
        """Read. Raises NotAppliedError: reading changes nothing."""
        try:
            return function(*arguments, _request_timeout=_SECONDS, **keywords)
        except Exception as error:
            raise NotAppliedError(f"{what} cannot be read: {_reason(error)}") from error

    def write(self, what: str, function: Any, *arguments: Any, **keywords: Any) -> Any:
        """Change something. Raises OutcomeError: ConflictError, NotAppliedError or UnknownOutcomeError."""
        try:
            return function(*arguments, _request_timeout=_SECONDS, **keywords)
        except Exception as error:
            kind = _outcome(error)
            how = "may have been changed or not" if kind is UnknownOutcomeError else "was not changed"
            raise kind(f"{what} {how}: {_reason(error)}") from error


@cache
def connect() -> Cluster:
    """Return the cluster of our credentials. Raises NotAppliedError without any."""
    # Any: some versions of the library have types, others do not.
    client, config = (cast(Any, import_module(f"kubernetes.{name}")) for name in ("client", "config"))
    settings = client.Configuration()
    settings.retries = 0  # an answer that never came must not be asked for twice
    try:
        try:
            config.load_incluster_config(client_configuration=settings)
            namespace = _own_namespace()
        except config.ConfigException:
            config.load_kube_config(client_configuration=settings)
            namespace = config.list_kube_config_contexts()[1]["context"].get("namespace") or "default"
    except (config.ConfigException, OSError) as error:
        raise NotAppliedError(
            f"no credentials for Kubernetes: {error}; run in a pod with a service account, or set KUBECONFIG"
        ) from error
    api = client.ApiClient(settings)
    return Cluster(client.AppsV1Api(api), namespace, core=client.CoreV1Api(api), batch=client.BatchV1Api(api))


def _own_namespace() -> str:
    return _NAMESPACE_FILE.read_text().strip()


def _outcome(error: Exception) -> type[OutcomeError]:
    """Return what a failed write means: it provably did nothing if the server refused it, or it never left us."""
    from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

    status = getattr(error, "status", None)
    if status == _CONFLICT:
        return ConflictError
    refused = isinstance(status, int) and 400 <= status < 500
    unsent = isinstance(getattr(error, "reason", error), NewConnectionError | ConnectTimeoutError)
    return NotAppliedError if refused or unsent else UnknownOutcomeError


def _reason(error: Exception) -> str:
    status, reason = getattr(error, "status", None), getattr(error, "reason", None)
    return f"{status} {reason}" if status else str(reason or error)
