"""The only code that speaks to Kubernetes: whose credentials, and what its errors mean. The library is imported late.

Credentials are those of the pod (a service account), else of a kubeconfig file, as for kubectl.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from presagio.actions import placeholders
from presagio.actions.base import NotAppliedError, OutcomeError, PlanError, Target, UnknownOutcomeError

PROTECTED_NAMESPACES = frozenset({"kube-system", "kube-public", "kube-node-lease"})

_SECONDS = 10.0
_CONFLICT = 409
_NEVER = (400, 403, 422)
_MOST_TOLD = 300
_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class ConflictError(NotAppliedError):
    """The object was changed between our reading and our writing it."""


class DeletedError(NotAppliedError):
    """The object that was planned for is gone, even if another one has its name now."""


class Cluster:
    """The calls that we make. Errors of the library become ours here."""

    def __init__(self, apps: Any, namespace: str, **others: Any) -> None:
        self.apps = apps
        self.core: Any = others.get("core")
        self.batch: Any = others.get("batch")
        self.autoscaling: Any = others.get("autoscaling")
        self.authorization: Any = others.get("authorization")
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

    def document(self, what: str, function: Any, *arguments: Any, **keywords: Any) -> Any:
        """Read as JSON, as the server tells it: the library's own objects lose what it does not know yet."""
        return json.loads(self.call(what, function, *arguments, _preload_content=False, **keywords).data)

    def write(self, what: str, function: Any, *arguments: Any, **keywords: Any) -> Any:
        """Change something. Raises OutcomeError: ConflictError, NotAppliedError or UnknownOutcomeError."""
        try:
            return function(*arguments, _request_timeout=_SECONDS, **keywords)
        except Exception as error:
            kind = _outcome(error)
            how = "may have been changed or not" if kind is UnknownOutcomeError else "was not changed"
            raise kind(f"{what} {how}: {_reason(error)}") from error

    def rehearse(self, what: str, function: Any, *arguments: Any, **keywords: Any) -> Any:
        """Ask the server whether it would (a dry run). Raises PlanError if never, NotAppliedError if not now."""
        try:
            return self.write(what, function, *arguments, dry_run="All", **keywords)
        except OutcomeError as error:
            if getattr(error.__cause__, "status", None) in _NEVER:
                raise PlanError(f"{what} would be refused: {_reason(error.__cause__)}") from error
            raise NotAppliedError(str(error)) from error


class OnCluster:
    """What all actions on Kubernetes share: the cluster of our credentials, unless they are given one."""

    def __init__(self, cluster: Cluster | None = None) -> None:
        self._cluster = cluster

    @property
    def cluster(self) -> Cluster:
        """The cluster. Raises NotAppliedError without credentials."""
        return self._cluster or connect()


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
    return of(client.ApiClient(settings), namespace)


def of(api: Any, namespace: str) -> Cluster:
    """Return the cluster that a client of the library speaks to."""
    client = cast(Any, import_module("kubernetes.client"))
    return Cluster(
        client.AppsV1Api(api),
        namespace,
        core=client.CoreV1Api(api),
        batch=client.BatchV1Api(api),
        autoscaling=client.AutoscalingV1Api(api),
        authorization=client.AuthorizationV1Api(api),
    )


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


def _reason(error: BaseException | None) -> str:
    status, reason = getattr(error, "status", None), getattr(error, "reason", None)
    if not status:
        return str(reason or error)
    try:
        told = json.loads(getattr(error, "body", None) or "{}").get("message", "")
    except (ValueError, AttributeError):
        told = ""  # a proxy in between answers in its own words
    return f"{status} {reason}{told and f': {told[:_MOST_TOLD]}'}"
