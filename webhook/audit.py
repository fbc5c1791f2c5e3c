"""`presagio audit`: the ledger in the terminal. It only reads, and may run beside the webhook."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from typing import Any

import orjson
from sqlalchemy import Engine

from presagio.toolkit.table import columns
from presagio.toolkit.units import format_duration
from presagio.webhook import archive, chain, ledger, wiring
from presagio.webhook.config import FILE, WebhookConfig
from presagio.webhook.documents import Detail, detail, summary
from presagio.webhook.errors import LedgerError
from presagio.webhook.records import Records
from presagio.webhook.states import State
from presagio.webhook.story import clock, odds
from presagio.webhook.tables import Remediation

_COLUMNS = ("ID", "BEGAN", "STATE", "OUTCOME", "SERVICE", "ALERT", "POLICY", "ACTION", "TOOK")
_STARTED = tuple(state for state in State if state not in (State.DROPPED, State.ATTACHED))


def run(arguments: argparse.Namespace) -> int:
    """Print what was asked for and return the exit code. Raises LedgerError, ConfigError."""
    config = FILE.load(arguments.config_file) if arguments.config_file else WebhookConfig()
    engine = wiring.existing_ledger(config, arguments.storage_path)
    try:
        if arguments.audit_action == "verify":
            return _verify(engine, chain.read_key(wiring.key_path(config, arguments.storage_path)), arguments)
        if arguments.audit_action == "export":
            return _export(engine, arguments)
        show = _show if arguments.audit_action == "show" else _list
        return show(Records(engine), arguments)
    finally:
        engine.dispose()


def _list(records: Records, arguments: argparse.Namespace) -> int:
    found = records.recent(arguments.limit, () if arguments.all else _STARTED)
    if arguments.json:
        return _print_json([summary(case).model_dump(mode="json") for case in found])
    return _print([columns([_COLUMNS, *(_row(case) for case in found)])])


def _show(records: Records, arguments: argparse.Namespace) -> int:
    case = records.get(arguments.remediation)
    if case is None:
        raise LedgerError(f"there is no remediation {arguments.remediation}; `presagio audit list` tells which are")
    found = detail(case, records.story(case.id))
    if arguments.json:
        return _print_json(found.model_dump(mode="json"))
    return _print([*_heading(found), "", *_story(found)])


def _verify(engine: Engine, key: bytes, arguments: argparse.Namespace) -> int:
    try:
        known = _head(arguments.head)
        rows = archive.verify(arguments.file, key, known) if arguments.file else ledger.verify(engine, key, known)
    except LedgerError as error:
        _complain(arguments, str(error))
        return 1
    if arguments.json:
        return _print_json({"valid": True, "rows": rows})
    return _print([f"the ledger is whole: {rows} rows, each bound to the one before it"])


def _export(engine: Engine, arguments: argparse.Namespace) -> int:
    if arguments.output is None:
        archive.export(engine, sys.stdout.buffer, arguments.after)
        return 0
    try:
        with arguments.output.open("xb") as out:
            rows = archive.export(engine, out, arguments.after)
    except OSError as error:
        raise LedgerError(f"archive {str(arguments.output)!r} cannot be written: {error.strerror}") from error
    return _print_json({"rows": rows}) if arguments.json else _print([f"{rows} rows in {arguments.output}"])


def _complain(arguments: argparse.Namespace, error: str) -> None:
    if arguments.json:
        _print_json({"valid": False, "error": error})
    else:
        print(f"the ledger is broken: {error}", file=sys.stderr)  # noqa: T201 # the command's answer


def _head(text: str | None) -> tuple[int, str] | None:
    if text is None:
        return None
    seq, separator, seal = text.partition(":")
    if not separator or not seq.isdigit():
        raise LedgerError(f"--head: expected SEQ:HASH, as presagio_ledger_head_info has them, got {text!r}")
    return int(seq), seal


def _row(case: Remediation) -> tuple[str, ...]:
    short = summary(case)
    took = format_duration(case.finished_at - case.created_at) if case.finished_at is not None else "…"
    words = (short.outcome, short.service_id, short.alertname, short.policy, short.action)
    return (str(case.id), clock(case.created_at), case.state, *(str(word or "-") for word in words), took)


def _heading(found: Detail) -> list[str]:
    plan = (found.plan or {}).get("summary")
    about = {
        "alert": found.alertname, "service": found.service_id, "policy": found.policy, "mode": found.mode,
        "plan": plan, "odds": odds(found.choice), "state": found.state, "outcome": found.outcome,
    }  # fmt: skip
    return [f"remediation {found.id}", *(f"  {name:<8} {value}" for name, value in about.items() if value)]


def _story(found: Detail) -> list[str]:
    rows = [(clock(line.time), line.target.value, line.text or line.reason.value) for line in found.story]
    return [columns(rows)]


def _print(lines: Iterable[str]) -> int:
    for line in lines:
        print(line)  # noqa: T201 # the command's answer
    return 0


def _print_json(document: Any) -> int:
    return _print([orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()])
