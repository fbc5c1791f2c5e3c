"""`presagio feedback` as it is run from a terminal: it asks the REST API of a running exporter."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from presagio.exporter.backtest.times import moment
from presagio.toolkit.apiclient import Client
from presagio.toolkit.clock import Clock, SystemClock
from presagio.toolkit.table import columns
from presagio.toolkit.units import format_duration

_COLUMNS = ("ID", "KIND", "SERVICE", "SIGNAL", "FROM (UTC)", "LASTED", "AUTHOR", "COMMENT", "STATE")


def run(arguments: argparse.Namespace, clock: Clock | None = None) -> int:
    """Do what was asked for and print the answer. Raises PresagioError."""
    client = Client("exporter", arguments.url, arguments.api_key_file, "is the section api: in exporter.yml?")
    action = arguments.feedback_action
    if action == "list":
        return _list(client, arguments)
    if action == "revert":
        told = client.ask("DELETE", f"/feedback/{arguments.id}", query={"author": arguments.author})
        return _print(arguments, told, f"feedback {told['id']} was reverted at {_time(told['reverted'])}")
    told = client.ask("POST", "/feedback", _judged(arguments, (clock or SystemClock()).time()))
    return _print(arguments, told, f"feedback {told['id']}; take it back by: presagio feedback revert {told['id']}")


def _judged(arguments: argparse.Namespace, now: float) -> dict[str, object]:
    end = moment(arguments.end, now)
    given = {
        "service_id": arguments.service, "kind": arguments.feedback_action, "from": moment(arguments.begin, end),
        "to": end, "comment": arguments.comment, "author": arguments.author,
    }  # fmt: skip
    return given | ({"signal": arguments.signal} if arguments.signal else {})


def _list(client: Client, arguments: argparse.Namespace) -> int:
    query = {"all": "true"} if arguments.all else {}
    if arguments.service:
        query["service_id"] = arguments.service
    told = client.ask("GET", "/feedback", query=query)
    rows = [_row(one) for one in told["feedback"]]
    return _print(arguments, told, columns([_COLUMNS, *rows]) if rows else "no feedback")


def _row(one: Mapping[str, Any]) -> tuple[str, ...]:
    lasted = format_duration(one["to"] - one["from"])
    about = one["kind"], one["service_id"], one["signal"] or "(all)", _time(one["from"]), lasted
    words = (one["author"] or "-", " ".join(one["comment"].split()) or "-")
    return (str(one["id"]), *about, *words, _state(one))


def _state(one: Mapping[str, Any]) -> str:
    if one["reverted"] is not None:
        return f"reverted {_time(one['reverted'])}" + (f" by {one['reverted_by']}" if one["reverted_by"] else "")
    return f"last applied {_time(one['last_applied'])}" if one["last_applied"] is not None else "in force"


def _time(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _print(arguments: argparse.Namespace, told: object, text: str) -> int:
    shown = orjson.dumps(told, option=orjson.OPT_INDENT_2).decode() if arguments.json else text
    sys.stdout.write(shown + "\n")
    return 0
