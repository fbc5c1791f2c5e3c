"""`presagio remediation`: what people decide, from a terminal; it asks the REST API of a running webhook."""

from __future__ import annotations

import argparse
import sys
from typing import Any

import orjson

from presagio.toolkit.apiclient import Client
from presagio.webhook.story import clock


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked for and print the answer. Raises PresagioError."""
    client = Client("webhook", arguments.url, arguments.api_key_file)
    action = arguments.remediation_action
    if action in ("approve", "refuse"):
        return _decide(client, arguments)
    if action in ("freeze", "unfreeze"):
        body = {"frozen": action == "freeze", "note": arguments.note}
        return _print(arguments, told := client.ask("PUT", "/learning", body), _frozen(told))
    if action == "status":
        paused, frozen = client.ask("GET", "/pause"), client.ask("GET", "/learning")
        return _print(arguments, {**paused, "learning": frozen}, f"{_paused(paused)}\n{_frozen(frozen)}")
    told = client.ask("PUT", "/pause", {"paused": action == "pause", "note": arguments.note})
    return _print(arguments, told, _paused(told))


def _decide(client: Client, arguments: argparse.Namespace) -> int:
    path = f"/remediations/{arguments.remediation}"
    plan_hash = arguments.plan_hash or _read(client.ask("GET", path))
    body = {"plan_hash": plan_hash, "note": arguments.note}
    told = client.ask("POST", f"{path}/{arguments.remediation_action}", body)
    return _print(arguments, told, f"remediation {told['id']} is {told['state']}")


def _read(found: dict[str, Any]) -> str:
    """Show the plan, and return the hash that a person's answer is then bound to."""
    summary = (found["plan"] or {}).get("summary", "nothing is planned")
    sys.stderr.write(f"plan of remediation {found['id']}: {summary}\n")
    return str(found["plan_hash"] or "-")


def _paused(told: dict[str, Any]) -> str:
    if not told["paused"]:
        return "acting is not paused"
    note = f": {told['note']}" if told["note"] else ""
    return f"acting is paused since {clock(told['since'])} by {told['who']}{note}"


def _frozen(told: dict[str, Any]) -> str:
    if not told["frozen"]:
        return "learning is not frozen"
    note = f": {told['note']}" if told["note"] else ""
    return f"learning is frozen since {clock(told['since'])} by {told['who']}{note}"


def _print(arguments: argparse.Namespace, told: object, text: str) -> int:
    shown = orjson.dumps(told, option=orjson.OPT_INDENT_2).decode() if arguments.json else text
    sys.stdout.write(shown + "\n")
    return 0
