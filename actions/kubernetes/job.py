"""The action `kubernetes.run_job`: runs a program of yours in a Job, once.

Class B: the Job's name is made of the attempt's id, so the server itself refuses to run it twice.
"""

from __future__ import annotations

import hashlib
import shlex
import time
from collections.abc import Callable
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from presagio.actions import placeholders
from presagio.actions.base import (
    ActionClass,
    Evidence,
    NotAppliedError,
    OutcomeError,
    Permission,
    Plan,
    PlanError,
    Probe,
    Target,
    UnknownOutcomeError,
)
from presagio.actions.command import Template
from presagio.actions.kubernetes.cluster import Cluster, ConflictError, OnCluster
from presagio.actions.kubernetes.pods import Name
from presagio.toolkit.labels import Name as Variable
from presagio.toolkit.schema import Model
from presagio.toolkit.units import Duration, format_duration

ATTEMPT_ID = "presagio/attempt-id"

_PAUSE = 2.0
_LATE = 30.0
_NOT_FOUND = 404


class _Common(Model):
    image: str = Field(min_length=1, pattern=r"^[^\s$]+$", description="image of its container")
    name: str = Field("presagio", pattern=r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$", description="how its name begins")
    service_account: str | None = Field(None, description="its service account; default: none, and no token")
    deadline: Duration = Field(300.0, ge=1, description="then Kubernetes ends it, and it counts as failed")
    ttl: Duration = Field(86400.0, ge=3600, description="how long the Job is kept once it ended, to be looked at")


class JobParams(_Common):
    """What a policy may write under `kubernetes.run_job:`."""

    argv: Template = Field(description="program and arguments; ${label} fills a part of one argument")
    environment: dict[Variable, Name] = Field({}, description="variables of the program; ${label} may fill a part")
    namespace: Name | None = Field(None, description="its namespace; default: that of the credentials")


class Running(_Common):
    """A Job whose placeholders are filled: what a plan holds."""

    argv: tuple[str, ...]
    environment: dict[str, str]
    namespace: str


class RunJob(OnCluster):
    """Runs a container to its end. Success is exit code 0; a Job that failed may have had effects: unknown."""

    Params: ClassVar[type[BaseModel]] = JobParams
    action_class: ClassVar[ActionClass] = ActionClass.ATTEMPT_ID
    settle_seconds: ClassVar[float] = 30.0
    permissions: ClassVar[tuple[Permission, ...]] = (Permission("kubernetes", "batch/jobs", ("get", "create")),)

    def __init__(self, cluster: Cluster | None = None, sleep: Callable[[float], None] = time.sleep) -> None:
        super().__init__(cluster)
        self._sleep = sleep

    def plan(self, target: Target, params: JobParams) -> Plan:
        """Fill the placeholders and ask the server whether it would take the Job."""
        filled = {
            "argv": [_argument(argument, target) for argument in params.argv],
            "environment": {key: _fill(text, target) for key, text in params.environment.items()},
            "namespace": self.cluster.namespace_of(params.namespace, target),
        }
        job = Running.model_validate({**params.model_dump(include=set(_Common.model_fields)), **filled})
        self._create(job, "plan", dry_run="All")
        return Plan(
            action="kubernetes.run_job",
            summary=f"run {shlex.join(job.argv)} in a Job of {job.image} in namespace {job.namespace}",
            params=job.model_dump(mode="json"),
            prior_state={"job": None},
            desired_state={"job": job.name},
        )

    def apply(self, plan: Plan, attempt_id: str) -> Evidence:
        """Create the Job, unless this attempt has, and wait for its end. UnknownOutcomeError: it failed."""
        job = Running.model_validate(plan.params)
        try:
            self._create(job, attempt_id)
        except ConflictError:
            self._read(job, attempt_id)  # there already: of this very attempt, its name says
        return self._wait(job, attempt_id)

    def probe(self, plan: Plan, attempt_id: str) -> Probe:
        """Look for the attempt's Job. One that failed may have had effects: unknown."""
        job = Running.model_validate(plan.params)
        try:
            ended = _ended(self._read(job, attempt_id))
        except OutcomeError as error:
            gone = getattr(error.__cause__, "status", None) == _NOT_FOUND
            return Probe.NOT_APPLIED if gone else Probe.UNKNOWN
        return Probe.UNKNOWN if ended == "Failed" else Probe.APPLIED

    def undo(self, plan: Plan) -> Evidence:
        """Raise NotAppliedError: only its program knows what it did."""
        raise NotAppliedError(f"there is no undo for a Job of {plan.params['image']!r}; run another one by hand")

    def changed(self, plan: Plan) -> None:
        """Return None: what a program did, only the program knows."""
        del plan

    def _create(self, job: Running, attempt_id: str, **keywords: str) -> None:
        body = manifest(job, attempt_id)
        what = f"job {job.namespace}/{body['metadata']['name']}"
        self.cluster.write(what, self.cluster.batch.create_namespaced_job, job.namespace, body, **keywords)

    def _read(self, job: Running, attempt_id: str) -> Any:
        name = job_name(job, attempt_id)
        what = f"job {job.namespace}/{name}"
        return self.cluster.call(what, self.cluster.batch.read_namespaced_job, name, job.namespace)

    def _wait(self, job: Running, attempt_id: str) -> Evidence:
        end = time.monotonic() + job.deadline + _LATE
        while not (ended := self._look(job, attempt_id)):
            if time.monotonic() > end:
                break
            self._sleep(_PAUSE)
        name = f"job {job.namespace}/{job_name(job, attempt_id)}"
        facts = {"job": job_name(job, attempt_id), "namespace": job.namespace}
        if ended == "Complete":
            return Evidence(f"{name} has completed", facts)
        how = "has failed" if ended else f"has not ended after {format_duration(job.deadline)}"
        raise UnknownOutcomeError(f"{name} {how}", Evidence(f"{name} {how}; see its logs", facts))

    def _look(self, job: Running, attempt_id: str) -> str | None:
        try:
            return _ended(self._read(job, attempt_id))
        except NotAppliedError as error:
            raise UnknownOutcomeError(f"the Job was created, then: {error}", error.evidence) from error


def job_name(job: Running, attempt_id: str) -> str:
    """Return the Job's name: the same for the same attempt."""
    return f"{job.name}-{hashlib.sha256(attempt_id.encode()).hexdigest()[:20]}"


def manifest(job: Running, attempt_id: str) -> dict[str, Any]:
    """Return the Job as Kubernetes takes it: one pod, one try."""
    environment = [{"name": key, "value": value} for key, value in sorted(job.environment.items())]
    container = {"name": "main", "image": job.image, "command": list(job.argv), "env": environment}
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "containers": [container],
        "automountServiceAccountToken": job.service_account is not None,
    }
    if job.service_account:
        pod["serviceAccountName"] = job.service_account
    metadata = {"annotations": {ATTEMPT_ID: attempt_id}, "labels": {"app.kubernetes.io/managed-by": "presagio"}}
    spec = {
        "backoffLimit": 0,
        "activeDeadlineSeconds": int(job.deadline),
        "ttlSecondsAfterFinished": int(job.ttl),
        "template": {"metadata": metadata, "spec": pod},
    }
    return {"metadata": {"name": job_name(job, attempt_id), **metadata}, "spec": spec}


def _ended(job: Any) -> str | None:
    conditions = (job.status and job.status.conditions) or ()
    return next((one.type for one in conditions if one.status == "True" and one.type in {"Complete", "Failed"}), None)


def _fill(text: str, target: Target) -> str:
    return placeholders.fill(text, target, placeholders.name)


def _argument(argument: str, target: Target) -> str:
    filled = _fill(argument, target)
    if filled.startswith("-") and not argument.startswith("-"):
        raise PlanError(f"argument {argument!r} would become the option {filled!r}")
    return filled
