"""`presagio replay`: what other policies would have done with the alerts of the past, and what they are worth."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict

import numpy as np
import orjson

from presagio.toolkit.clock import SystemClock
from presagio.toolkit.errors import SourceError
from presagio.toolkit.log import get_log
from presagio.toolkit.progress import progress
from presagio.toolkit.prometheus import Prometheus
from presagio.toolkit.table import columns
from presagio.webhook import replay, wiring
from presagio.webhook.config import load
from presagio.webhook.policy import Policy, PolicyError, conditions, target
from presagio.webhook.records import Records
from presagio.webhook.replay import Match, Worth
from presagio.webhook.tables import Remediation
from presagio.webhook.tools import alert_of
from presagio.webhook.valuation import Estimate

_COLUMNS = ("WENT TO", "WOULD GO TO", "MODE", "FIRST ACTION", "ALERTS", "SERVICES")
_ENOUGH = 20.0
"""Effective choices below which the estimates are called weak."""


def run(arguments: argparse.Namespace) -> int:
    """Print what the policies would have done, and what that is worth. Raises LedgerError, ConfigError."""
    log = get_log("replay")
    config, policies = load(arguments.config_file, log)
    if arguments.policy is not None:
        _, policies = load(arguments.policy, log)
    engine = wiring.existing_ledger(config, arguments.storage_path)
    try:
        records = Records(engine)
        holds = _Conditions(Prometheus(config.prometheus)) if arguments.conditions else None
        found = replay.matches(records.alerts(arguments.limit), policies, holds)
        worth = _worth(records, policies, arguments)
    finally:
        engine.dispose()
    _print(found, worth, arguments.json)
    return 0


def _worth(records: Records, policies: Sequence[Policy], arguments: argparse.Namespace) -> Worth:
    trials = records.trials(SystemClock().time(), limit=arguments.limit)
    cases = records.several({trial.remediation_id for trial in trials})
    random = np.random.default_rng(arguments.seed)
    with progress("valuing choices", len(trials), SystemClock(), get_log("replay")) as advance:
        return replay.worth(trials, cases, policies, random, advance)


class _Conditions:
    """Asks Prometheus for the moment at which an alert came."""

    def __init__(self, prometheus: Prometheus) -> None:
        self.prometheus = prometheus

    def __call__(self, policy: Policy, case: Remediation) -> bool | None:
        """Return whether all conditions held; None if Prometheus, or the alert, does not tell."""
        try:
            asked = conditions(policy, target(alert_of(case)))
            return all(one.holds(self.prometheus.instant(one.query, case.created_at)) for one in asked)
        except (SourceError, PolicyError):
            return None


def _print(found: Sequence[Match], worth: Worth, as_json: bool) -> None:
    if as_json:
        told = {"alerts": [asdict(one) for one in found], "worth": asdict(worth)}
        sys.stdout.write(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        sys.stdout.write("\n".join([*_matches(found), "", *_value(worth)]) + "\n")


def _matches(found: Sequence[Match]) -> Iterator[str]:
    if not found:
        yield "the ledger has no alerts to try the policies on"
        return
    rows = [(one.before, one.now, one.mode, one.first, str(one.alerts), str(one.services)) for one in found]
    yield columns([_COLUMNS, *rows])


def _value(worth: Worth) -> Iterator[str]:
    told = worth.valuation
    if told is None:
        yield f"nothing can be valued: of {worth.uncovered} judged actions of the past none is of these policies"
        return
    yield f"share of actions that help, by {told.choices} judged ones (95 % intervals):"
    yield columns([
        ("  as it was", _interval(told.logged)),
        ("  with these policies, doubly robust", _interval(told.doubly_robust)),
        ("  with these policies, SNIPS", _interval(told.snips)),
        ("  with these policies, IPS", _interval(told.ips)),
    ])  # fmt: skip
    yield f"worth {told.effective:.1f} choices; {worth.uncovered} judged actions are of no policy here"
    if worth.overlap < 1:
        yield (
            f"{100 * (1 - worth.overlap):.0f} % of what these policies would do was never tried: "
            "of that, nothing is known but by the model; `order: learned` tries it"
        )
    elif told.effective < _ENOUGH:
        yield "that is few: the intervals are wide for a reason; wait for more history before you decide"


def _interval(of: Estimate) -> str:
    return f"{of.value:.3f}  [{of.low:.3f}, {of.high:.3f}]"
