"""What people decide, through the REST API: to approve or refuse a plan, to pause all acting and to resume it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask_openapi3.blueprint import APIBlueprint
from pydantic import BaseModel, Field

from presagio.toolkit.clock import Clock
from presagio.toolkit.httperrors import ErrorBody, answer
from presagio.toolkit.log import Log
from presagio.toolkit.webconfig import Caller, Guard, Role
from presagio.webhook.approval import Answer, decide
from presagio.webhook.documents import RemediationPath, Summary, summary
from presagio.webhook.errors import ApprovalError, ConflictError, MissingError
from presagio.webhook.ledger import Ledger
from presagio.webhook.records import FREEZE, PAUSE
from presagio.webhook.tables import Remediation, Switch
from presagio.webhook.tools import Tools

MAX_NOTE = 500


class Decision(BaseModel):
    """An answer to a plan."""

    plan_hash: str = Field(description="hash of the plan that was read", min_length=1, max_length=64)
    note: str = Field("", max_length=MAX_NOTE, description="why, for the ledger")


class _Wish(BaseModel):
    note: str = Field("", max_length=MAX_NOTE, description="why, for the ledger")


class PauseRequest(_Wish):
    """Whether all acting shall be paused."""

    paused: bool


class FreezeRequest(_Wish):
    """Whether the recommender shall stop learning and exploring."""

    frozen: bool


class _Since(BaseModel):
    since: float | None = Field(None, description="Unix seconds")
    who: str | None = None
    note: str | None = None


class PauseState(_Since):
    """Whether all acting is paused."""

    paused: bool


class FreezeState(_Since):
    """Whether the recommender is frozen; evidence since then does not count."""

    frozen: bool


@dataclass(frozen=True)
class Counter:
    """Where people's decisions are taken: through the API and on the pages. `news` wakes the orchestrator."""

    tools: Tools
    ledger: Ledger
    clock: Clock
    log: Log
    news: Callable[[], None] = lambda: None

    def answer(self, remediation: int, decision: Decision, approved: bool, who: Caller) -> Remediation:
        """Write an answer. Raises ApprovalError, ConflictError, MissingError."""
        case = self.tools.records.get(remediation)
        if case is None:
            raise MissingError(f"there is no remediation {remediation}; GET /api/v1/remediations lists them")
        given = Answer(approved, decision.plan_hash, who.name, decision.note)
        after = decide(case, given, self.tools, self.ledger, self.clock.time())
        self.log.info("plan answered", remediation=remediation, approved=approved, who=who.name)
        self.news()
        return after

    def pause(self, wanted: PauseRequest, who: Caller) -> PauseState:
        """Pause or resume all acting, and return how it is then."""
        self._switch(PAUSE, wanted.paused, wanted.note, who)
        return self.paused()

    def freeze(self, wanted: FreezeRequest, who: Caller) -> FreezeState:
        """Freeze the recommender or let it learn again, and return how it is then."""
        self._switch(FREEZE, wanted.frozen, wanted.note, who)
        return self.frozen()

    def paused(self) -> PauseState:
        """Return whether all acting is paused, and by whom."""
        switch = self.tools.records.paused()
        return PauseState(paused=switch is not None, **_since(switch))

    def frozen(self) -> FreezeState:
        """Return whether the recommender is frozen, and by whom."""
        switch = self.tools.records.frozen()
        return FreezeState(frozen=switch is not None, **_since(switch))

    def _switch(self, name: str, on: bool, note: str, who: Caller) -> None:
        self.ledger.switch(name, on, who.name, note, self.clock.time())
        self.log.warning("switch turned", switch=name, on=on, who=who.name)
        self.news()


def _since(switch: Switch | None) -> dict[str, Any]:
    return {} if switch is None else {"since": switch.since, "who": switch.who, "note": switch.note}


def add(api: APIBlueprint, counter: Counter, guard: Guard) -> None:
    """Add the decisions to the API."""
    api.register_error_handler(ApprovalError, lambda error: answer(409, str(error)))
    api.register_error_handler(ConflictError, lambda error: answer(409, f"{error}; look again"))
    api.register_error_handler(MissingError, lambda error: answer(404, str(error)))
    _deciding(api, counter, guard)
    _pausing(api, counter, guard)
    _freezing(api, counter, guard)


def _deciding(api: APIBlueprint, counter: Counter, guard: Guard) -> None:
    told: dict[Any, Any] = {"200": Summary, "403": ErrorBody, "404": ErrorBody, "409": ErrorBody}

    @api.post("/remediations/<int:remediation>/approve", responses=told)
    def approve_remediation(path: RemediationPath, body: Decision) -> dict[str, object]:
        """Approve the plan that waits, by its hash. Takes a key with the role approve."""
        after = counter.answer(path.remediation, body, True, guard.require(Role.APPROVE))
        return summary(after).model_dump(mode="json")

    @api.post("/remediations/<int:remediation>/refuse", responses=told)
    def refuse_remediation(path: RemediationPath, body: Decision) -> dict[str, object]:
        """Refuse the plan that waits, by its hash. Takes a key with the role approve."""
        after = counter.answer(path.remediation, body, False, guard.require(Role.APPROVE))
        return summary(after).model_dump(mode="json")


def _pausing(api: APIBlueprint, counter: Counter, guard: Guard) -> None:
    @api.get("/pause", responses={"200": PauseState})
    def get_pause() -> dict[str, object]:
        """Tell whether all acting is paused."""
        return counter.paused().model_dump()

    @api.put("/pause", responses={"200": PauseState, "403": ErrorBody})
    def set_pause(body: PauseRequest) -> dict[str, object]:
        """Pause all acting, or resume it. Takes a key with the role operate."""
        return counter.pause(body, guard.require(Role.OPERATE)).model_dump()


def _freezing(api: APIBlueprint, counter: Counter, guard: Guard) -> None:
    @api.get("/learning", responses={"200": FreezeState})
    def get_learning() -> dict[str, object]:
        """Tell whether the recommender is frozen."""
        return counter.frozen().model_dump()

    @api.put("/learning", responses={"200": FreezeState, "403": ErrorBody})
    def set_learning(body: FreezeRequest) -> dict[str, object]:
        """Freeze the recommender, or let it learn. Takes a key with the role operate."""
        return counter.freeze(body, guard.require(Role.OPERATE)).model_dump()
