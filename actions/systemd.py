"""The action `systemd.restart`. Class C: each start of a unit has an InvocationID, so that a restart is seen.

It runs `systemctl` as a list of arguments. Which units may be restarted the policy alone says.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BaseModel, Field, model_validator

from presagio.actions import placeholders, process
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
from presagio.toolkit.schema import Model
from presagio.toolkit.units import Duration, format_duration

_UNIT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@-]{0,200}\.service")
_NEVER = re.compile(
    r"(presagio|prometheus|alertmanager|systemd-|dbus|ssh|user@|user-runtime-dir@|getty@|init|polkit).*"
)
_PASSED = ("PATH", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")
_PROPERTIES = ("LoadState", "ActiveState", "InvocationID")
_RESTARTABLE = ("active", "failed", "activating", "reloading")
_LOOK_SECONDS = 10.0


def _unit(unit: str) -> str:
    if not _UNIT.fullmatch(unit) or _NEVER.fullmatch(unit):
        raise ValueError(f"a unit such as shop.service, none of the system's and none of ours, got {unit!r}")
    return unit


Unit = Annotated[str, AfterValidator(_unit)]


class RestartParams(Model):
    """What a policy may write under `systemd.restart:`."""

    unit: Annotated[str, AfterValidator(placeholders.check_template)] = Field(
        description="the unit, as in shop.service; ${label} may fill a part of it if `units` lists what may come out"
    )
    units: tuple[Unit, ...] = Field((), description="units that a label may pick")
    user: bool = Field(False, description="ask the webhook's own user's systemd, not the machine's")
    timeout: Duration = Field(90.0, gt=0, le=3600, description="for systemctl to say that it has started again")

    @model_validator(mode="after")
    def _fixed_or_listed(self) -> RestartParams:
        if placeholders.has_placeholder(self.unit):
            if not self.units:
                raise ValueError(f"`units` that lists what {self.unit!r} may be, got none")
        else:
            _unit(self.unit)
        return self


class Restarting(Model):
    """A unit and its present invocation: what a plan holds."""

    unit: str
    user: bool
    timeout: float
    invocation: str


class Restart:
    """Restarts a unit and waits until systemd says that it has started."""

    Params: ClassVar[type[BaseModel]] = RestartParams
    action_class: ClassVar[ActionClass] = ActionClass.PROBED
    settle_seconds: ClassVar[float] = 30.0
    permissions: ClassVar[tuple[Permission, ...]] = (
        Permission("host", "to manage the unit: root, a rule of polkit, or the user's own systemd"),
    )

    def plan(self, target: Target, params: RestartParams) -> Plan:
        """Look at the unit. Raises PlanError if it is not listed, not there, or was stopped on purpose."""
        unit = placeholders.fill(params.unit, target, placeholders.name)
        if params.units and unit not in params.units:
            raise PlanError(f"unit {unit!r} is not one that `units` lists; add it there")
        seen = _show(unit, params.user)
        if seen["LoadState"] != "loaded":
            raise PlanError(f"unit {unit!r} is {seen['LoadState']}; see `systemctl status {unit}`")
        if stopped := _stopped(unit, seen):
            raise PlanError(stopped)
        one = Restarting(unit=unit, user=params.user, timeout=params.timeout, invocation=seen["InvocationID"])
        return Plan(
            action="systemd.restart",
            summary=f"restart {unit}",
            params=one.model_dump(mode="json"),
            prior_state={"state": seen["ActiveState"], "invocation": seen["InvocationID"]},
            desired_state={"state": "active", "invocation": "a new one"},
        )

    def apply(self, plan: Plan, attempt_id: str) -> Evidence:  # noqa: ARG002 # the InvocationID tells
        """Restart it, unless it was since the plan. Raises OutcomeError."""
        one = Restarting.model_validate(plan.params)
        seen = _show(one.unit, one.user)
        if stopped := _stopped(one.unit, seen):
            raise NotAppliedError(stopped)
        if seen["InvocationID"] != one.invocation:
            raise NotAppliedError(f"unit {one.unit!r} was restarted since it was planned")
        result = _systemctl(["restart", "--no-ask-password", "--", one.unit], user=one.user, timeout=one.timeout)
        facts = {"exit_code": result.exit_code, "output": result.output, "seconds": round(result.seconds, 3)}
        if result.exit_code == 0:
            return Evidence(f"{one.unit} was restarted", {**facts, **_known(one)})
        why = result.output.strip() or f"no answer within {format_duration(one.timeout)}"
        evidence = Evidence(f"{one.unit}: {why}", {**facts, **_known(one)})
        if result.exit_code is not None and evidence.facts.get("InvocationID") == one.invocation:
            raise NotAppliedError(f"unit {one.unit!r} was not restarted: {why}", evidence)
        raise UnknownOutcomeError(f"unit {one.unit!r} may have been restarted or not: {why}", evidence)

    def probe(self, plan: Plan, attempt_id: str) -> Probe:  # noqa: ARG002 # the InvocationID tells
        """Compare the invocation with the one before. One that has not started (yet) is unknown."""
        one = Restarting.model_validate(plan.params)
        seen = _known(one)
        if not seen:
            return Probe.UNKNOWN
        if seen["InvocationID"] == one.invocation:
            return Probe.NOT_APPLIED
        return Probe.APPLIED if seen["ActiveState"] == "active" else Probe.UNKNOWN

    def undo(self, plan: Plan) -> Evidence:
        """Raise NotAppliedError: what ran before does not come back."""
        raise NotAppliedError(f"there is no undo for the restart of {plan.params['unit']!r}")

    def changed(self, plan: Plan) -> None:
        """Return None: nothing was written."""
        del plan


def _show(unit: str, user: bool) -> dict[str, str]:
    """Return what systemd tells of a unit. Raises NotAppliedError: reading changes nothing."""
    wanted = [f"--property={','.join(_PROPERTIES)}"]
    result = _systemctl(["show", *wanted, "--", unit], user=user, timeout=_LOOK_SECONDS)
    told = dict(line.split("=", 1) for line in result.output.splitlines() if "=" in line)
    if result.exit_code != 0 or not told.keys() >= set(_PROPERTIES):
        raise NotAppliedError(f"systemd cannot be asked about {unit!r}: {result.output.strip() or 'no answer'}")
    return told


def _stopped(unit: str, seen: Mapping[str, str]) -> str | None:
    state = seen["ActiveState"]
    is_stopped = state not in _RESTARTABLE
    return f"unit {unit!r} is {state}: somebody has stopped it, it is not started again" if is_stopped else None


def _known(one: Restarting) -> dict[str, str]:
    try:
        return _show(one.unit, one.user)
    except OutcomeError:
        return {}


def _systemctl(arguments: Sequence[str], *, user: bool, timeout: float) -> process.Result:
    passed = {name: os.environ[name] for name in _PASSED if name in os.environ}
    environment = {"PATH": os.defpath, "LC_ALL": "C", **passed}
    argv = ["systemctl", "--user" if user else "--system", "--no-pager", *arguments]
    try:
        return process.run(argv, environment=environment, cwd=None, timeout=timeout)
    except OSError as error:
        why = f"{error.strerror}; is this a machine with systemd?"
        raise NotAppliedError(f"systemctl could not be started: {why}") from error
