"""What ended long ago is removed, and the ledger still verifies: a sealed row says which rows are gone.

Audit rows go from the beginning of the chain alone. The row that tells of it names the last of them and its seal, to
which the first that is left is bound: who removes rows without the key cannot write such a row.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sqlalchemy import Select, delete, func, or_, select
from sqlalchemy.orm import Session

from presagio.toolkit.log import Log
from presagio.webhook import archive
from presagio.webhook.chain import REMOVED
from presagio.webhook.ledger import ORCHESTRATOR, Ledger
from presagio.webhook.page import Row
from presagio.webhook.tables import Audit, Member, Message, Notification, Remediation, Spending, Trial

EVERY = 3600.0
"""Seconds between two looks."""

_ROWS = 5000
"""Audit rows removed in one transaction: nobody waits long for it."""


class Keeper:
    """Removes what ended more than `keep` seconds ago; its audit rows are written to a file in `folder` before."""

    def __init__(self, ledger: Ledger, keep: float, folder: Path | None, log: Log) -> None:
        self.ledger, self.keep, self.folder = ledger, keep, folder
        self.log = log
        self._next = 0.0

    def tidy(self, now: float) -> int:
        """Remove a part of what is too old, if it is time to look; return how many audit rows that was."""
        if now < self._next:
            return 0
        try:
            removed = self._remove(now)
        except OSError as error:
            self.log.error("nothing removed: its archive cannot be written", folder=self.folder, error=str(error))
            removed = 0
        if not removed:
            self._next = now + EVERY
        return removed

    def _remove(self, now: float) -> int:
        with Session(self.ledger.engine) as session:
            first = session.scalar(select(func.min(Audit.seq))) or 0
            last = min(_last(session, now - self.keep), first + _ROWS - 1)
        if last < first:
            return 0
        if self.folder is not None:
            self._archive(self.folder, first, last)
        with self.ledger.page() as page, Session(page.connection) as session:
            known = session.get(Audit, last)
            if known is None:  # another replica was faster
                return 0
            facts = {"through": last, "hmac": known.hmac, "from": first}
            page.add(Row(None, "", REMOVED, "retention", ORCHESTRATOR, facts), now)
            _forget(session, last)
        self.log.info("old rows removed", first=first, last=last)
        return last - first + 1

    def _archive(self, folder: Path, first: int, last: int) -> None:
        """Write the rows to a file that is whole as soon as it has its name."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"audit-{first}-{last}.jsonl"
        with path.with_suffix(".part").open("wb") as out:
            archive.export(self.ledger.engine, out, first - 1, last)
            out.flush()
            os.fsync(out.fileno())
        path.with_suffix(".part").replace(path)


def _last(session: Session, moment: float) -> int:
    """Return the last audit row before the first that must stay: one that is younger, or of what has not ended."""
    living = select(Remediation.id).where(or_(Remediation.finished_at.is_(None), Remediation.finished_at >= moment))
    theirs = select(Member.alert_id).where(Member.remediation_id.in_(living))
    stays = or_(Audit.time >= moment, Audit.remediation_id.in_(living), Audit.remediation_id.in_(theirs))
    first = session.scalar(select(func.min(Audit.seq)).where(stays))
    return (session.scalar(select(func.max(Audit.seq))) or 0) if first is None else first - 1


def _forget(session: Session, last: int) -> None:
    """Delete the rows through `last`, and what nothing in the ledger speaks of any more."""
    spoken = select(Audit.remediation_id).where(Audit.remediation_id.is_not(None))
    gone: Select[Any] = select(Audit.remediation_id).where(Audit.seq <= last, Audit.remediation_id.is_not(None))
    ended = gone.where(Audit.remediation_id.not_in(spoken.where(Audit.seq > last)))
    ids = list(session.scalars(ended.distinct()))
    session.execute(delete(Audit).where(Audit.seq <= last))
    for begin in range(0, len(ids), 500):
        _forget_remediations(session, ids[begin : begin + 500])
    named = select(Remediation.notification_id).where(Remediation.notification_id.is_not(None))
    opened = (Notification.opened_at.is_not(None), Notification.id.not_in(named))
    session.execute(delete(Notification).where(*opened).execution_options(synchronize_session=False))


def _forget_remediations(session: Session, ids: list[int]) -> None:
    session.execute(delete(Member).where(or_(Member.remediation_id.in_(ids), Member.alert_id.in_(ids))))
    for table in (Message, Spending, Trial):
        session.execute(delete(table).where(table.remediation_id.in_(ids)))
    session.execute(delete(Remediation).where(Remediation.id.in_(ids)))
