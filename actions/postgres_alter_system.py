"""The action `postgres.set`: ALTER SYSTEM of listed settings, and a reload. Class A: it says what shall be.

What counts is postgresql.auto.conf: what it said before is the prior state, restored if ours still stands there.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, ClassVar, cast

from pydantic import BaseModel, Field, field_validator

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
from presagio.actions.postgres_server import PostgresDestination, PostgresServer, PostgresServers, connected
from presagio.actions.postgres_settings import Setting, check_settings, is_in_force, mistake

_SETTINGS = """
SELECT name, setting, vartype, unit, min_val, max_val, context, source FROM pg_settings WHERE name = ANY(%(names)s)
"""
_WRITTEN = """
SELECT name, setting FROM pg_file_settings
WHERE sourcefile LIKE '%%/postgresql.auto.conf' AND name = ANY(%(names)s)
"""

State = Mapping[str, str | None]
"""By setting, what postgresql.auto.conf says of it; None for nothing."""


class SetParams(PostgresServers):
    """What a policy may write under `postgres.set:`."""

    set: dict[str, str] = Field(min_length=1, description="settings and their values, of the list below")

    @field_validator("set", mode="before")
    @classmethod
    def _known(cls, settings: object) -> object:
        return check_settings(settings)


class Set:
    """Sets some settings of a running server, and can restore them."""

    Params: ClassVar[type[BaseModel]] = SetParams
    action_class: ClassVar[ActionClass] = ActionClass.DESIRED_STATE
    settle_seconds: ClassVar[float] = 30.0
    permissions: ClassVar[tuple[Permission, ...]] = (
        Permission("postgres", "parameter", ("ALTER SYSTEM",)),
        Permission(
            "postgres", "pg_file_settings, pg_show_all_file_settings(), pg_reload_conf()", ("SELECT", "EXECUTE")
        ),
    )

    def plan(self, target: Target, params: SetParams) -> Plan:
        """Read what is said before. Raises PlanError for a value that the server would not take, or not heed."""
        to = PostgresDestination.model_validate({**params.choose(target).model_dump(), "database": params.database})
        with connected(to) as server:
            known, prior = _settings(server, params.set), _written(server, params.set)
        for name, value in params.set.items():
            if name not in known:
                raise PlanError(f"postgres {to.address} has no setting {name!r}; its version is another one")
            if trouble := mistake(known[name], value):
                raise PlanError(f"postgres {to.address}: {trouble}")
        return Plan(
            action="postgres.set",
            summary=f"set {_words(params.set)} on postgres {to.address}",
            params=to.model_dump(mode="json"),
            prior_state=dict(prior),
            undo=dict(prior),
            desired_state=dict(params.set),
        )

    def apply(self, plan: Plan, attempt_id: str) -> Evidence:  # noqa: ARG002 # class A needs no attempt's id
        """Set them if they still are as they were planned from. Raises OutcomeError."""
        with connected(_planned(plan)) as server:
            return _move(server, plan.prior_state, plan.desired_state)

    def probe(self, plan: Plan, attempt_id: str) -> Probe:  # noqa: ARG002 # the state itself tells
        """Compare what is written with the planned and the prior; what is written and not in force is unknown."""
        try:
            with connected(_planned(plan)) as server:
                found, known = _written(server, plan.desired_state), _settings(server, plan.desired_state)
        except OutcomeError:
            return Probe.UNKNOWN
        if found == plan.desired_state and all(is_in_force(known[name], found[name] or "") for name in found):
            return Probe.APPLIED
        return Probe.NOT_APPLIED if found == plan.prior_state != plan.desired_state else Probe.UNKNOWN

    def undo(self, plan: Plan) -> Evidence:
        """Restore what was said before if ours still stands. NotAppliedError: someone else changed it."""
        with connected(_planned(plan)) as server:
            return _move(server, plan.desired_state, plan.prior_state)

    def changed(self, plan: Plan) -> str | None:
        """Return which of our settings is no longer as we set it."""
        try:
            with connected(_planned(plan)) as server:
                found = _written(server, plan.desired_state)
        except OutcomeError:
            return None
        return None if found == plan.desired_state else _foreign(server, found, plan.desired_state)


def _move(server: PostgresServer, source: State, goal: State) -> Evidence:
    found = _written(server, goal)
    if found == goal:
        _reload(server)  # who wrote it may have been killed before the reload
        return Evidence(f"postgres {server.address} already has {_words(goal)}", {"before": found})
    if found != source:
        raise NotAppliedError(_foreign(server, found, source))
    done: list[str] = []
    try:
        for name in (name for name, value in goal.items() if found[name] != value):
            server.write(_statement(name, goal[name]))
            done.append(name)
        _reload(server)
    except NotAppliedError as error:
        if done:
            raise UnknownOutcomeError(f"{', '.join(done)} was written, then: {error}") from error
        raise
    return Evidence(f"postgres {server.address} was set to {_words(goal)}", {"before": found})


def _statement(name: str, value: str | None) -> Any:
    sql = cast(Any, import_module("psycopg.sql"))
    if value is None:
        return sql.SQL("ALTER SYSTEM RESET {}").format(sql.Identifier(name))
    return sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value))


def _reload(server: PostgresServer) -> None:
    server.write("SELECT pg_reload_conf()")


def _settings(server: PostgresServer, names: State) -> dict[str, Setting]:
    return {row[0]: Setting(*row) for row in server.rows(_SETTINGS, {"names": list(names)})}


def _written(server: PostgresServer, names: State) -> State:
    found = dict(server.rows(_WRITTEN, {"names": list(names)}))
    return {name: found.get(name) for name in names}


def _foreign(server: PostgresServer, found: State, ours: State) -> str:
    name = next(name for name in ours if found[name] != ours[name])
    return (
        f"postgres {server.address} has {name} {_word(found[name])}, not {_word(ours[name])}: someone else changed it"
    )


def _planned(plan: Plan) -> PostgresDestination:
    return PostgresDestination.model_validate(plan.params)


def _words(settings: State) -> str:
    return ", ".join(f"{name} to {_word(value)}" for name, value in settings.items())


def _word(value: str | None) -> str:
    return "its default" if value is None else repr(value)
