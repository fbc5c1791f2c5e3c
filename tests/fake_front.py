"""The webhook's API and pages, the real ones, on a world of fakes."""

from __future__ import annotations

import json
from typing import Any

from fake_world import World
from flask.testing import FlaskClient
from pydantic import SecretStr

from presagio.toolkit import web
from presagio.toolkit.log import get_log
from presagio.toolkit.webconfig import AuthConfig, Guard
from presagio.webhook import api, dashboard
from presagio.webhook.acting_api import Counter
from presagio.webhook.api import Desk
from presagio.webhook.dashboard import View

KEY = {"X-API-Key": "secret"}
ROOM = 5


class Front:
    """API and pages on a world of fakes."""

    def __init__(self, world: World, **auth: Any) -> None:
        self.world = world
        log = get_log("test")
        guard = Guard(AuthConfig(**(auth or {"api_key": SecretStr("secret")})), log)
        site = web.Site(
            title="Presagio test", description="", metrics=lambda: b"", ready=lambda: None, reload=lambda: None,
            landing=False, max_body=10_000,
        )  # fmt: skip
        app = web.create(site, world.registry, log)
        desk = Desk(world.inbox, world.records, world.metrics, world.clock, log, ROOM)
        counter = Counter(world.machine.tools, world.ledger, world.clock, log)
        app.register_api(api.create(desk, counter, guard))
        app.register_blueprint(dashboard.create(View(world.records, world.prometheus, world.clock), counter, guard))
        self.document: dict[str, Any] = app.api_doc
        self.app = app
        self.client: FlaskClient = app.test_client()

    def post(self, body: object, **headers: str) -> tuple[int, Any]:
        data = body if isinstance(body, bytes | str) else json.dumps(body)
        answer = self.client.post("/api/v1/alerts", data=data, headers=headers or KEY)
        return answer.status_code, answer.get_json()

    def get(self, path: str) -> tuple[int, Any]:
        answer = self.client.get(f"/api/v1{path}", headers=KEY)
        return answer.status_code, answer.get_json()
