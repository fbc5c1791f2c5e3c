"""The action `command`: runs a program of your own. There is no shell: the command is a list of arguments.

Class D: nobody but the program knows whether it may run twice, so an attempt whose end is unknown goes to a person,
unless the policy names a `probe`.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BaseModel, Field

from presagio.actions import placeholders, process
from presagio.actions.base import (
    ActionClass,
    Evidence,
    NotAppliedError,
    Permission,
    Plan,
    PlanError,
    Probe,
    Target,
    UnknownOutcomeError,
)
from presagio.toolkit.labels import Name
from presagio.toolkit.schema import Model
from presagio.toolkit.units import Duration, format_duration

ATTEMPT_ID = "PRESAGIO_ATTEMPT_ID"
SERVICE_ID = "PRESAGIO_SERVICE_ID"

_DEFAULTS = {"PATH": os.defpath, "HOME": "/", "LANG": "C.UTF-8"}


def _argv(argv: tuple[str, ...]) -> tuple[str, ...]:
    for argument in argv:
        placeholders.check_template(argument)
        if "\0" in argument:
            raise ValueError(f"arguments without NUL characters, got {argument!r}")
    if not argv[0] or placeholders.has_placeholder(argv[0]):
        raise ValueError(f"a program that the policy alone names, without a placeholder, got {argv[0]!r}")
    return argv


Argv = Annotated[tuple[str, ...], Field(min_length=1, max_length=256)]
Template = Annotated[Argv, AfterValidator(_argv)]
ExitCode = Annotated[int, Field(ge=1, le=255)]
_MOST_WORDS = 160


class _Common(Model):
    cwd: Path | None = Field(None, description="folder it runs in; default: the webhook's own")
    timeout: Duration = Field(60.0, gt=0, description="then the program and all it started is killed")
    environment: tuple[Name, ...] = Field(
        (), description=f"variables passed on beside {', '.join(_DEFAULTS)}, {ATTEMPT_ID} and {SERVICE_ID}"
    )
    not_applied_exit_codes: tuple[ExitCode, ...] = Field(
        (), description="exit codes by which the program says that it did nothing, and may be tried again"
    )


class CommandParams(_Common):
    """What a policy may write under `command:`."""

    argv: Template = Field(description="program and arguments; ${label} fills a part of one argument")
    probe: Template | None = Field(
        None, description="program that tells whether it was done: exit code 0 yes, 1 no, else unknown"
    )
    undo: Template | None = Field(None, description="program that undoes it, run if it did not help")


class Invocation(_Common):
    """A command whose placeholders are filled: what a plan holds."""

    service_id: str
    argv: Argv
    probe: Argv | None = None
    undo: Argv | None = None


class Command:
    """Runs a program. Exit code 0 is success; any other may have had effects, and is unknown unless listed."""

    Params: ClassVar[type[BaseModel]] = CommandParams
    action_class: ClassVar[ActionClass] = ActionClass.ONCE
    settle_seconds: ClassVar[float] = 10.0
    permissions: ClassVar[tuple[Permission, ...]] = (Permission("host", "to run the program as the webhook's user"),)

    def plan(self, target: Target, params: CommandParams) -> Plan:
        """Return the command with its placeholders filled. Raises PlanError for a value that is not safe."""
        filled = {
            key: [_fill(argument, target) for argument in argv]
            for key, argv in (("argv", params.argv), ("probe", params.probe), ("undo", params.undo))
            if argv is not None
        }
        common = params.model_dump(include=set(_Common.model_fields))
        call = Invocation.model_validate({**common, **filled, "service_id": _printable(target.service_id)})
        return Plan(
            action="command",
            summary=f"run {shlex.join(call.argv)}",
            params=call.model_dump(mode="json"),
            undo={"argv": list(call.undo)} if call.undo else None,
        )

    def apply(self, plan: Plan, attempt_id: str) -> Evidence:
        """Run it. NotAppliedError: it could not be started, or said so. UnknownOutcomeError: time-out, exit code."""
        call = Invocation.model_validate(plan.params)
        return _run(call, call.argv, {ATTEMPT_ID: attempt_id}, call.not_applied_exit_codes)

    def probe(self, plan: Plan, attempt_id: str) -> Probe:
        """Ask the policy's probe, if it has one. What still runs is not done, whatever the probe says."""
        call = Invocation.model_validate(plan.params)
        if call.probe is None:
            return Probe.UNKNOWN
        try:
            environment = _environment(call, {ATTEMPT_ID: attempt_id})
            result = process.run(call.probe, environment=environment, cwd=call.cwd, timeout=call.timeout)
        except OSError:
            return Probe.UNKNOWN
        if result.exit_code == 1 and not _running(attempt_id):
            return Probe.NOT_APPLIED
        return Probe.APPLIED if result.exit_code == 0 else Probe.UNKNOWN

    def undo(self, plan: Plan) -> Evidence:
        """Run the policy's undo. Raises NotAppliedError if it has none."""
        call = Invocation.model_validate(plan.params)
        if call.undo is None:
            raise NotAppliedError(f"{shlex.join(call.argv)} has no undo; name one in the policy, or undo it by hand")
        return _run(call, call.undo, {}, ())

    def changed(self, plan: Plan) -> None:
        """Return None: what a program did, only the program knows."""
        del plan


def _fill(argument: str, target: Target) -> str:
    filled = placeholders.fill(argument, target, placeholders.name)
    if filled.startswith("-") and not argument.startswith("-"):
        raise PlanError(f"argument {argument!r} would become the option {filled!r}")
    return filled


def _printable(service_id: str) -> str:
    placeholders.plain("service_id", service_id)
    return service_id


def _run(call: Invocation, argv: Sequence[str], own: Mapping[str, str], not_applied: Sequence[int]) -> Evidence:
    try:
        result = process.run(argv, environment=_environment(call, own), cwd=call.cwd, timeout=call.timeout)
    except OSError as error:
        what = f"{error.strerror}: {str(error.filename)!r}"
        raise NotAppliedError(f"{argv[0]!r} could not be started: {what}") from error
    evidence = _evidence(argv, result)
    if result.exit_code is None:
        limit = format_duration(call.timeout)
        raise UnknownOutcomeError(f"{argv[0]!r} was killed after {limit}; raise `timeout` if it needs more", evidence)
    if result.exit_code in not_applied:
        raise NotAppliedError(evidence.summary, evidence)
    if result.exit_code != 0:
        raise UnknownOutcomeError(evidence.summary, evidence)
    return evidence


def _evidence(argv: Sequence[str], result: process.Result) -> Evidence:
    code = result.exit_code
    how = "was killed" if code is None else f"exited with {code}" if code >= 0 else f"died of signal {-code}"
    facts = {
        "argv": list(argv),
        "exit_code": code,
        "output": result.output,
        "output_bytes": result.output_bytes,
        "seconds": round(result.seconds, 3),
    }
    return Evidence(f"{argv[0]!r} {how} after {result.seconds:.1f} s{_last_words(result.output)}", facts)


def _last_words(output: str) -> str:
    lines = output.strip().splitlines()
    return f": {lines[-1][:_MOST_WORDS]}" if lines else ""


def _environment(call: Invocation, own: Mapping[str, str]) -> dict[str, str]:
    passed = {name: os.environ[name] for name in (*_DEFAULTS, *call.environment) if name in os.environ}
    return {**_DEFAULTS, **passed, SERVICE_ID: call.service_id, **own}


def _running(attempt_id: str) -> bool:
    """Return whether a process still carries this attempt: a webhook that died leaves its programs running."""
    mark = f"{ATTEMPT_ID}={attempt_id}".encode()
    return any(mark in environment.split(b"\0") for environment in _environments())


def _environments() -> Iterator[bytes]:
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            yield path.read_bytes()
        except OSError:
            continue  # not ours to read, or gone
