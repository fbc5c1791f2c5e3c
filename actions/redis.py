"""The actions `redis.purge_memory` and `redis.config_set`. Class A: both say what shall be, and may be repeated."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, Field, field_validator

from presagio.actions.addresses import Destination, Servers
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
)
from presagio.actions.redis_server import RedisServer, connected
from presagio.actions.redis_settings import check_settings, lack_of_memory
from presagio.toolkit.units import format_bytes


class PurgeParams(Servers):
    """What a policy may write under `redis.purge_memory:`."""


class PurgeMemory:
    """Has the allocator of a Redis server give free pages back to the system."""

    Params: ClassVar[type[BaseModel]] = PurgeParams
    action_class: ClassVar[ActionClass] = ActionClass.DESIRED_STATE
    settle_seconds: ClassVar[float] = 10.0
    permissions: ClassVar[tuple[Permission, ...]] = (Permission("redis", "commands", ("+info", "+memory|purge")),)

    def plan(self, target: Target, params: PurgeParams) -> Plan:
        """Read what it holds. Raises PlanError if its allocator is not jemalloc: it would do nothing."""
        to = params.choose(target)
        with connected(to) as server:
            memory, purges, run_id = server.info("memory"), _purges(server), _run_id(server)
        allocator = str(memory["mem_allocator"])
        if not allocator.startswith("jemalloc"):
            raise PlanError(
                f"redis {to.address} uses the allocator {allocator!r}, where MEMORY PURGE does nothing; "
                "run a Redis built with jemalloc, or restart it"
            )
        prior = {
            "allocator": allocator,
            "used_memory_rss": format_bytes(float(f"{memory['used_memory_rss']:.2g}")),
            "mem_fragmentation_ratio": round(float(memory["mem_fragmentation_ratio"]), 1),
            "purges": purges,
        }
        return Plan(
            action="redis.purge_memory",
            summary=f"have redis {to.address} give free memory back to the system",
            params={**to.model_dump(mode="json"), "run_id": run_id},
            prior_state=prior,
            desired_state={**prior, "purges": purges + 1},
        )

    def apply(self, plan: Plan, attempt_id: str) -> Evidence:  # noqa: ARG002 # once more does no harm
        """Purge. Raises OutcomeError."""
        with connected(_destination(plan)) as server:
            before = server.info("memory")["used_memory_rss"]
            server.purge()
        return Evidence(f"redis {server.address} gave free memory back", {"used_memory_rss_before": before})

    def probe(self, plan: Plan, attempt_id: str) -> Probe:  # noqa: ARG002 # the server counts
        """Compare the number of purges with the one before; a server that was restarted cannot say."""
        try:
            with connected(_destination(plan)) as server:
                if _run_id(server) != plan.params["run_id"]:
                    return Probe.UNKNOWN
                return Probe.APPLIED if _purges(server) > plan.prior_state["purges"] else Probe.NOT_APPLIED
        except OutcomeError:
            return Probe.UNKNOWN

    def undo(self, plan: Plan) -> Evidence:
        """Raise NotAppliedError: there is nothing to restore."""
        raise NotAppliedError(
            f"a purge has no undo: redis {plan.params['address']} takes memory again as it needs it"
        )

    def changed(self, plan: Plan) -> None:
        """Return None: nothing was written."""
        del plan


class ConfigSetParams(Servers):
    """What a policy may write under `redis.config_set:`."""

    set: dict[str, str] = Field(min_length=1, description="settings and their values, of the list below")
    allow_eviction: bool = Field(False, description="whether keys may be evicted by it at once")

    @field_validator("set", mode="before")
    @classmethod
    def _known(cls, settings: object) -> object:
        return check_settings(settings)


class ConfigSet:
    """Sets some settings of a running Redis server, and can restore them."""

    Params: ClassVar[type[BaseModel]] = ConfigSetParams
    action_class: ClassVar[ActionClass] = ActionClass.DESIRED_STATE
    settle_seconds: ClassVar[float] = 30.0
    permissions: ClassVar[tuple[Permission, ...]] = (
        Permission("redis", "commands", ("+info", "+config|get", "+config|set")),
    )

    def plan(self, target: Target, params: ConfigSetParams) -> Plan:
        """Read the settings before. Raises PlanError where the data in it would not fit."""
        to = params.choose(target)
        with connected(to) as server:
            prior = server.settings(params.set)
            trouble = lack_of_memory(server, params.set, params.allow_eviction)
        if trouble:
            raise PlanError(trouble)
        return Plan(
            action="redis.config_set",
            summary=f"set {_words(params.set)} on redis {to.address}",
            params={**to.model_dump(mode="json"), "allow_eviction": params.allow_eviction},
            prior_state=prior,
            undo=prior,
            desired_state=dict(params.set),
        )

    def apply(self, plan: Plan, attempt_id: str) -> Evidence:  # noqa: ARG002 # class A needs no attempt's id
        """Set them if they still are as they were planned from."""
        with connected(_destination(plan)) as server:
            trouble = lack_of_memory(server, _texts(plan.desired_state), plan.params["allow_eviction"])
            if trouble:
                raise NotAppliedError(trouble)
            return _move(server, _texts(plan.prior_state), _texts(plan.desired_state))

    def probe(self, plan: Plan, attempt_id: str) -> Probe:  # noqa: ARG002 # the state itself tells
        """Compare the settings with the planned and with the prior ones."""
        try:
            with connected(_destination(plan)) as server:
                found = server.settings(_texts(plan.desired_state))
        except OutcomeError:
            return Probe.UNKNOWN
        if found == plan.desired_state:
            return Probe.APPLIED
        return Probe.NOT_APPLIED if found == plan.prior_state else Probe.UNKNOWN

    def undo(self, plan: Plan) -> Evidence:
        """Restore the settings before if ours still stand. NotAppliedError: someone else changed them."""
        with connected(_destination(plan)) as server:
            return _move(server, _texts(plan.desired_state), _texts(plan.prior_state))

    def changed(self, plan: Plan) -> str | None:
        """Return which of our settings is no longer as we set it."""
        ours = _texts(plan.desired_state)
        try:
            with connected(_destination(plan)) as server:
                found = server.settings(ours)
        except OutcomeError:
            return None
        return None if found == ours else _foreign(server, found, ours)


def _move(server: RedisServer, source: dict[str, str], goal: dict[str, str]) -> Evidence:
    found = server.settings(goal)
    if found == goal:
        return Evidence(f"redis {server.address} already has {_words(goal)}", {"before": found})
    if found != source:
        raise NotAppliedError(_foreign(server, found, source))
    server.set({name: value for name, value in goal.items() if found[name] != value})
    return Evidence(f"redis {server.address} was set to {_words(goal)}", {"before": found})


def _foreign(server: RedisServer, found: dict[str, str], ours: dict[str, str]) -> str:
    name = next(name for name in ours if found[name] != ours[name])
    return f"redis {server.address} has {name} {found[name]!r}, not {ours[name]!r}: someone else changed it"


def _destination(plan: Plan) -> Destination:
    return Destination.model_validate({name: plan.params[name] for name in Destination.model_fields})


def _texts(state: Any) -> dict[str, str]:
    return {str(name): str(value) for name, value in state.items()}


def _words(settings: dict[str, str]) -> str:
    return ", ".join(f"{name} to {value!r}" for name, value in settings.items())


def _purges(server: RedisServer) -> int:
    counts = server.info("commandstats").get("cmdstat_memory|purge", {})
    return int(counts.get("calls", 0)) - int(counts.get("failed_calls", 0))


def _run_id(server: RedisServer) -> str:
    return str(server.info("server")["run_id"])
