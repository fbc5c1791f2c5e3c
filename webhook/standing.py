"""What holds for all remediations alike: switches, budgets, how many services alert. Asked once in a step.

The guards look at it before anything is planned. What must hold for sure, pause and budget, is looked at once more in
the transaction that takes it (see consequences.py): a memory of one step is never the reason why something is done.
"""

from __future__ import annotations

from collections import Counter

from presagio.webhook.moves import Budget
from presagio.webhook.records import PAUSE, Records
from presagio.webhook.statements import HOUR
from presagio.webhook.tables import Switch

_Place = tuple[str | None, int]


class Standing:
    """Asks the ledger, and remembers until `begin`."""

    def __init__(self, records: Records) -> None:
        self.records = records
        self._switches: dict[str, Switch] | None = None
        self._alerting: int | None = None
        self._count: dict[str | None, int] = {}
        self._spent: dict[_Place, float | None] = {}
        self._promised: Counter[str | None] = Counter()

    def begin(self) -> None:
        """Begin a step, or what was decided is written now: forget."""
        self._switches = self._alerting = None
        self._count, self._spent = {}, {}
        self._promised = Counter()

    def promise(self, budget: Budget) -> None:
        """Know of a place that was given away and is not written yet."""
        self._promised.update((budget.policy, None))

    def paused(self) -> Switch | None:
        """Return who paused all acting, if somebody did."""
        if self._switches is None:
            self._switches = self.records.switches()
        return self._switches.get(PAUSE)

    def alerting(self) -> int:
        """Return how many services have a live remediation."""
        if self._alerting is None:
            self._alerting = self.records.alerting()
        return self._alerting

    def spent_up(self, since: float, policy: str | None, most: int) -> float | None:
        """Return when the `most`-th newest remediation was let to act later than `since`; None if they are fewer."""
        if policy not in self._count:
            self._count[policy] = self.records.count_spent(since, policy)
        if self._count[policy] + self._promised[policy] < most:
            return None
        left = most - self._promised[policy]
        if left <= 0:
            return since + HOUR
        if (policy, left) not in self._spent:
            self._spent[policy, left] = self.records.spent_up(since, policy, left)
        return self._spent[policy, left]
