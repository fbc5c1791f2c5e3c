"""The metrics pages pass `promtool check metrics` of both generations."""

import subprocess
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
from flask import Flask

from presagio.exporter.config import FILE as EXPORTER
from presagio.exporter.engine import Scores
from presagio.exporter.registry import Service
from presagio.exporter.server import ExporterWing
from presagio.exporter.signals import Key
from presagio.exporter.together import ServiceScores
from presagio.toolkit import positions
from presagio.toolkit.clock import ManualClock
from presagio.toolkit.log import get_log
from presagio.toolkit.reloading import ReloadState
from presagio.toolkit.serve import Context, _Server
from presagio.webhook.server import WebhookWing

GOLDEN = Path(__file__).parents[1] / "unit" / "exporter" / "golden" / "metrics.txt"
NOW = 1_700_000_000.0
EXPORTER_YML = """
api: {authentication: none}
presets: [node]
signals: [{name: load, query: load}]
"""
WEBHOOK_YML = """
api: {authentication: none}
policies:
  - name: drain
    match: {alertname: Full}
    actions: [{command: {argv: [drain]}}]
    verify: {query: a < 1}
"""


def check(promtool: Path, page: bytes) -> str:
    """Return what promtool objects to: nothing for a page that is right."""
    done = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, timeout=60, check=False)
    told = (done.stdout + done.stderr).decode()
    return told if told or not done.returncode else f"promtool ended with {done.returncode}"


def test_promtool_objects_to_a_page_that_is_wrong(promtool: Path) -> None:
    """Else the tests below could not fail."""
    assert "presagio_bad" in check(promtool, b"# HELP presagio_bad x\n# TYPE presagio_bad counter\npresagio_bad 1\n")
    assert check(promtool, b"presagio_anomaly_score{ 1\n")


def test_the_golden_page_of_scores(promtool: Path) -> None:
    assert check(promtool, GOLDEN.read_bytes()) == ""


def context(folder: Path) -> Context:
    """Return what toolkit.serve gives to a wing, with the registry that it really makes."""
    server = cast(_Server, SimpleNamespace(state=ReloadState()))
    arguments = Namespace(storage_path=folder)
    return Context(arguments, _Server._registry(server), ManualClock(NOW), get_log("test"), lambda: None)


def page_of(app: Flask) -> bytes:
    answer = app.test_client().get("/metrics")
    assert answer.status_code == 200
    return bytes(answer.data)


def test_the_whole_page_of_the_exporter(promtool: Path, tmp_path: Path) -> None:
    config = EXPORTER.validate(positions.parse(EXPORTER_YML), "exporter.yml")
    exporter = ExporterWing().build(config, context(tmp_path))
    assert exporter.registry is not None
    exporter.registry.register(Service(service_id="shop"))
    exporter.registry.submit("shop", {"queue_length": 7.0})
    some = np.array([0.5])
    services = ServiceScores(NOW, ["shop"], ["load"], some, some[None], some)
    exporter.loop.page.publish({"load": Scores(NOW, [Key("shop", "load", ())], *[some] * 6)}, NOW, services)
    page = page_of(exporter.app)
    for name in (
        b"presagio_anomaly_score{",
        b"presagio_service_anomaly_contribution{",
        b"presagio_submitted_value{",
        b"presagio_registered_services 1.0",
    ):
        assert name in page
    assert b'presagio_series_refused_total{reason="limit",signal="load"} 0.0' in page
    assert check(promtool, page) == ""


def test_the_whole_page_of_the_webhook(promtool: Path, tmp_path: Path) -> None:
    wing = WebhookWing()
    file = tmp_path / "webhook.yml"
    file.write_text(WEBHOOK_YML)
    webhook = wing.build(wing.file.load(file), context(tmp_path))
    try:
        page = page_of(webhook.app)
    finally:
        webhook.stop()
    assert b"presagio_notifications_received_total" in page
    assert check(promtool, page) == ""
