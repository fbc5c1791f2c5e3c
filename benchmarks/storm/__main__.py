"""`make bench-webhook`: 10,000 alerts at once, then 50 a second, on each database, and a plain receiver beside.

From POST to stored is what Alertmanager waits for its 200. From stored to INTENT is what an alert waits until the
webhook acts: the moment of the one is in the inbox, of the other in the audit row.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import orjson
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from presagio.toolkit.clock import SystemClock
from presagio.toolkit.log import configure, get_log
from presagio.toolkit.progress import progress
from presagio.webhook.chain import read_key
from presagio.webhook.database import reading
from presagio.webhook.ledger import verify
from presagio.webhook.states import State
from presagio.webhook.tables import Audit, Notification, Remediation
from storm.senders import Sent, alerts, notifications, steady, storm
from storm.stage import POSTGRESQL, SQLITE, Stage, stage

Floats = npt.NDArray[np.float64]

TARGET = 0.25
"""Seconds from alert to INTENT that 99 of 100 must not exceed at the steady rate."""


@dataclass(frozen=True)
class Row:
    """One run. Seconds; `post` is from POST to 200, `intent` from stored to INTENT; None where nothing acts."""

    run: str
    alerts: int
    stored: int
    intents: int
    repeats: int
    alerts_per_second: float
    post_p50: float
    post_p99: float
    intent_p50: float | None = None
    intent_p99: float | None = None


def measure(kind: str, name: str, arguments: argparse.Namespace) -> list[Row]:
    """Return the baseline's row and the webhook's for one kind of load on one database."""
    heavy = name == "storm"
    count = arguments.alerts if heavy else int(arguments.rate * arguments.seconds)
    size = arguments.group if heavy else 1
    with tempfile.TemporaryDirectory() as folder, stage(kind, Path(folder)) as here:
        bodies = list(notifications(here.hold(alerts(count, name)), size))
        rows = []
        for label, url in (("flask, stores nothing", here.baseline), (f"presagio on {kind}", here.url)):
            with progress(f"{name}: {label}", len(bodies), SystemClock(), get_log("storm")) as advance:
                one = partial(advance, 1)
                rate = arguments.rate
                sent = storm(url, bodies, arguments.senders, one) if heavy else steady(url, bodies, rate, one)
            rows.append(_row(f"{name}: {label}", count, sent))
        waits = _waits(here, count, arguments.patience)
        rows[-1] = _acted(rows[-1], here, waits)
        here.webhook.stop()
        engine = here.ledger()
        key = Path(folder) / ("data/ledger.key" if kind == SQLITE else "ledger.key")
        verify(engine, read_key(key))
        engine.dispose()
        return rows


def _waits(here: Stage, count: int, patience: float) -> Floats:
    """Wait until all have reached INTENT, and return how long each took from being stored, in seconds."""
    engine, end = here.ledger(), time.monotonic() + patience
    intents = select(func.count()).select_from(Audit).where(Audit.target == State.INTENT)
    with progress("intents", count, SystemClock(), get_log("storm")) as advance:
        seen = 0
        while seen < count and time.monotonic() < end:
            time.sleep(1.0)
            with Session(reading(engine)) as session:
                now = session.scalars(intents).one()
            advance(now - seen)
            seen = now
    took = (
        select(Audit.time - Notification.received_at)
        .join(Remediation, Remediation.id == Audit.remediation_id)
        .join(Notification, Notification.id == Remediation.notification_id)
        .where(Audit.target == State.INTENT)
    )
    with Session(reading(engine)) as session:
        found = np.array(session.scalars(took).all())
    engine.dispose()
    return found


def _row(label: str, count: int, sent: Sent) -> Row:
    p50, p99 = (float(one) for one in np.percentile(sent.seconds, [50, 99]))
    return Row(label, count, 0, 0, sent.repeats, count / sent.took, p50, p99)


def _acted(row: Row, here: Stage, waits: Floats) -> Row:
    engine = here.ledger()
    with Session(reading(engine)) as session:
        stored = session.scalars(select(func.count()).select_from(Remediation)).one()
    engine.dispose()
    p50, p99 = (float(one) for one in np.percentile(waits, [50, 99])) if len(waits) else (np.nan, np.nan)
    return replace(row, stored=stored, intents=len(waits), intent_p50=p50, intent_p99=p99)


def _print(rows: Sequence[Row]) -> None:
    print(f"{'':34} {'alerts':>7} {'stored':>7} {'INTENT':>7} {'again':>6} {'alerts/s':>9}"
          f" {'POST p50':>9} {'p99':>8} {'INTENT p50':>11} {'p99':>8}")  # fmt: skip
    for row in rows:
        waits = "" if row.intent_p50 is None else f" {row.intent_p50:10.3f}s {row.intent_p99:7.3f}s"
        counts = f"{row.alerts:7} {row.stored:7} {row.intents:7} {row.repeats:6}"
        print(f"{row.run:34} {counts} {row.alerts_per_second:9.0f}"
              f" {1000 * row.post_p50:7.1f}ms {1000 * row.post_p99:6.1f}ms{waits}")  # fmt: skip
    for bare, ours in zip(rows[::2], rows[1::2], strict=True):
        print(f"{ours.run}: POST p50 x{ours.post_p50 / bare.post_p50:.1f}, p99 x{ours.post_p99 / bare.post_p99:.1f}, "
              f"throughput x{ours.alerts_per_second / bare.alerts_per_second:.2f} of the baseline's")  # fmt: skip
        if ours.run.startswith("steady") and ours.intent_p99 is not None:
            met = "met" if ours.intent_p99 < TARGET else "missed"
            print(f"{ours.run}: alert to INTENT p99 under {TARGET * 1000:.0f} ms: {met}")


def main() -> int:
    """Measure and print; 1 if an alert was lost."""
    parser = argparse.ArgumentParser(prog="bench-webhook", description=__doc__)
    parser.add_argument("--alerts", type=int, default=10_000, help="alerts of the storm (default: 10000)")
    parser.add_argument("--group", type=int, default=20, help="alerts in a notification of the storm (default: 20)")
    parser.add_argument("--senders", type=int, default=8, help="who send at once (default: 8)")
    parser.add_argument("--rate", type=float, default=50.0, help="alerts a second afterwards (default: 50)")
    parser.add_argument("--seconds", type=float, default=60.0, help="for so long (default: 60)")
    parser.add_argument("--patience", type=float, default=900.0, help="seconds to wait for INTENTs (default: 900)")
    parser.add_argument("--database", action="append", choices=(SQLITE, POSTGRESQL), help="default: both")
    parser.add_argument("--load", action="append", choices=("storm", "steady"), help="default: both")
    parser.add_argument("--out", type=Path, help="file for the results, as JSON")
    arguments = parser.parse_args()
    configure("info", "logfmt")
    rows = [
        row
        for kind in arguments.database or (SQLITE, POSTGRESQL)
        for name in arguments.load or ("storm", "steady")
        for row in measure(kind, name, arguments)
    ]
    _print(rows)
    if arguments.out:
        arguments.out.write_bytes(orjson.dumps([asdict(row) for row in rows], option=orjson.OPT_INDENT_2))
    lost = [row for row in rows if row.intent_p50 is not None and row.stored != row.alerts]
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
