"""The pages for people: services with their scores, remediations with their story. Nothing comes from outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized

from presagio.toolkit.clock import Clock
from presagio.toolkit.errors import SourceError
from presagio.toolkit.httperrors import answer
from presagio.toolkit.webconfig import Guard, Role
from presagio.webhook import scores, words
from presagio.webhook.acting_api import MAX_NOTE, Counter, Decision, FreezeRequest, PauseRequest
from presagio.webhook.documents import alertname
from presagio.webhook.errors import ApprovalError, ConflictError, MissingError
from presagio.webhook.questions import Source
from presagio.webhook.records import Records
from presagio.webhook.scores import Service
from presagio.webhook.states import TERMINAL, State
from presagio.webhook.story import Line, looks, tell
from presagio.webhook.tables import Remediation

_PAGES = Path(__file__).parent / "pages"
_SERVICES = 60
_REMEDIATIONS = 25
_TOLD = tuple(state for state in State if state not in (State.DROPPED, State.ATTACHED, State.RECEIVED))
_HEADERS: Mapping[str, str] = {
    # Even if a label's value were taken for HTML, it could load and run nothing.
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class View:
    """What the pages look at."""

    records: Records
    prometheus: Source
    clock: Clock


@dataclass(frozen=True)
class Card:
    """One remediation on the page, with its story."""

    case: Remediation
    lines: list[Line]
    now: float

    @property
    def title(self) -> str:
        """Return the alert's name."""
        return alertname(self.case) or "alert"

    @property
    def live(self) -> bool:
        """Whether something is still to come."""
        return self.case.state not in TERMINAL

    @property
    def last(self) -> str:
        """Return the newest of the story; while samples are taken, with them."""
        text = self.lines[-1].text if self.lines else ""
        seen = looks(self.case.samples or []) if self.live else ""
        return f"{text}: {seen}" if seen and seen not in text else text

    @property
    def differences(self) -> list[tuple[str, Any, Any]]:
        """Return what the plan changes: name, how it was, how it shall be."""
        plan = self.case.plan or {}
        before, after = plan.get("prior_state") or {}, plan.get("desired_state") or {}
        return [(name, before.get(name), value) for name, value in after.items() if before.get(name) != value]

    @property
    def seconds(self) -> float:
        """Return how long it took, or takes until now."""
        end = self.now if self.case.finished_at is None else self.case.finished_at
        return max(0.0, end - self.case.created_at)


def create(view: View, counter: Counter, guard: Guard) -> Blueprint:
    """Return the pages for `app.register_blueprint`. A browser asks for the API key as a password."""
    pages = Blueprint("pages", __name__, template_folder=str(_PAGES))
    _protect(pages, guard)
    for function in words.FILTERS:
        pages.add_app_template_filter(function)
    pages.register_error_handler(SQLAlchemyError, _trouble)
    pages.after_request(_harden)
    _routes(pages, view, counter)
    _deciding(pages, counter, guard)
    return pages


def _routes(pages: Blueprint, view: View, counter: Counter) -> None:
    @pages.get("/")
    def overview() -> ResponseReturnValue:
        now = view.clock.time()
        services, trouble = _services(view.prometheus, now)
        cards = [_card(view, case, now) for case in view.records.recent(_REMEDIATIONS, _TOLD)]
        return render_template(
            "overview.html", services=services[:_SERVICES], more=len(services[_SERVICES:]), trouble=trouble,
            cards=cards, now=now, pause=counter.paused(), learning=counter.frozen(),
        )  # fmt: skip

    @pages.get("/remediations/<int:remediation>")
    def one_remediation(remediation: int) -> ResponseReturnValue:
        case = view.records.get(remediation) if remediation < 1 << 62 else None
        if case is None:
            abort(404, f"there is no remediation {remediation}")
        now = view.clock.time()
        members = view.records.members(remediation)
        return render_template("remediation.html", card=_card(view, case, now), members=members, now=now)

    sheet = (_PAGES / "style.css").read_text()

    @pages.get("/style.css")
    def style() -> Response:
        return Response(sheet, mimetype="text/css")


def _deciding(pages: Blueprint, counter: Counter, guard: Guard) -> None:
    @pages.post("/remediations/<int:remediation>")
    def answer_plan(remediation: int) -> ResponseReturnValue:
        _same_site()
        who = guard.require(Role.APPROVE)
        decision = Decision(plan_hash=request.form.get("plan_hash") or "-", note=_note())
        try:
            counter.answer(remediation, decision, request.form.get("answer") == "approve", who)
        except (ApprovalError, ConflictError) as error:
            abort(409, str(error))
        except MissingError as error:
            abort(404, str(error))
        return redirect(url_for("pages.one_remediation", remediation=remediation), 303)

    @pages.post("/pause")
    def switch_pause() -> ResponseReturnValue:
        _same_site()
        who = guard.require(Role.OPERATE)
        counter.pause(PauseRequest(paused=_on(), note=_note()), who)
        return redirect(url_for("pages.overview"), 303)

    @pages.post("/learning")
    def switch_learning() -> ResponseReturnValue:
        _same_site()
        who = guard.require(Role.OPERATE)
        counter.freeze(FreezeRequest(frozen=_on(), note=_note()), who)
        return redirect(url_for("pages.overview"), 303)


def _on() -> bool:
    return request.form.get("switch") == "on"


def _note() -> str:
    return request.form.get("note", "")[:MAX_NOTE]


def _same_site() -> None:
    """Refuse a form that another site sent: a browser sends the password that it knows along with any of them."""
    origin = request.headers.get("Origin", "")
    if origin.partition("://")[2] != request.host:
        abort(403, f"a form from {origin or 'nowhere'!r} is not taken; use the page of {request.host!r} itself")


def _services(prometheus: Source, now: float) -> tuple[list[Service], str | None]:
    try:
        return scores.services(prometheus, now), None
    except SourceError as error:
        return [], str(error)


def _card(view: View, case: Remediation, now: float) -> Card:
    return Card(case, [tell(row) for row in view.records.story(case.id)], now)


def _protect(pages: Blueprint, guard: Guard) -> None:
    def check() -> None:
        try:
            guard.check()
        except Unauthorized as error:
            challenge = WWWAuthenticate("basic", {"realm": "presagio: an API key as password"})
            raise Unauthorized(error.description, www_authenticate=challenge) from None

    if guard.config.authentication != "none":
        pages.before_request(check)


def _harden(response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def _trouble(_: SQLAlchemyError) -> Response:
    return answer(503, "the ledger cannot be read now; the log tells why")
