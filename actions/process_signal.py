"""The actions `process.signal` and `process.terminate`, on processes of the machine that the webhook runs on.

A process is known by pid and start, and is signalled through a pidfd, so that a pid that is used anew is never hit.
No label has a part in which process that is: the policy alone names it.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, Field, field_validator, model_validator

from presagio.actions import running
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
from presagio.actions.running import Handle, Running
from presagio.toolkit.schema import Model
from presagio.toolkit.units import Duration, format_duration

_STALE = 60.0
_LAST_SECONDS = 5.0


class ProcessParams(Model):
    """Which processes. What is given must all be true."""

    pid_file: Path | None = Field(None, description="file whose first line is the pid")
    executable: Path | None = Field(None, description="its program, as an absolute path without symbolic links")
    user: str | None = Field(None, min_length=1, description="whose it is")
    max_processes: int = Field(1, ge=1, le=1000, description="if more fit, none is signalled")

    @field_validator("pid_file", "executable")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        if path is not None and (not path.is_absolute() or "$" in str(path)):
            raise ValueError(f"an absolute path without a placeholder, got {str(path)!r}")
        return path

    @model_validator(mode="after")
    def _named(self) -> ProcessParams:
        if self.pid_file is None and self.executable is None:
            raise ValueError("pid_file, executable or both, got neither")
        return self


class SignalParams(ProcessParams):
    """What a policy may write under `process.signal:`."""

    signal: Literal["HUP", "USR1", "USR2"] = Field(description="what its program takes it for, the policy must know")


class TerminateParams(ProcessParams):
    """What a policy may write under `process.terminate:`."""

    grace: Duration = Field(30.0, gt=0, le=3600, description="between SIGTERM and SIGKILL")


class _OnProcesses:
    """What both do: find them and hold them."""

    permissions: ClassVar[tuple[Permission, ...]] = (
        Permission("host", "to signal the process: the same user, root, or CAP_KILL; CAP_SYS_PTRACE to see others'"),
    )
    name: ClassVar[str]

    def found(self, params: ProcessParams) -> list[Running]:
        """Return the processes. Raises PlanError if there is none, too many, or one that is protected."""
        found = sorted(_candidates(params), key=lambda process: process.pid)
        if not found:
            raise PlanError(f"no process {_wanted(params)}")
        if len(found) > params.max_processes:
            most = params.max_processes
            raise PlanError(f"{len(found)} processes {_wanted(params)}, more than max_processes: {most}")
        for process in found:
            _check(process)
        return found

    def undo(self, plan: Plan) -> Evidence:
        """Raise NotAppliedError: what a process has heard, it has heard."""
        del plan
        raise NotAppliedError("there is no undo for a signal; what supervises the process starts it again")

    def changed(self, plan: Plan) -> None:
        """Return None: nothing was written."""
        del plan


class Signal(_OnProcesses):
    """Sends a signal by which a program reads its configuration anew, opens its log anew, and the like. Class D."""

    Params: ClassVar[type[BaseModel]] = SignalParams
    action_class: ClassVar[ActionClass] = ActionClass.ONCE
    settle_seconds: ClassVar[float] = 10.0

    def plan(self, target: Target, params: SignalParams) -> Plan:
        """Find the processes."""
        del target
        found = self.found(params)
        return Plan(
            action="process.signal",
            summary=f"send SIG{params.signal} to {_words(found)}",
            params={"signal": params.signal, "processes": [asdict(process) for process in found]},
        )

    def apply(self, plan: Plan, attempt_id: str) -> Evidence:  # noqa: ARG002 # a process does not hear of it
        """Send it. Raises OutcomeError."""
        number = signal.Signals[f"SIG{plan.params['signal']}"]
        with ExitStack() as stack:
            handles = _held(plan, stack)
            _send(handles, number)
        return Evidence(f"{number.name} was sent to {_words(_planned(plan))}", {"pids": _pids(handles)})

    def probe(self, plan: Plan, attempt_id: str) -> Probe:  # noqa: ARG002 # nobody can tell
        """Return UNKNOWN: a signal leaves no trace that is the same for every program."""
        return Probe.UNKNOWN


class Terminate(_OnProcesses):
    """Ends a process, so that its supervisor starts it again: SIGTERM, and SIGKILL after `grace`. Class C."""

    Params: ClassVar[type[BaseModel]] = TerminateParams
    action_class: ClassVar[ActionClass] = ActionClass.PROBED
    settle_seconds: ClassVar[float] = 30.0

    def plan(self, target: Target, params: TerminateParams) -> Plan:
        """Find the processes."""
        del target
        found = self.found(params)
        return Plan(
            action="process.terminate",
            summary=f"end {_words(found)}: SIGTERM, SIGKILL after {format_duration(params.grace)}",
            params={"grace": params.grace, "processes": [asdict(process) for process in found]},
            prior_state={str(process.pid): process.executable for process in found},
            desired_state={str(process.pid): None for process in found},
        )

    def apply(self, plan: Plan, attempt_id: str) -> Evidence:  # noqa: ARG002 # what is gone is not ended again
        """End them and wait for it. Raises OutcomeError."""
        with ExitStack() as stack:
            handles = _held(plan, stack)
            _send(handles, signal.SIGTERM)
            killed = _wait(handles, plan.params["grace"])
            if killed:
                _send(killed, signal.SIGKILL)
                if _wait(killed, _LAST_SECONDS):
                    raise UnknownOutcomeError(f"{_words(_planned(plan))} did not even end by SIGKILL")
        facts = {"pids": _pids(handles), "killed": _pids(killed)}
        return Evidence(f"{_words(_planned(plan))} ended{' by SIGKILL' if killed else ''}", facts)

    def probe(self, plan: Plan, attempt_id: str) -> Probe:  # noqa: ARG002 # the processes themselves tell
        """Look whether all of them are gone, or none."""
        left = [running.runs(process) for process in _planned(plan)]
        if all(left):
            return Probe.NOT_APPLIED
        return Probe.UNKNOWN if any(left) else Probe.APPLIED


def _candidates(params: ProcessParams) -> Iterator[Running]:
    if params.pid_file:
        everyone = _of_file(params.pid_file)
    else:
        # our own run the same interpreter as any other of Python's
        everyone = (process for process in running.everyone() if not running.is_ours(process))
    for process in everyone:
        if params.executable in (None, Path(process.executable)) and params.user in (None, process.user):
            yield process


def _of_file(path: Path) -> Iterator[Running]:
    try:
        first = (path.read_text().splitlines() or [""])[0].strip()
        written = path.stat().st_mtime
    except (OSError, UnicodeDecodeError) as error:
        raise NotAppliedError(f"pid_file {str(path)!r} cannot be read: {error}") from error
    if not first.isascii() or not first.isdigit() or len(first) > 9:
        raise PlanError(f"the first line of pid_file {str(path)!r} is no pid: {first[:40]!r}")
    process = running.find(int(first))
    if process and running.began(process) > written + _STALE:
        raise PlanError(
            f"pid_file {str(path)!r} is older than process {first}, which it names: "
            "the pid is of another process now; remove the file"
        )
    if process:
        yield process


def _check(process: Running) -> None:
    name = Path(process.executable).name
    if running.is_ours(process):
        raise PlanError(f"process {process.pid} ({name}) is Presagio itself, or what it runs in")
    if name in running.PROTECTED or name.startswith("systemd-"):
        raise PlanError(f"process {process.pid} is {name!r}, which is never signalled")


def _held(plan: Plan, stack: ExitStack) -> list[Handle]:
    """Return a hold on each of the processes. Raises NotAppliedError if one is gone: it is not as it was planned."""
    try:
        return [stack.enter_context(closing(Handle(process))) for process in _planned(plan)]
    except OSError as error:
        raise NotAppliedError(f"not all of {_words(_planned(plan))} are there any more: {error}") from error


def _send(handles: list[Handle], number: signal.Signals) -> None:
    for done, handle in enumerate(handles):
        try:
            handle.send(number)
        except ProcessLookupError:
            continue  # it ended by itself in this moment
        except PermissionError as error:
            text = f"{number.name} may not be sent to {_words([handle.process])}; run as that user, or with CAP_KILL"
            raise (UnknownOutcomeError(f"after {done}: {text}") if done else NotAppliedError(text)) from error


def _wait(handles: list[Handle], seconds: float) -> list[Handle]:
    """Return those that have not ended after so many seconds."""
    end = time.monotonic() + seconds
    return [handle for handle in handles if not handle.wait(end - time.monotonic())]


def _planned(plan: Plan) -> list[Running]:
    return [Running(**process) for process in plan.params["processes"]]


def _pids(handles: list[Handle]) -> list[int]:
    return [handle.process.pid for handle in handles]


def _wanted(params: ProcessParams) -> str:
    wanted: dict[str, Any] = params.model_dump(include={"pid_file", "executable", "user"}, exclude_none=True)
    return "fits " + ", ".join(f"{key}: {str(value)!r}" for key, value in wanted.items())


def _words(processes: list[Running]) -> str:
    return ", ".join(f"process {process.pid} ({Path(process.executable).name})" for process in processes)
