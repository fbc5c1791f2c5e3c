"""What a case is: real servers that are brought from healthy to failing, and how Presagio is told of them."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from servers import PostgresBinaries

Entry = Mapping[str, Any]
Series = tuple[str, Sequence[tuple[float, float]]]


@dataclass(frozen=True)
class Binaries:
    """The programs that the cases run."""

    node_exporter: Path
    redis_server: Path
    redis_exporter: Path
    postgres: PostgresBinaries
    postgres_exporter: Path


@dataclass(frozen=True)
class Place:
    """Where a case lives: its folder, the servers' programs, and what ends with the test."""

    folder: Path
    binaries: Binaries
    stack: contextlib.ExitStack

    def within(self, name: str) -> Place:
        """Return a folder of its own for one case."""
        folder = self.folder / name
        folder.mkdir(parents=True)
        return Place(folder, self.binaries, self.stack)


class Case(ABC):
    """One of the five, twice: `helped` recovers by its remediation, `unhelped` has one that does nothing for it.

    actions, useless: what is done to the one, rung by rung, and to the other. signal: what tells. healthy, failing:
    PromQL that has a series for each patient of which it is true.
    """

    name: ClassVar[str]
    helped: ClassVar[str]
    unhelped: ClassVar[str]
    signal: ClassVar[str]
    actions: ClassVar[tuple[str, ...]]
    useless: ClassVar[str]
    healthy: ClassVar[str]
    failing: ClassVar[str]

    @property
    def both(self) -> str:
        """Both patients, as a regular expression."""
        return f"{self.helped}|{self.unhelped}"

    @property
    def learnt(self) -> str:
        """PromQL that has a series for each patient of which enough is known."""
        return f'presagio_signal_confidence{{signal="{self.signal}", service_id=~"{self.both}"}} >= 0.6'

    @abstractmethod
    def jobs(self) -> Sequence[Entry]:
        """Return what Prometheus scrapes."""

    @abstractmethod
    def signals(self) -> Sequence[Entry]:
        """Return what the exporter learns."""

    @abstractmethod
    def policies(self) -> Sequence[Entry]:
        """Return what the webhook may do."""

    def rules(self) -> Sequence[Entry]:
        """Return rules of Prometheus beside Presagio's own."""
        return ()

    def history(self) -> Iterable[Series]:
        """Return what Prometheus knows from before."""
        return ()

    @abstractmethod
    def fail(self) -> None:
        """Bring both patients down."""

    @abstractmethod
    def is_undone(self) -> bool:
        """Tell whether nothing is left of what was done to `unhelped`."""

    def supervise(self) -> None:  # noqa: B027 # most have nothing to supervise
        """Do what systemd would: called again and again."""


def policy(name: str, service: str, alert: Entry, when: str, actions: Sequence[Entry], good: str) -> Entry:
    """Return a policy of mode auto for one service: it acts while `when` holds, and was right if then `good` does."""
    return {
        "name": name,
        "match": {**alert, "service_id": service},
        "when": [when],
        "mode": "auto",
        "actions": list(actions),
        "verify": {"query": good, "samples": 4, "interval": "1s", "deadline": "20s"},
        "guards": {"cooldown": "0"},
    }


def anomaly(signal: str) -> Entry:
    """Return what an alert of Presagio's own rule for anomalies carries."""
    return {"alertname": "PresagioAnomaly", "signal": signal}
