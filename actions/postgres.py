"""The actions `postgres.end_idle_transactions` and `postgres.cancel_queries`. Class C: the planned is there or gone.

A session is known by its pid and its start, a query by its pid and its start: a pid that is used anew is another one.
"""

from __future__ import annotations

import time
from typing import Any, ClassVar

from pydantic import BaseModel, Field

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
from presagio.toolkit.units import Duration, format_duration

# What is told of sessions, never our own, nor those of superusers and of replication.
_FROM = """
FROM pg_stat_activity AS s JOIN pg_roles AS r ON r.oid = s.usesysid
WHERE s.backend_type = 'client backend' AND s.pid <> pg_backend_pid() AND NOT r.rolsuper AND NOT r.rolreplication
AND ({state}) AND clock_timestamp() - {since} > make_interval(secs => %(seconds)s)
"""
_CHOSEN = """
AND (%(users)s::text[] IS NULL OR s.usename::text = ANY(%(users)s::text[]))
AND (%(databases)s::text[] IS NULL OR s.datname::text = ANY(%(databases)s::text[]))
AND (%(application_names)s::text[] IS NULL OR s.application_name = ANY(%(application_names)s::text[]))
"""
_LOOKS, _PAUSE = 20, 0.05
_SIGHT = "SELECT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')"


class SessionParams(PostgresServers):
    """Which sessions."""

    users: tuple[str, ...] | None = Field(None, min_length=1, description="only sessions of these users")
    databases: tuple[str, ...] | None = Field(None, min_length=1, description="only sessions in these databases")
    application_names: tuple[str, ...] | None = Field(None, min_length=1, description="only of these applications")
    max_sessions: int = Field(10, ge=1, le=1000, description="at most so many at once, the oldest first")


class IdleParams(SessionParams):
    """What a policy may write under `postgres.end_idle_transactions:`."""

    older_than: Duration = Field(gt=0, description="idle within a transaction for longer than this")


class QueryParams(SessionParams):
    """What a policy may write under `postgres.cancel_queries:`."""

    longer_than: Duration = Field(gt=0, description="running for longer than this")


class _Signal:
    """Signals sessions. The classes below say which, and how."""

    Params: ClassVar[type[BaseModel]]
    action_class: ClassVar[ActionClass] = ActionClass.PROBED
    settle_seconds: ClassVar[float] = 10.0
    permissions: ClassVar[tuple[Permission, ...]] = (
        Permission("postgres", "membership", ("pg_signal_backend", "pg_read_all_stats")),
    )
    name: ClassVar[str]
    verb: ClassVar[str]
    what: ClassVar[str]
    function: ClassVar[str]
    state: ClassVar[str]
    since: ClassVar[str]
    start: ClassVar[str]

    def plan(self, target: Target, params: Any) -> Plan:
        """List them. Raises PlanError if there is none, or we may not see who there is."""
        to = _destination(params, target)
        seconds = params.older_than if isinstance(params, IdleParams) else params.longer_than
        filters = {key: _listed(getattr(params, key)) for key in ("users", "databases", "application_names")}
        with connected(to) as server:
            found = self._find(server, {**filters, "seconds": seconds, "most": params.max_sessions})
        if not found:
            raise PlanError(f"postgres {to.address} has no {self.what} for more than {format_duration(seconds)}")
        pids = ", ".join(str(session["pid"]) for session in found)
        return Plan(
            action=self.name,
            summary=f"{self.verb} {len(found)} {self.what} on postgres {to.address}: pid {pids}",
            params={**to.model_dump(mode="json"), "seconds": seconds, "sessions": found},
            prior_state={str(session["pid"]): _words(session) for session in found},
            desired_state={str(session["pid"]): None for session in found},
        )

    def apply(self, plan: Plan, attempt_id: str) -> Evidence:  # noqa: ARG002 # what is gone is not signalled again
        """Signal those that still are as planned. Raises OutcomeError."""
        with connected(_planned(plan)) as server:
            ended: list[int] = []
            for session in plan.params["sessions"]:
                try:
                    ended += self._signal(server, session, plan.params["seconds"])
                except NotAppliedError as error:
                    raise (UnknownOutcomeError(f"after {len(ended)}: {error}") if ended else error) from error
            left = self._wait(server, plan, len(ended))
        if left and not ended:
            raise NotAppliedError(f"none of the {self.what} on postgres {server.address} is as it was planned")
        return Evidence(f"{len(ended)} {self.what} ended on postgres {server.address}", {"pids": ended})

    def probe(self, plan: Plan, attempt_id: str) -> Probe:  # noqa: ARG002 # the sessions themselves tell
        """Look whether all of them are gone, or none."""
        try:
            with connected(_planned(plan)) as server:
                left = self._left(server, plan)
        except OutcomeError:
            return Probe.UNKNOWN
        whole = len(plan.params["sessions"])
        return {0: Probe.APPLIED, whole: Probe.NOT_APPLIED}.get(left, Probe.UNKNOWN)

    def undo(self, plan: Plan) -> Evidence:
        """Raise NotAppliedError: what was ended is rolled back."""
        raise NotAppliedError(f"{self.what} of postgres {plan.params['address']} that ended have no undo")

    def changed(self, plan: Plan) -> None:
        """Return None: nothing was written."""
        del plan

    def _find(self, server: PostgresServer, values: dict[str, Any]) -> list[dict[str, Any]]:
        if not server.rows(_SIGHT, {})[0][0]:
            raise PlanError(f"postgres {server.address} does not show its sessions; GRANT pg_read_all_stats to us")
        columns = f"s.pid, {self._key}, s.usename::text, s.datname::text, s.application_name"
        query = f"SELECT {columns} {self._from}{_CHOSEN} ORDER BY {self.since}, s.pid LIMIT %(most)s"
        names = ("pid", "start", "user", "database", "application_name")
        return [dict(zip(names, row, strict=True)) for row in server.rows(query, values)]

    def _signal(self, server: PostgresServer, session: dict[str, Any], seconds: float) -> list[int]:
        this = f"AND s.pid = %(pid)s AND {self._key} = %(start)s"
        chosen = f"WITH chosen AS MATERIALIZED (SELECT s.pid {self._from}{this})"
        values = {"pid": session["pid"], "start": session["start"], "seconds": seconds}
        rows = server.write(f"{chosen} SELECT pid, {self.function}(pid) FROM chosen", values)  # noqa: S608 # all of it is ours
        return [pid for pid, done in rows if done]

    def _wait(self, server: PostgresServer, plan: Plan, ended: int) -> int:
        """Return how many are left once those that were signalled had a moment to end."""
        whole = len(plan.params["sessions"])
        for _ in range(_LOOKS):
            left = self._left(server, plan)
            if left <= whole - ended:
                return left
            time.sleep(_PAUSE)
        return left

    def _left(self, server: PostgresServer, plan: Plan) -> int:
        state = f"({self.state})" if self.start == "s.query_start" else "true"
        query = f"SELECT s.pid, {self._key} FROM pg_stat_activity AS s WHERE {state}"  # noqa: S608 # all of it is ours
        there = set(server.rows(query, {}))
        return sum((session["pid"], session["start"]) in there for session in plan.params["sessions"])

    @property
    def _from(self) -> str:
        return _FROM.format(state=self.state, since=self.since)

    @property
    def _key(self) -> str:
        return f"(extract(epoch FROM {self.start}) * 1000000)::bigint"


class EndIdleTransactions(_Signal):
    """Ends sessions that stay idle within a transaction, and so hold locks and keep dead rows."""

    Params: ClassVar[type[BaseModel]] = IdleParams
    name = "postgres.end_idle_transactions"
    verb, what = "end", "sessions idle in a transaction"
    function = "pg_terminate_backend"
    state = "s.state IN ('idle in transaction', 'idle in transaction (aborted)')"
    since, start = "s.state_change", "s.backend_start"


class CancelQueries(_Signal):
    """Cancels queries that run for too long; their sessions stay."""

    Params: ClassVar[type[BaseModel]] = QueryParams
    name = "postgres.cancel_queries"
    verb, what = "cancel", "running queries"
    function = "pg_cancel_backend"
    state = "s.state = 'active'"
    since, start = "s.query_start", "s.query_start"


def _destination(params: PostgresServers, target: Target) -> PostgresDestination:
    chosen = params.choose(target)
    return PostgresDestination.model_validate({**chosen.model_dump(), "database": params.database})


def _planned(plan: Plan) -> PostgresDestination:
    return PostgresDestination.model_validate({name: plan.params[name] for name in PostgresDestination.model_fields})


def _listed(values: tuple[str, ...] | None) -> list[str] | None:
    return list(values) if values else None


def _words(session: dict[str, Any]) -> str:
    return f"{session['user']} in {session['database']}, {session['application_name'] or 'no application name'}"
